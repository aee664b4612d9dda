"""What signed metadata say of a target: the ``custom`` object of a TUF target file, as typed and bounded data.

It has no fractions, which the canonical JSON of TUF excludes, and no unknown fields: a release that adds one raises
``SCHEMA``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, TypeVar

from lykeion.core.fields import Field, Fields

from .errors import NewerRecord, RecordError

SCHEMA = 1
MAX_FILE_BYTES = 256 << 20
MAX_VERSION = 999_999_999
MAX_LATENCY_US = 3_600_000_000
MAX_DELTAS = 8
MAX_REVOKED = 1_000
METHODS = ("zstd", "subtract", "bsdiff4")
PACKINGS = ("none", "lykpack")

Record = TypeVar("Record")

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_RUNTIME = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")


@dataclass(frozen=True, slots=True)
class Delta:
    """A file from which a device that has ``base`` makes the target's file. ``method`` is one of METHODS."""

    base: str
    method: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CompanionFile:
    """The card, the labels and golden photos of a model, in the format of ``companion``."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SignedTarget:
    """One model version for one class of devices.

    ``manifest`` is the version's digest in the registry, ``file`` that of the LiteRT file, which is ``file_bytes``
    long; ``packing`` says how the downloaded target contains it. ``runtime_from`` and ``runtime_below`` are versions
    of the engine. ``space`` is the embedding space of an index, empty for a network that is no embedder;
    ``recall_permille`` is recall@10 of the file's vectors against that index, 0 where it is the index's own network.
    ``latency_us`` is the fastest run in the bench report of the class; 0 where it is not known.
    """

    model: str
    version: int
    manifest: str
    device_class: str
    engine: str
    threads: int
    runtime_from: str
    runtime_below: str
    file: str
    file_bytes: int
    packing: str
    space: str = ""
    recall_permille: int = 0
    latency_us: int = 0
    deltas: tuple[Delta, ...] = ()
    companion: CompanionFile | None = None

    @property
    def path(self) -> str:
        """The target's path in the repository."""
        return target_path(self.model, self.version, self.device_class)

    def to_json(self) -> dict[str, Any]:
        """A JSON value for ``read_target``."""
        return {"schema": SCHEMA, **_plain(self)}


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What holds for all versions of a model: those below ``minimum``, and files with a ``revoked`` digest, must not
    run even where they are already on a device."""

    model: str
    minimum: int = 1
    revoked: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return limits_path(self.model)

    def allows(self, version: int, file: str) -> bool:
        return version >= self.minimum and file not in self.revoked

    def to_json(self) -> dict[str, Any]:
        """A JSON value for ``read_limits``."""
        return {"schema": SCHEMA, **_plain(self)}


def target_path(model: str, version: int, device_class: str) -> str:
    return f"{model}/v{version}/{device_class}"


def version_at(path: str, model: str, device_class: str) -> int:
    """The version of a model for a class whose target is at a path; 0 if that is of something else."""
    text = path.removeprefix(f"{model}/v").removesuffix(f"/{device_class}")
    version = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return version if target_path(model, version, device_class) == path else 0


def limits_path(model: str) -> str:
    return f"{model}/limits"


def delta_path(model: str, digest: str) -> str:
    """Where a delta is, below the targets' address."""
    return f"{model}/delta/{digest.removeprefix('sha256:')}"


def companion_path(model: str, digest: str) -> str:
    return f"{model}/companion/{digest.removeprefix('sha256:')}"


def role_of(model: str) -> str:
    """The TUF role to which a model's targets are delegated."""
    return f"model.{model}"


def read_target(custom: object, path: str) -> SignedTarget:
    """The record of the target at ``path``, which it must name itself. Raises RecordError, NewerRecord."""
    found = _filled(_opened(custom, path), SignedTarget, _TARGET)
    if found.path != path:
        raise RecordError(f"{path}: its record is of {found.path}")
    if _numbers(found.runtime_from) >= _numbers(found.runtime_below):
        raise RecordError(f"{path}: no runtime is from {found.runtime_from} and below {found.runtime_below}")
    return found


def read_limits(custom: object, path: str) -> ModelLimits:
    """The limits at ``path``. Raises RecordError, NewerRecord."""
    found = _filled(_opened(custom, path), ModelLimits, _LIMITS)
    if found.path != path:
        raise RecordError(f"{path}: its record is of {found.path}")
    return found


def runs_on(target: SignedTarget, runtime: str) -> bool:
    """Whether a version of the engine, such as ``2.1.0``, is in the target's range."""
    numbers = _numbers(re.match(r"[0-9.]*", runtime)[0].strip(".") or "0")  # pyright: ignore[reportOptionalSubscript]
    return _numbers(target.runtime_from) <= numbers < _numbers(target.runtime_below)


def is_model_name(name: str) -> bool:
    """Whether it fits as a part of a path and of a role's name; also used for classes of devices."""
    return bool(_NAME.fullmatch(name)) and ".." not in name


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:  # 2.1.0 is 2.1
        numbers.pop()
    return tuple(numbers)


def _plain(record: Any) -> dict[str, Any]:
    """Its fields as JSON values; those that are empty are left out."""
    plain = asdict(record)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in plain.items()
        if value not in ("", 0, (), None)
    }


def _opened(custom: object, path: str) -> Fields:
    given = Field(path, custom, RecordError).fields()
    schema = given.required("schema", lambda field: field.number(1, MAX_VERSION))
    if schema > SCHEMA:
        raise NewerRecord(f"{path}: its record has schema {schema}; this release reads {SCHEMA}; update the software")
    return Fields(path, {name: value for name, value in given.values.items() if name != "schema"}, RecordError)


def _filled(given: Fields, kind: Callable[..., Record], reads: Mapping[str, "_Read"]) -> Record:
    """The record; a field that has a default may be missing. Raises RecordError."""
    given.only(*reads)
    made: Any = kind
    optional = {field.name for field in fields(made) if field.default is not MISSING}
    wanted = [name for name in reads if name in given or name not in optional]
    return kind(**{name: given.required(name, reads[name]) for name in wanted})


_Read = Callable[[Field], Any]


def _matching(pattern: re.Pattern[str], wanted: str) -> Callable[[Field], str]:
    def read(field: Field) -> str:
        if not isinstance(field.value, str) or not pattern.fullmatch(field.value):
            raise field.wrong(wanted)
        return field.value

    return read


def _name(field: Field) -> str:
    if not isinstance(field.value, str) or not is_model_name(field.value):
        raise field.wrong("a name of up to 64 lower-case letters, digits and ._-")
    return field.value


_digest = _matching(_DIGEST, "a digest, sha256: and 64 hexadecimal digits")
_runtime = _matching(_RUNTIME, "a version such as 2.1.0")


def _size(field: Field) -> int:
    return field.number(1, MAX_FILE_BYTES)


def _delta(field: Field) -> Delta:
    return _filled(field.fields(), Delta, _DELTA)


def _companion(field: Field) -> CompanionFile:
    return _filled(field.fields(), CompanionFile, _COMPANION)


def _up_to(most: int, read: _Read) -> _Read:
    def read_all(field: Field) -> tuple[Any, ...]:
        items = field.items()
        if len(items) > most:
            raise RecordError(f"{field.where} has {len(items)} entries; at most {most} are allowed")
        return tuple(read(item) for item in items)

    return read_all


_DELTA: dict[str, _Read] = {
    "base": _digest,
    "method": lambda field: field.one_of(METHODS),
    "digest": _digest,
    "size_bytes": _size,
}
_COMPANION: dict[str, _Read] = {"digest": _digest, "size_bytes": _size}
_TARGET: dict[str, _Read] = {
    "model": _name,
    "version": lambda field: field.number(1, MAX_VERSION),
    "manifest": _digest,
    "device_class": _name,
    "engine": _name,
    "threads": lambda field: field.number(1, 1_024),
    "runtime_from": _runtime,
    "runtime_below": _runtime,
    "file": _digest,
    "file_bytes": _size,
    "packing": lambda field: field.one_of(PACKINGS),
    "space": _digest,
    "recall_permille": lambda field: field.number(1, 1_000),
    "latency_us": lambda field: field.number(1, MAX_LATENCY_US),
    "deltas": _up_to(MAX_DELTAS, _delta),
    "companion": _companion,
}
_LIMITS: dict[str, _Read] = {
    "model": _name,
    "minimum": lambda field: field.number(1, MAX_VERSION),
    "revoked": _up_to(MAX_REVOKED, _digest),
}
