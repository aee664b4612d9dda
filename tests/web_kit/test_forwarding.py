"""Headers of proxies: believed from configured addresses alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from lykeion.web_kit import Guard, ServerSettings, read_proxies
from lykeion.web_kit.forwarding import Caller, caller_of
from lykeion.web_kit.server_settings import SettingsError

PROXIES = read_proxies(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


def caller(peer: str, forwarded: list[str], prefix: list[str] | None = None) -> Caller:
    headers = {"x-forwarded-for": forwarded, "x-forwarded-prefix": prefix or []}
    return caller_of(peer, lambda name: headers.get(name, []), PROXIES)


@pytest.mark.parametrize("peer", ["192.0.2.1", "", "testclient", "::1", "127.0.0.2"])
def test_whoever_is_no_proxy_is_counted_by_its_own_address_whatever_it_says(peer: str):
    assert caller(peer, ["203.0.113.7"], ["/shop"]) == Caller(peer)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        (["203.0.113.7,10.1.2.3 , 127.0.0.1"], "203.0.113.7"),
        (["2001:DB8::1"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, <script>"], "unknown"),
        ([], None),
        (["127.0.0.1"], None),
        (["10.1.1.1, 127.0.0.1"], None),
    ],
)
def test_of_a_proxys_request_the_last_address_counts_that_is_no_proxy(forwarded: list[str], address: str | None):
    for peer in ("127.0.0.1", "10.2.2.2", "fd00::5", "::ffff:127.0.0.1"):
        assert caller(peer, forwarded).address == address


@pytest.mark.parametrize(
    ("prefix", "read"),
    [
        (["/services/default/shop"], "/services/default/shop"),
        (["/shop/"], "/shop"),
        ([], ""),
        (["/"], ""),
        (["shop"], ""),
        (["//evil.example"], ""),
        (["/a//b"], ""),
        (["/a?b"], ""),
        (['/a"b'], ""),
        (["/a", "/b"], ""),
        (["/" + "a" * 300], ""),
    ],
)
def test_a_prefix_is_a_plain_path_or_nothing(prefix: list[str], read: str):
    assert caller("127.0.0.1", [], prefix).prefix == read


@given(st.lists(st.text(max_size=20), max_size=4), st.lists(st.text(max_size=20), max_size=2))
def test_no_header_breaks_it(forwarded: list[str], prefix: list[str]):
    found = caller("127.0.0.1", forwarded, prefix)
    assert not found.prefix or found.prefix.startswith("/")


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_a_proxy_is_an_address_or_a_network(text: str):
    with pytest.raises(SettingsError, match="address or network"):
        read_proxies([text])


def app(settings: ServerSettings) -> Guard:
    async def place(request: Request) -> Response:
        return PlainTextResponse(request.url_for("place").path)

    return Guard(Starlette(routes=[Route("/v1/place", place, name="place")]), settings)


@pytest.mark.parametrize(("peer", "path"), [("127.0.0.1", "/services/a/b/v1/place"), ("127.0.0.2", "/v1/place")])
def test_an_app_makes_its_links_below_the_prefix_that_a_proxy_has_removed(peer: str, path: str):
    client = TestClient(app(ServerSettings(proxies=PROXIES)), base_url="http://localhost", client=(peer, 1))
    response = client.get("/v1/place", headers={"X-Forwarded-Prefix": "/services/a/b"})
    assert (response.status_code, response.text) == (200, path)


def test_a_prefix_that_begins_like_a_path_of_the_app_is_no_problem():
    client = TestClient(app(ServerSettings(proxies=PROXIES)), base_url="http://localhost", client=("127.0.0.1", 1))
    assert client.get("/v1/place", headers={"X-Forwarded-Prefix": "/v1"}).text == "/v1/v1/place"
