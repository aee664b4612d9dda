import pytest

from lykeion.web_kit import ServerSettings
from lykeion.web_kit.admission import refuse_host, refuse_origin, refuse_stranger, refuse_token

TOKEN = "correct-horse-battery"


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080", "localhost:0"]
)
def test_this_machine_is_asked_by_its_own_names(host: str):
    assert refuse_host([host]) is None


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example"],
        ["localhost.evil.example"],
        ["foo.localhost"],
        ["localhost."],
        ["0.0.0.0"],
        ["10.0.0.1"],
        ["127.1"],
        ["2130706433"],
        ["::1"],
        ["[::1"],
        ["[::ffff:127.0.0.1]"],
        ["[::1%lo]"],
        ["user@localhost"],
        ["localhost@evil.example"],
        ["evil.example@localhost:80"],
        ["localhost:"],
        ["localhost:port"],
        ["localhost:80:80"],
        ["localhost:123456"],
        ["localhost/"],
        ["localhost?"],
        ["localhost#"],
        ["http://localhost"],
        ["localhost, evil.example"],
        ["localhost evil.example"],
        [" localhost"],
        ["localhost\n"],
        ["localhost\0"],
        ["loc\u00e4lhost"],
        ["localhost", "localhost"],
        ["localhost", "evil.example"],
        ["evil.example", "localhost"],
    ],
)
def test_a_host_that_is_not_plainly_this_machine_is_refused(hosts: list[str]):
    refusal = refuse_host(hosts)
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize(
    ("origins", "host"),
    [
        ([], "localhost:8080"),
        (["http://localhost:8080"], "localhost:8080"),
        (["https://localhost:8080"], "localhost:8080"),
        (["http://localhost"], "LOCALHOST"),
        (["http://[::1]:8080"], "[::1]:8080"),
    ],
)
def test_programs_and_pages_of_the_same_origin_may_ask(origins: list[str], host: str):
    assert refuse_origin(origins, host) is None


@pytest.mark.parametrize(
    "origins",
    [
        [""],
        ["null"],
        ["NULL"],
        ["https://evil.example"],
        ["http://localhost"],
        ["http://localhost:3000"],
        ["http://127.0.0.1:8080"],
        ["http://localhost:8080.evil.example"],
        ["http://localhost:8080@evil.example"],
        ["http://evil.example/localhost:8080"],
        ["http://localhost:8080/"],
        ["http://localhost:8080 http://evil.example"],
        ["//localhost:8080"],
        ["localhost:8080"],
        ["file://localhost:8080"],
        ["chrome-extension://localhost:8080"],
        ["http://localhost:8080", "http://evil.example"],
        ["http://localhost:8080", "http://localhost:8080"],
    ],
)
def test_a_page_of_another_origin_is_refused(origins: list[str]):
    refusal = refuse_origin(origins, "localhost:8080")
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize("bearer", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_who_bears_the_token_may_ask(bearer: str):
    assert refuse_token([bearer], TOKEN) is None


@pytest.mark.parametrize(
    "authorizations",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [TOKEN],
        [f"Basic {TOKEN}"],
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Bearer {TOKEN.upper()}"],
        [f"Bearer {TOKEN}, Bearer {TOKEN}"],
        [f"Bearer\t{TOKEN}"],
        [f"Bearer {TOKEN}\u00ff"],
        ["Bearer \u00e9\u00ff"],
        ["Bearer \udcff"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        [f"Bearer {TOKEN}", "Bearer wrong"],
    ],
)
def test_whatever_else_is_sent_as_authorization_is_a_401(authorizations: list[str]):
    refusal = refuse_token(authorizations, TOKEN)
    assert refusal is not None
    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "headers", "token", "status"),
    [
        ("/", {"host": ["localhost"]}, "", None),
        ("/", {"host": ["evil.example"]}, "", 403),
        ("/", {"host": ["evil.example"], "x-forwarded-host": ["localhost"]}, "", 403),
        ("/", {"host": ["localhost"], "origin": ["null"]}, "", 403),
        ("/", {}, "", 403),
        ("/open", {"host": ["search.example"], "origin": ["https://other.example"]}, TOKEN, None),
        ("/open/", {}, TOKEN, 401),
        ("/open", {"host": ["evil.example"]}, "", 403),
        ("/", {"host": ["search.example"], "authorization": [f"Bearer {TOKEN}"]}, TOKEN, None),
        ("/", {"host": ["localhost"]}, TOKEN, 401),
    ],
)
def test_without_a_token_host_and_origin_decide_and_with_one_it_alone(
    path: str, headers: dict[str, list[str]], token: str, status: int | None
):
    settings = ServerSettings(token=token)
    refusal = refuse_stranger(path, lambda name: headers.get(name, []), settings, frozenset({"/open"}))
    assert (refusal and refusal.status) == status


ALLOWED = frozenset({"search.example"})


@pytest.mark.parametrize("host", ["search.example", "Search.Example", "search.example:8443", "localhost"])
def test_an_allowed_host_is_answered_under_any_port(host: str):
    assert refuse_host([host], ALLOWED) is None


@pytest.mark.parametrize(
    "host", ["search.example.evil.example", "evil.search.example", "search.example.", "other.example"]
)
def test_a_host_beside_the_allowed_one_is_refused(host: str):
    assert refuse_host([host], ALLOWED)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://search.example", True),
        ("https://search.example:8443", True),
        ("http://search.example", True),
        ("https://evil.example", False),
        ("https://search.example.evil.example", False),
        ("https://search.example@evil.example", False),
        ("file://search.example", False),
        ("search.example", False),
        ("null", False),
    ],
)
def test_pages_of_an_allowed_host_may_ask_though_a_proxy_asks_by_another(origin: str, allowed: bool):
    assert (refuse_origin([origin], "127.0.0.1:8080", ALLOWED) is None) == allowed


OTHER = "another-horse-battery"


@pytest.mark.parametrize(
    ("settings", "given", "path", "status"),
    [
        (ServerSettings(token=TOKEN), TOKEN, "/metrics", None),
        (ServerSettings(token=TOKEN), OTHER, "/metrics", 401),
        (ServerSettings(token=TOKEN), "", "/metrics", 401),
        (ServerSettings(token=TOKEN, metrics_token=OTHER), OTHER, "/metrics", None),
        (ServerSettings(token=TOKEN, metrics_token=OTHER), TOKEN, "/metrics", None),
        (ServerSettings(token=TOKEN, metrics_token=OTHER), OTHER, "/v1/stats", 401),
        (ServerSettings(token=TOKEN, metrics_token=OTHER), OTHER, "/metrics/", 401),
        (ServerSettings(token=TOKEN, metrics_token=OTHER), "", "/metrics", 401),
        (ServerSettings(token=TOKEN, open_metrics=True), "", "/metrics", None),
        (ServerSettings(token=TOKEN, open_metrics=True), "", "/v1/stats", 401),
        (ServerSettings(), "", "/metrics", 403),
        (ServerSettings(metrics_token=OTHER), OTHER, "/metrics", None),
        (ServerSettings(open_metrics=True), "", "/metrics", None),
    ],
)
def test_metrics_have_a_rule_of_their_own(settings: ServerSettings, given: str, path: str, status: int | None):
    headers = {"host": ["search.example"], "authorization": [f"Bearer {given}"] if given else []}
    refusal = refuse_stranger(path, lambda name: headers.get(name, []), settings, frozenset())
    assert (refusal and refusal.status) == status
