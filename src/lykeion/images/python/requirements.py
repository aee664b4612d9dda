"""Locked requirements: ``name==version`` with SHA-256 hashes, as ``uv pip compile --generate-hashes`` writes them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lykeion.core import first_line
from lykeion.images.errors import RequirementError

from .interpreter import Interpreter

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.requirements import Requirement

LIMIT_BYTES = 8 << 20

_HASH = re.compile(r"\s--hash[= ](\w+):([0-9a-fA-F]+)")


@dataclass(frozen=True)
class LockedRequirement:
    """``name`` is normalised (PEP 503); ``hashes`` are SHA-256 in hexadecimal, one for each acceptable file."""

    name: str
    version: str
    hashes: frozenset[str]
    line: int

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def read_requirements(path: Path, interpreter: Interpreter) -> list[LockedRequirement]:
    """The file's requirements for this interpreter, by name. Raises RequirementError, naming file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RequirementError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LIMIT_BYTES:
        raise RequirementError(f"{path} has {len(data):,} bytes; at most {LIMIT_BYTES:,} are allowed")
    found: dict[str, LockedRequirement] = {}
    for number, text in _logical_lines(data.decode("utf-8", "replace")):
        locked = _parse(text, f"{path}, line {number}", number, interpreter)
        if locked is None:
            continue
        if (other := found.get(locked.name)) and other.version != locked.version:
            raise RequirementError(f"{path}, line {number}: {locked} conflicts with {other} on line {other.line}")
        found[locked.name] = locked
    return [found[name] for name in sorted(found)]


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with continuations joined and comments removed, each with the number of its first line."""
    lines: list[tuple[int, str]] = []
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            if joined := " ".join(parts).strip():
                lines.append((number - len(parts) + 1, joined))
            parts = []
    return lines


def _parse(text: str, where: str, number: int, interpreter: Interpreter) -> LockedRequirement | None:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if text.startswith("-"):
        option = text.split()[0]
        raise RequirementError(
            f"{where}: {option} is not supported; write all requirements as name==version --hash=…"
        )
    try:
        requirement = Requirement(re.split(r"\s--", text)[0])
    except (InvalidRequirement, RecursionError) as error:
        raise RequirementError(f"{where}: {first_line(error)}") from None
    if requirement.marker and not _applies(requirement.marker, interpreter, f"{where}: {requirement.name}"):
        return None
    hashes = frozenset(value.lower() for kind, value in _HASH.findall(text) if kind == "sha256")
    if not hashes:
        raise RequirementError(f"{where}: {requirement.name} has no --hash=sha256:…; lock it, with hashes")
    return LockedRequirement(canonicalize_name(requirement.name), _version(requirement, where), hashes, number)


def _applies(marker: "Marker", interpreter: Interpreter, where: str) -> bool:
    """Raises RequirementError for markers that the base's files cannot answer."""
    if re.search(r"\bplatform_(release|version)\b", str(marker)):
        raise RequirementError(f"{where} depends on the kernel of the host; remove the marker")
    try:
        answers = {marker.evaluate(environment) for environment in interpreter.environments()}
    except ValueError as error:
        raise RequirementError(f"{where}: {first_line(error)}") from None
    if len(answers) > 1:
        raise RequirementError(
            f"{where} depends on the full version of the base's Python {interpreter.short}, which its files do not "
            "tell; leave the marker out, or take another base"
        )
    return answers.pop()


def _version(requirement: "Requirement", where: str) -> str:
    pins = [pin for pin in requirement.specifier if pin.operator in ("==", "===") and not pin.version.endswith(".*")]
    if len(pins) != 1 or len(requirement.specifier) != 1 or requirement.url:
        raise RequirementError(f"{where}: {requirement.name} is not locked; write it as {requirement.name}==VERSION")
    return pins[0].version
