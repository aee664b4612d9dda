from collections.abc import Iterator
from pathlib import Path

import pytest

from lykeion.registry import Store
from lykeion.registry.disk import DiskStore
from lykeion.registry.remote import RemoteStore
from lykeion.registry.transport import Transport
from tests.registry.behaviour import *  # noqa: F403
from tests.registry.fake import Troubles, running


@pytest.fixture(params=["disk", "registry", "registry-with-all"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "disk":
        yield DiskStore(tmp_path / "store")
        return
    whole = request.param == "registry-with-all"
    with running(Troubles(referrers_api=whole, removes_tags=whole)) as registry:
        yield RemoteStore(Transport(registry.host))
