from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from lykeion.delivery.device_service import FleetStore, open_fleet
from tests.delivery.fleet import Fleet
from tests.delivery.postgres import Postgres, postgres
from tests.delivery.static_host import StaticHost


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the tester's own."""
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    for variable in ("LYKEION_STORE", "LYKEION_TRUST", "LYKEION_DELIVERY", "CRYPTO_SIGNER_PATH_PREFIX"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


_bases = count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def open_base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], FleetStore]]:
    """Opens the same store of a fleet, as another process would."""
    state, made = "", list[FleetStore]()
    if request.param == "postgres":
        state = request.getfixturevalue("postgres_server").base(f"fleet{next(_bases)}")

    def again() -> FleetStore:
        made.append(open_fleet(tmp_path / "fleet", state))
        return made[-1]

    yield again
    for each in made:
        each.close()


@pytest.fixture
def base(open_base: Callable[[], FleetStore]) -> FleetStore:
    return open_base()


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


@pytest.fixture
def host(fleet: Fleet) -> Iterator[StaticHost]:
    with StaticHost(fleet.home / "public") as host:
        yield host
