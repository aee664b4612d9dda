"""Wheels for locked requirements: from directories, from the cache, else from an index by ``pip download``."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import digest_file, first_line
from lykeion.images.errors import RequirementError

from .interpreter import Interpreter
from .requirements import LockedRequirement
from .wheels import is_same_version


@dataclass(frozen=True)
class WheelFile:
    """A wheel of a locked requirement: ``version`` is the wheel's, which equals the locked one.

    ``sha256`` is in hexadecimal and matches the lock.
    """

    path: Path
    name: str
    version: str
    sha256: str


def collect(
    wanted: Sequence[LockedRequirement],
    interpreter: Interpreter,
    directories: Sequence[Path],
    cache: Path,
    *,
    index: bool,
) -> list[WheelFile]:
    """The best compatible wheel of each requirement, in their order.

    ``index`` allows ``pip download`` for wheels that neither ``directories`` nor ``cache`` has; indexes and
    credentials are configured in pip. Raises RequirementError.
    """
    found = _choose(wanted, interpreter, [*directories, cache])
    missing = [locked for locked in wanted if locked not in found]
    if missing and index:
        _download(missing, interpreter, cache)
        found |= _choose(missing, interpreter, [cache])
        missing = [locked for locked in wanted if locked not in found]
    if missing:
        raise RequirementError(_why(missing, interpreter, [*directories, cache], index=index))
    return [found[locked] for locked in wanted]


def lock(directory: Path) -> str:
    """Locked requirements for all wheels of a directory. Raises RequirementError."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    hashes: dict[tuple[str, str], list[str]] = {}
    for path in sorted(directory.glob("*.whl")):
        try:
            name, version, _, _ = parse_wheel_filename(path.name)
        except InvalidWheelFilename as error:
            raise RequirementError(first_line(error)) from None
        hashes.setdefault((name, str(version)), []).append(digest_file(path).removeprefix("sha256:"))
    if not hashes:
        raise RequirementError(f"{directory} has no wheels; build some, for example by `pip wheel`")
    return "".join(
        " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{value}" for value in sorted(values))]) + "\n"
        for (name, version), values in sorted(hashes.items())
    )


def _choose(
    wanted: Iterable[LockedRequirement], interpreter: Interpreter, directories: Iterable[Path]
) -> dict[LockedRequirement, WheelFile]:
    offered: dict[str, list[tuple[int, Path, str]]] = {}
    for directory in directories:
        for path, name, version, rank in _fitting(directory, interpreter):
            offered.setdefault(name, []).append((rank, path, version))
    chosen: dict[LockedRequirement, WheelFile] = {}
    for locked in wanted:
        for _, path, version in sorted(offered.get(locked.name, [])):
            sha256 = digest_file(path).removeprefix("sha256:")
            if sha256 in locked.hashes and is_same_version(locked.version, version):
                chosen[locked] = WheelFile(path, locked.name, version, sha256)
                break
    return chosen


def _fitting(directory: Path, interpreter: Interpreter) -> Iterator[tuple[Path, str, str, int]]:
    """Path, project, version and rank of the wheels in a directory that the interpreter can use."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    for path in sorted(directory.glob("*.whl")):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        ranks = [interpreter.tags[str(tag)] for tag in tags if str(tag) in interpreter.tags]
        if ranks:
            yield path, name, str(version), min(ranks)


def _download(wanted: Iterable[LockedRequirement], interpreter: Interpreter, cache: Path) -> None:
    """Download wheels into ``cache`` by pip, with hashes checked. Raises RequirementError with pip's last message."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        lock = Path(work, "requirements.txt")
        lock.write_text(
            "".join(
                f"{locked} " + " ".join(f"--hash=sha256:{value}" for value in sorted(locked.hashes)) + "\n"
                for locked in wanted
            )
        )
        done = subprocess.run(
            download_command(lock, interpreter, Path(work)),
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(os.environ),
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [
                "pip is not installed"
            ]
            raise RequirementError(f"pip download failed: {errors[-1].removeprefix('ERROR: ')}")
        for path in Path(work).glob("*.whl"):
            path.replace(cache / path.name)


def download_command(lock: Path, interpreter: Interpreter, into: Path) -> list[str]:
    """``pip download`` of wheels for an interpreter that is not this one."""
    platforms = [argument for platform in interpreter.platforms for argument in ("--platform", platform)]
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--implementation", "cp", "--python-version", interpreter.full_version or interpreter.short),
        *("--abi", "cp{}{}".format(*interpreter.version), "--abi", "abi3", "--abi", "none"),
        *platforms,
        *("--dest", str(into), "--requirement", str(lock)),
    ]


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {**ours, "PYTHONNOUSERSITE": "1"}


def _why(
    missing: Sequence[LockedRequirement], interpreter: Interpreter, directories: Sequence[Path], *, index: bool
) -> str:
    for directory in directories:
        for path, name, version, _ in _fitting(directory, interpreter):
            if name == missing[0].name and digest_file(path).removeprefix("sha256:") in missing[0].hashes:
                return (
                    f"{missing[0]} is locked with the hash of {path.name}, which is version {version}; lock it again"
                )
    places = ", ".join(map(str, directories[:-1])) or "no directory"
    where = f"{places}{' or the index' if index else ''}"
    others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return (
        f"no wheel of {missing[0]}{others} with a locked hash is compatible with Python {interpreter.short} on "
        f"{interpreter.platforms[0]} in {where}; build one by `pip wheel`, or set `index: true`"
    )
