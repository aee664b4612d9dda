"""Whose login is used: docker's, podman's, a helper's, or a pull secret that Kubernetes mounts."""

import base64
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from lykeion.core import Refused
from lykeion.oci.distribution import RemoteStore, Transport
from lykeion.oci.distribution.credentials import Credentials, find_credentials
from tests.oci.distribution.fake import Troubles, running
from tests.registry.making import pushed


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:p".encode()).decode()}


def user_of(auths: Mapping[str, object], host: str, repository: str = "") -> str | None:
    path = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths}))
    found = find_credentials(host, repository)
    return found and found.user


def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_a_credential_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"credHelpers": {"registry.example.com": "test"}}))
    with pytest.raises(Refused, match="docker-credential-test"):
        find_credentials("registry.example.com")
    helper(
        tmp_path, monkeypatch, """read host; echo "{\\"Username\\": \\"anna\\", \\"Secret\\": \\"for $host\\"}" """
    )
    assert find_credentials("registry.example.com") == Credentials("anna", "for registry.example.com")
    helper(tmp_path, monkeypatch, """echo '{"Username": "<token>", "Secret": "t"}'""")
    assert find_credentials("registry.example.com") == Credentials(identity_token="t")
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    assert find_credentials("registry.example.com") is None
    helper(tmp_path, monkeypatch, "echo keychain is locked >&2; exit 1")
    with pytest.raises(Refused, match="keychain is locked"):
        find_credentials("registry.example.com")


def test_a_login_for_a_path_goes_before_one_for_its_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"r.example": entry("host"), "r.example/shop": entry("shop")}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    assert find_credentials("r.example", "shop/shoes") == Credentials("shop", "p")
    assert find_credentials("r.example", "else") == Credentials("host", "p")
    assert find_credentials("other.example") is None
    assert "p" not in repr(Credentials("host", "p")).replace("host", "")[12:]


@pytest.mark.parametrize(
    "key",
    [
        "r.example",
        "R.example",
        "r.example/",
        "http://r.example",
        "https://r.example/",
        "https://r.example/v1",
        "https://r.example/v1/",
        "https://r.example/v2/",
        "r.example/v2/",
        "*.example",
    ],
)
def test_a_key_is_understood_as_docker_and_kubernetes_write_it(key: str) -> None:
    assert user_of({"other": entry("o"), key: entry("anna")}, "r.example", "shop/shoes") == "anna"
    assert user_of({key: entry("anna")}, "r.example.com", "shop/shoes") is None
    assert user_of({key: entry("anna")}, "r.example:5000", "shop/shoes") is None


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
@pytest.mark.parametrize("key", ["docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"])
def test_docker_hub_has_one_login_under_all_its_names(host: str, key: str) -> None:
    assert user_of({key: entry("anna")}, host, "library/debian") == "anna"


def test_an_address_with_a_port_is_a_host(tmp_path: Path) -> None:
    assert user_of({"http://[::1]:5000/v2/": entry("anna")}, "[::1]:5000", "shoes") == "anna"
    assert user_of({"*.example:5000": entry("anna")}, "r.example:5000", "shoes") == "anna"
    assert user_of({"*.example": entry("anna")}, "a.b.example", "shoes") is None


def test_the_longest_path_that_the_repository_is_below_counts() -> None:
    auths = {
        "r.example": entry("host"),
        "*.example/shop/models": entry("star"),
        "https://r.example/v2/shop": entry("shop"),
        "r.example/shop/models/shoes": entry("shoes"),
        "r.example/shop/mod": entry("part of a name"),
    }
    assert user_of(auths, "r.example", "shop/models/shoes") == "shoes"
    assert user_of(auths, "r.example", "shop/models/bags") == "star"
    assert user_of(auths, "r.example", "shop/model") == "shop"
    assert user_of(auths, "r.example", "shops/models") == "host"
    assert user_of({"https://r.example/v1/": entry("docker"), "r.example": entry("plain")}, "r.example") == "plain"


def test_each_repository_is_asked_for_with_its_own_login(tmp_path: Path) -> None:
    with running(Troubles(login=("shop", "p"))) as registry:
        auths = {f"{registry.host}/shop": entry("shop"), registry.host: entry("host")}
        assert user_of(auths, registry.host) == "host"
        store = RemoteStore(Transport(registry.host))
        pushed(store, tmp_path / "a", "shop/shoes")
        with pytest.raises(Refused, match="no token for user 'host'"):
            store.resolve("else/shoes", "v1")
        assert store.resolve("shop/shoes", "v1")


@pytest.mark.parametrize(
    ("variable", "file", "named"),
    [
        ("REGISTRY_AUTH_FILE", ".dockerconfigjson", ".dockerconfigjson"),
        ("REGISTRY_AUTH_FILE", ".dockerconfigjson", "."),
        ("DOCKER_CONFIG", ".dockerconfigjson", "."),
        ("DOCKER_CONFIG", ".dockerconfigjson", ".dockerconfigjson"),
        ("DOCKER_CONFIG", "config.json", "."),
    ],
)
def test_a_mounted_pull_secret_is_a_login(
    variable: str, file: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kubelet mounts it: links to a directory that is replaced as a whole."""
    data = tmp_path / "secret" / "..2026_11_30"
    data.mkdir(parents=True)
    secret = {"auths": {"r.example": {"username": "anna", "password": "p", "email": "a@example", **entry("anna")}}}
    (data / file).write_text(json.dumps(secret))
    (tmp_path / "secret" / "..data").symlink_to(data.name)
    (tmp_path / "secret" / file).symlink_to(f"..data/{file}")
    monkeypatch.setenv(variable, str(tmp_path / "secret" / named))
    assert find_credentials("r.example", "shop/shoes") == Credentials("anna", "p")


def test_an_entry_may_be_written_by_hand() -> None:
    assert user_of({"r.example": {"username": "anna", "password": "p"}}, "r.example") == "anna"
    assert user_of({"r.example": {"auth": "YW5uYTpw"}}, "r.example") == "anna"
    assert (
        user_of({"r.example": {"auth": base64.b64encode(b"anna:pass\n").decode().rstrip("=")}}, "r.example") == "anna"
    )
    assert user_of({"r.example": {"username": "anna"}}, "r.example") is None
    assert user_of({"r.example": "anna", "https://r.example": None}, "r.example") is None


@pytest.mark.parametrize(
    ("variable", "content", "said"),
    [
        ("REGISTRY_AUTH_FILE", None, "No such file"),
        ("REGISTRY_AUTH_FILE", "anna:p", "not a file of credentials"),
        ("DOCKER_CONFIG", '{"auths": {"r.example": {"auth": "%"}}}', "log in to r.example again"),
    ],
)
def test_a_file_that_a_variable_names_and_that_is_no_login_is_named(
    variable: str, content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(variable, str(file))
    with pytest.raises(Refused, match=said) as error:
        find_credentials("r.example")
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_podmans_files_are_read_where_it_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for place, user in ((tmp_path / "nobody" / ".config", "kept"), (tmp_path / "run", "here")):
        (place / "containers").mkdir(parents=True)
        (place / "containers" / "auth.json").write_text(json.dumps({"auths": {"r.example": entry(user)}}))
        assert find_credentials("r.example") == Credentials(user, "p")


def test_a_store_of_credentials_is_asked_for_hosts_that_no_entry_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps({"credsStore": "test", "auths": {"https://s.example/v1/": {}, "t.example": entry("t")}})
    )
    helper(tmp_path, monkeypatch, """read host; echo "{\\"Username\\": \\"anna\\", \\"Secret\\": \\"$host\\"}" """)
    for host, asked in (
        ("r.example", "r.example"),
        ("s.example", "https://s.example/v1/"),
        ("docker.io", "https://index.docker.io/v1/"),
    ):
        assert find_credentials(host, "shop/shoes") == Credentials("anna", asked)
    assert find_credentials("t.example") == Credentials("t", "p")
    helper(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")
    assert find_credentials("r.example") is None


def test_a_user_without_a_home_has_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert find_credentials("r.example") is None
