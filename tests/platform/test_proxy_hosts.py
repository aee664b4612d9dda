"""By which hosts a service is asked through the proxy, and how its replicas are told."""

from pathlib import Path

import pytest

from lykeion.platform.local.proxy.certificate_names import certificate_names
from lykeion.platform.local.proxy.proxy_settings import ProxySettings, ProxySettingsError, TlsListener
from lykeion.platform.local.supervision.proxy_control import ProxyControl
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, ReplicaGroupSpec
from lykeion.platform.resources.programs.program import Program

from .proxies import write_certificate
from .servings import serving

GROUP = REPLICA_GROUP.new("shop-1", ReplicaGroupSpec(program=Program(command=("serve",))), owner=serving())


@pytest.fixture
def elsewhere(tmp_path: Path) -> TlsListener:
    write_certificate(
        tmp_path / "certificate", tmp_path / "key", "Search.Example", "*.example", "10.0.0.7", "fd00::7"
    )
    return TlsListener("0.0.0.0", 8443, str(tmp_path / "certificate"), str(tmp_path / "key"), "")


def test_replicas_are_told_the_services_name(tmp_path: Path) -> None:
    assert ProxyControl(tmp_path, ProxySettings(8080)).variables(GROUP) == {
        "LYKEION_PROXIES": "127.0.0.1",
        "LYKEION_ALLOWED_HOSTS": "shop.default",
    }


def test_and_the_names_and_addresses_in_the_certificate_without_wildcards(
    tmp_path: Path, elsewhere: TlsListener
) -> None:
    told = ProxyControl(tmp_path, ProxySettings(8080, elsewhere)).variables(GROUP)
    assert told["LYKEION_ALLOWED_HOSTS"] == "shop.default search.example 10.0.0.7 [fd00::7]"


def test_a_file_that_is_no_certificate_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "certificate").write_text("none")
    for name in ("certificate", "absent"):
        with pytest.raises(ProxySettingsError, match="no certificate in PEM"):
            certificate_names(tmp_path / name)
