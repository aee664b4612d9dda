from collections.abc import Iterator
from pathlib import Path

import pytest

from lykeion.oci.distribution import ArtifactStore, DiskStore, RemoteStore, Transport
from tests.oci.distribution.fake import Troubles, running
from tests.registry.behaviour import *  # noqa: F403


@pytest.fixture(params=["disk", "registry", "registry-with-all"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    if request.param == "disk":
        yield DiskStore(tmp_path / "store")
        return
    whole = request.param == "registry-with-all"
    with running(Troubles(referrers_api=whole, removes_tags=whole)) as registry:
        yield RemoteStore(Transport(registry.host))
