"""The files of one target: the network, packed where that is smaller; deltas from earlier files; its companion."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lykeion.compress import pack_file
from lykeion.core import digest_bytes, read_bounded
from lykeion.delivery.errors import DeliveryError
from lykeion.device import (
    MAX_COMPANION_BYTES,
    MAX_COMPANION_PHOTOS,
    MAX_LATENCY_US,
    CompanionFile,
    Delta,
    SignedTarget,
    companion_path,
    delta_path,
    with_golden,
)
from lykeion.engines.choosing import BenchResult
from lykeion.engines.running import find_kind
from lykeion.litert.packed import unpack

from .delta_files import smallest_delta
from .space_price import own_space
from .versions_fetched import FetchedVersion, NetworkFile

MAX_GOLDEN_BYTES = 1 << 20
"""Of one golden photo."""
Bases = Mapping[str, bytes]
SpaceOf = Callable[[NetworkFile], tuple[str, int]]


@dataclass(frozen=True)
class TargetFiles:
    """``download`` is the target itself; ``others`` are files by path below the targets' address."""

    record: SignedTarget
    download: bytes
    others: Mapping[str, bytes]


class TargetMaker:
    """Makes the targets of one version; what classes share is made once. ``golden`` are photos; ``space_of`` says
    which embedding space a network's vectors are used in, and at what recall."""

    def __init__(self, version: FetchedVersion, golden: Sequence[bytes] = (), space_of: SpaceOf = own_space) -> None:
        self._version, self._golden, self._space_of = version, golden, space_of
        self._spaces: dict[str, tuple[str, int]] = {}
        self._packed: dict[str, tuple[str, bytes]] = {}
        self._deltas: dict[tuple[str, str], tuple[Delta, bytes] | None] = {}
        self._companions: dict[tuple[str, str], bytes] = {}

    def make(self, device_class: str, runs: BenchResult, bases: Bases) -> TargetFiles:
        """``bases`` are files that devices of the class may have, by digest. Raises DeliveryError, ModelError."""
        network, model = self._version.networks[runs.digest], self._version.model
        packing, download = self._pack(network)
        deltas = self._all_deltas(network, bases, len(download))
        others = {delta_path(model, delta.digest): content for delta, content in deltas}
        companion = self._companion(network, runs)
        if companion:
            others[companion_path(model, digest_bytes(companion))] = companion
        lowest, below = _runtime(runs.engine_version)
        if network.digest not in self._spaces:
            self._spaces[network.digest] = self._space_of(network)
        space, recall = self._spaces[network.digest]
        record = SignedTarget(
            model=model,
            version=self._version.version,
            manifest=self._version.manifest,
            device_class=device_class,
            engine=runs.engine,
            threads=runs.threads,
            runtime_from=lowest,
            runtime_below=below,
            file=network.digest,
            file_bytes=len(network.content),
            packing=packing,
            space=space,
            recall_permille=recall,
            latency_us=min(MAX_LATENCY_US, max(1, round(1_000 * runs.latency_ms))),
            deltas=tuple(delta for delta, _ in deltas),
            companion=CompanionFile(digest_bytes(companion), len(companion)) if companion else None,
        )
        return TargetFiles(record, download, others)

    def _pack(self, network: NetworkFile) -> tuple[str, bytes]:
        if network.digest not in self._packed:
            package = pack_file(network.content, name=network.name)
            smaller = len(package) < len(network.content)
            self._packed[network.digest] = ("lykpack", package) if smaller else ("none", network.content)
        return self._packed[network.digest]

    def _all_deltas(self, network: NetworkFile, bases: Bases, download_bytes: int) -> list[tuple[Delta, bytes]]:
        found: list[tuple[Delta, bytes]] = []
        for digest, base in bases.items():
            key = (digest, network.digest)
            if key not in self._deltas:
                made = smallest_delta(base, network.content, download_bytes) if digest != network.digest else None
                self._deltas[key] = (made.delta, made.content) if made else None
            found += [each for each in (self._deltas[key],) if each]
        return found

    def _companion(self, network: NetworkFile, runs: BenchResult) -> bytes:
        """Empty for a network without a card. Golden answers are those of the engine that the class runs."""
        if network.companion is None:
            if self._golden:
                raise DeliveryError(f"{network.name}: golden photos need a model card beside it")
            return b""
        key = (network.digest, runs.engine)
        if key not in self._companions:
            companion = network.companion
            if self._golden:
                kind = find_kind(runs.engine)
                with closing(kind.load(network.content, threads=runs.threads, name=network.name)) as engine:
                    companion = with_golden(companion, self._golden, engine)
            self._companions[key] = companion.to_bytes()
        if len(self._companions[key]) > MAX_COMPANION_BYTES:
            raise DeliveryError(
                f"{network.name}: card, labels and golden photos take over {MAX_COMPANION_BYTES:,} bytes"
            )
        return self._companions[key]


def unpacked(download: bytes, record: SignedTarget) -> bytes:
    """The network's file of a target. Raises PackageError."""
    return unpack(download, limit_bytes=record.file_bytes) if record.packing == "lykpack" else download


def read_golden(directory: Path) -> list[bytes]:
    """The photos in a directory, in order of their names. Raises DeliveryError."""
    paths = sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []
    if not 1 <= len(paths) <= MAX_COMPANION_PHOTOS:
        raise DeliveryError(f"{directory}: {len(paths)} golden photos; give from 1 to {MAX_COMPANION_PHOTOS}")
    return [read_bounded(path, DeliveryError, "golden photo", limit=MAX_GOLDEN_BYTES) for path in paths]


def _runtime(version: str) -> tuple[str, str]:
    """From the version that was measured to the next major one, where files may no longer load."""
    numbers = [part for part in version.split("+")[0].split(".")[:3] if part.isdecimal()]
    if not numbers:
        raise DeliveryError(f"the report's version of the engine, {version[:40]!r}, is none such as 2.1.0")
    return ".".join(numbers), str(int(numbers[0]) + 1)
