from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.fleet import Fleet
from tests.delivery.static_host import StaticHost


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the tester's own."""
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    for variable in ("LYKEION_STORE", "LYKEION_TRUST", "LYKEION_DELIVERY", "CRYPTO_SIGNER_PATH_PREFIX"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


@pytest.fixture
def host(fleet: Fleet) -> Iterator[StaticHost]:
    with StaticHost(fleet.home / "public") as host:
        yield host
