"""A device profile: how long each block of a search space takes on one device, as data.

It is a JSON file. A value in ``table`` is the latency of one block alone, in ms, by the block's key in the space;
``rest_ms`` is the latency of the rest, the same for every network of the space. Their sum, times ``scale``, plus
``offset_ms``, is the latency of a network: the two coefficients are fitted on whole networks measured on the device,
or are 1 and 0.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lykeion.core import Invalid, fitting, parse_json, read_json_as, write_atomically, writing

SCHEMA = "lykeion.device-profile"
VERSION = 1
MAX_PROFILE_BYTES = 16 << 20
MAX_ENTRIES = 100_000


class ProfileError(Invalid):
    """A device profile that cannot be read or written, or lacks a value; the message names the file or the field."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How busy the device was.

    ``reference_busy`` is how far the reference network's median pass was above its best, as a share of the best;
    ``worst_spread`` is the largest difference between the two best passes of a candidate.
    """

    reference_ms: float
    reference_busy: float
    worst_spread: float
    passes: int


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One device, engine, number of threads and search space. ``source`` says who measured. Raises ProfileError."""

    name: str
    soc: str
    engine: str
    engine_version: str
    threads: int
    precision: str
    space: str
    source: str
    created: str
    table: Mapping[str, float] = field(repr=False)
    rest_ms: float
    scale: float = 1.0
    offset_ms: float = 0.0
    fitted_on: int = 0
    """How many whole networks ``scale`` and ``offset_ms`` were fitted on."""
    fit_error: float | None = None
    """Mean error of the fit on these, as a share; None if an older release made the fit."""
    noise: Noise | None = None

    def __post_init__(self) -> None:
        for name in ("name", "soc", "engine", "engine_version", "precision", "space", "source", "created"):
            if not isinstance(getattr(self, name), str):
                raise ProfileError(f"device profile: {name} is {getattr(self, name)!r}; give a text")
        for name, least in (("threads", 1), ("fitted_on", 0)):
            if type(getattr(self, name)) is not int or getattr(self, name) < least:
                raise ProfileError(
                    f"device profile: {name} is {getattr(self, name)!r}; give a whole number ≥ {least}"
                )
        if not isinstance(self.table, Mapping) or not 1 <= len(self.table) <= MAX_ENTRIES:
            raise ProfileError(f"device profile: table must hold 1 to {MAX_ENTRIES} latencies")
        for key, value in self.table.items():
            if not _is_number(value) or value < 0:
                raise ProfileError(f"device profile: the latency of {key!r} is {value!r}; give milliseconds ≥ 0")
        for name in ("rest_ms", "scale", "offset_ms"):
            if not _is_number(getattr(self, name)):
                raise ProfileError(f"device profile: {name} is {getattr(self, name)!r}; give a number")
        if self.fit_error is not None and not (_is_number(self.fit_error) and self.fit_error >= 0):
            raise ProfileError(f"device profile: fit_error is {self.fit_error!r}; give a number ≥ 0")
        if self.scale <= 0 or self.rest_ms < 0:
            raise ProfileError("device profile: scale must be above 0, and rest_ms not below")

    def to_json(self) -> dict[str, Any]:
        """A JSON value for ``from_json``."""
        return {"schema": SCHEMA, "version": VERSION, **asdict(self), "table": dict(self.table)}

    @classmethod
    def from_json(cls, value: str | bytes | dict[str, Any]) -> "DeviceProfile":
        """Read JSON text or a JSON value, in this format or the published one. Raises ProfileError."""
        with fitting(ProfileError, "device profile"):
            plain = (
                dict(value)
                if isinstance(value, dict)
                else parse_json(value, ProfileError, "device profile", limit=MAX_PROFILE_BYTES)
            )
            if "schema" not in plain and "operations" in plain:
                return _from_published(plain)
            schema, version = plain.pop("schema", None), plain.pop("version", None)
            if schema != SCHEMA:
                raise ProfileError(f'not a device profile: its "schema" is {schema!r}, not {SCHEMA!r}')
            if version != VERSION:
                raise ProfileError(
                    f"device profile of version {version!r}; this release reads version {VERSION}: "
                    "use a matching release, or measure again"
                )
            noise = plain.pop("noise", None)
            return cls(**plain, noise=None if noise is None else Noise(**noise))


def read_profile(path: Path) -> DeviceProfile:
    """Raises ProfileError, which names the file."""
    return read_json_as(DeviceProfile.from_json, path, ProfileError, "device profile", limit=MAX_PROFILE_BYTES)


def write_profile(profile: DeviceProfile, path: Path) -> None:
    """Raises ProfileError."""
    with writing(path, ProfileError):
        write_atomically(path, (json.dumps(profile.to_json(), indent=1, ensure_ascii=False) + "\n").encode())


def entry_key(position: int, choice: str) -> str:
    """Key of a block in ``table``: the slot's position, from 0, and the choice as text: ``7/k5e6``."""
    return f"{position}/{choice}"


def _from_published(plain: dict[str, Any]) -> DeviceProfile:
    """The format in which Single-Path NAS published its Pixel 1 profile (arXiv:1904.02877).

    ``blocks`` lists all blocks of the network with the latency of each operation; the first and the last of them are
    the same in every network, and are already included in ``rest``.
    """
    operations: list[str] = list(plain["operations"])
    searched: list[dict[str, float]] = list(plain["blocks"])[1:-1]
    return DeviceProfile(
        name=plain["device"],
        soc=plain.get("soc", ""),
        engine=plain["engine"],
        engine_version=plain.get("engine_version", ""),
        threads=plain.get("threads", 1),
        precision=plain["precision"],
        space="single-path",
        source=plain["source"],
        created=plain.get("created", ""),
        table={
            entry_key(position, operation): block[operation]
            for position, block in enumerate(searched)
            for operation in operations
        },
        rest_ms=plain["rest"]["latency_ms"],
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
