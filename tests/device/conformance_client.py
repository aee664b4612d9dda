"""The device's metadata client as a program with the command line of theupdateframework/tuf-conformance.

    pytest tuf_conformance --entrypoint "python tests/device/conformance_client.py"

``$FAKE_NOW``, which a stand-in for ``faketime`` sets, is the time: the client takes it as an argument.
"""

import argparse
import hashlib
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import urllib3
from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError

from lykeion.core import LykeionError
from lykeion.device.errors import UpdateMissing, UpdateUnavailable
from lykeion.device.trusted_metadata import TrustedMetadata

BUILT = datetime(1970, 1, 1, tzinfo=UTC)


def fetch(url: str, limit: int) -> bytes:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, preload_content=False, retries=False, timeout=10)
        if answer.status != 200:
            raise (UpdateMissing if answer.status in (403, 404) else UpdateUnavailable)(f"{url}: {answer.status}")
        data = answer.read(limit + 1)
    if len(data) > limit:
        raise UpdateUnavailable(f"{url}: more than {limit:,} bytes")
    return data


def download(trusted: TrustedMetadata, path: str, base: str, directory: Path, consistent: bool) -> None:
    target = trusted.file(path)
    if target is None:
        raise UpdateMissing(f"{path}: not signed")
    place = directory / hashlib.sha256(path.encode()).hexdigest()
    with suppress(OSError, LengthOrHashMismatchError):  # it is there
        return target.verify_length_and_hashes(place.read_bytes())
    name = target.get_prefixed_paths()[0] if consistent else path
    data = fetch(f"{base.rstrip('/')}/{name}", target.length)
    target.verify_length_and_hashes(data)
    place.write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--metadata-url", "--target-dir", "--target-base-url"):
        parser.add_argument(option)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--target-name", action="append", default=[])
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    given = parser.parse_args()
    built_in = given.metadata_dir / "built-in"
    if given.command == "init":
        built_in.write_bytes(given.root.read_bytes())
        (given.metadata_dir / "root.json").write_bytes(given.root.read_bytes())
        return
    fake = os.environ.get("FAKE_NOW")
    now = datetime.fromisoformat(fake).replace(tzinfo=UTC) if fake else datetime.now(UTC)
    trusted = TrustedMetadata(given.metadata_dir, built_in.read_bytes(), BUILT)
    base = given.metadata_url.rstrip("/")

    def below(name: str, limit: int) -> bytes:
        return fetch(f"{base}/{name}", limit)

    trusted.update(below, [], now, given.target_name)
    for path in given.target_name:
        download(trusted, path, given.target_base_url, Path(given.target_dir), trusted.consistent)


if __name__ == "__main__":
    try:
        main()
    except (LykeionError, RepositoryError, urllib3.exceptions.HTTPError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
