"""What is published is what the unmodified client of python-tuf reads over HTTP."""

from pathlib import Path

from lykeion.core import digest_bytes
from lykeion.delivery import PublishOptions, publish
from lykeion.device import read_limits, read_target
from tests.delivery.fleet import Fleet
from tests.delivery.static_host import StaticHost


def test_a_version_is_downloaded_by_the_client_of_python_tuf(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    files = fleet.push(1)
    publish(fleet.home, "shoes:champion", PublishOptions(fleet.classes(files)), clock=fleet.clock)
    client = host.client(tmp_path / "device")
    for device_class, network in (("low", "tiny"), ("any", "wide")):
        target = client.get_targetinfo(f"shoes/v1/{device_class}")
        assert target is not None
        record = read_target(target.custom, target.path)
        assert (record.engine, record.threads, record.runtime_from, record.runtime_below) == (
            "litert",
            2,
            "2.1.0",
            "3",
        )
        assert record.file == digest_bytes(files[network])
        assert record.file_bytes == len(files[network])
        downloaded = Path(client.download_target(target)).read_bytes()
        assert record.packing == "lykpack"
        from lykeion.litert.packed import unpack

        assert unpack(downloaded) == files[network]
    limits = client.get_targetinfo("shoes/limits")
    assert limits is not None
    assert read_limits(limits.custom, limits.path).minimum == 1
    assert client.get_targetinfo("shoes/v2/low") is None
