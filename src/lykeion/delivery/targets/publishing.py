"""From a version in the registry to signed targets, one for each class of devices."""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import TargetFile, Targets

from lykeion.core import digest_bytes
from lykeion.delivery.errors import DeliveryError
from lykeion.delivery.tuf import (
    Clock,
    RoleKey,
    TufRepository,
    TufState,
    files_of,
    keys_of,
    limits_of,
    next_edition,
    opened,
    own_key,
    read_state,
    records_of,
    roles_with,
    target_file,
    targets_directory,
    wall_clock,
    with_model,
)
from lykeion.device import MAX_DELTAS, ModelLimits, SignedTarget, role_of

from .device_classes import ClassFile, chosen, read_class_file
from .limiting import with_limits
from .published_records import PublishedRecord
from .space_price import IndexSpace, own_space
from .target_files import Bases, TargetFiles, TargetMaker, read_golden, unpacked
from .versions_fetched import FetchedVersion, fetch_version

KEEP = 2
"""Versions in the metadata: the new one and the one that devices fall back to."""


@dataclass(frozen=True)
class PublishOptions:
    """``goal`` replaces that of the file of classes; ``keep`` is how many versions stay, ``needed`` which others do;
    ``key`` signs a model that is new; ``golden`` is a directory of photos; ``space`` the index that an
    embedder is for, if not one of its own space."""

    classes: Path
    goal: str = ""
    trust: Path | None = None
    store: Path | None = None
    keep: int = KEEP
    needed: Collection[int] = ()
    key: RoleKey | None = None
    golden: Path | None = None
    space: IndexSpace | None = None


@dataclass(frozen=True)
class Published:
    """``download_bytes`` are by class; ``removed`` are versions that left the metadata."""

    model: str
    version: int
    targets: tuple[SignedTarget, ...]
    download_bytes: Mapping[str, int]
    removed: tuple[int, ...]


def publish(home: Path, name: str, options: PublishOptions, *, clock: Clock = wall_clock) -> Published:
    """Sign a version, such as ``shoes:champion``, for delivery. Nothing is published before all of it is checked.

    Raises Untrusted where the registry's policy does not allow the version, DeliveryError, NoSuchTarget,
    KeyUnavailable, RepositoryBusy.
    """
    file = read_class_file(options.classes)
    golden = read_golden(options.golden) if options.golden else []
    with tempfile.TemporaryDirectory(prefix="lykeion-delivery-") as folder:
        version = fetch_version(name, Path(folder, "version"), trust=options.trust, store=options.store)
    runs = chosen(file, version.networks.keys(), options.goal)
    maker = TargetMaker(version, golden, options.space.price if options.space else own_space)

    def make(state: TufState) -> list[TargetFiles]:
        files = files_of(state, version.model)
        return [maker.make(each, result, _bases(home, files, each, version)) for each, result in runs.items()]

    make(read_state(home))  # deltas take minutes, during which others may sign
    with opened(home, clock=clock) as repository:
        state = repository.state()
        _check(repository, version, limits_of(files_of(state, version.model), version.model))
        made = make(state)
        _write_record(home, version, file, made)
        return _commit(repository, state, version, made, options)


def _check(repository: TufRepository, version: FetchedVersion, limits: ModelLimits) -> None:
    source = repository.settings.sources.get(version.model, version.source)
    if source != version.source:
        raise DeliveryError(f"{version.model} is delivered from {source}; {version.source} is another model")
    if version.version < limits.minimum:
        raise DeliveryError(
            f"{version.model} v{version.version} is below the minimum, v{limits.minimum}; to allow it again: "
            f"lykeion delivery minimum {version.model} v{version.version}"
        )
    for network in version.networks.values():
        if network.digest in limits.revoked:
            raise DeliveryError(f"{version.model} v{version.version}: {network.name} was revoked")


def _bases(home: Path, files: Mapping[str, TargetFile], device_class: str, version: FetchedVersion) -> Bases:
    """Files of other versions that devices of a class may have, by digest; of the newest MAX_DELTAS."""
    found: dict[str, bytes] = {}
    others = [
        (path, record)
        for path, record in records_of(files).items()
        if record.device_class == device_class and record.version != version.version
    ]
    for path, record in sorted(others, key=lambda each: each[1].version, reverse=True)[:MAX_DELTAS]:
        place = targets_directory(home) / files[path].get_prefixed_paths()[0]
        content = unpacked(place.read_bytes(), record) if place.is_file() else b""
        if digest_bytes(content) == record.file:
            found[record.file] = content
    return found


def _commit(
    repository: TufRepository,
    state: TufState,
    version: FetchedVersion,
    made: list[TargetFiles],
    options: PublishOptions,
) -> Published:
    model, before = version.model, files_of(state, version.model)
    files = {path: file for path, file in before.items() if not path.startswith(f"{model}/v{version.version}/")}
    for each in made:
        target = target_file(each.record.path, each.download, each.record)
        files[each.record.path] = target
        repository.write_file(target.get_prefixed_paths()[0], each.download)
        for path, content in each.others.items():
            repository.write_file(path, content)
    files, removed = _live(files, model, options.keep, {*options.needed, version.version})
    files = with_limits(repository, files, limits_of(files, model))
    targets = state.targets
    changed: dict[str, Targets] = {}
    if role_of(model) not in state.roles:
        key = options.key or own_key(repository.home, role_of(model))
        repository.set(repository.settings.with_keys([key]).with_source(model, version.source))
        changed["targets"] = targets = with_model(targets, model, [key.public])
    changed |= roles_with(model, files, state.roles, keys_of(targets, role_of(model)))
    repository.commit(next_edition(state, repository.press, changed))
    return Published(
        model,
        version.version,
        tuple(each.record for each in made),
        {each.record.device_class: len(each.download) for each in made},
        removed,
    )


def _live(
    files: Mapping[str, TargetFile], model: str, keep: int, needed: Collection[int]
) -> tuple[dict[str, TargetFile], tuple[int, ...]]:
    """Without the targets that nobody needs, and the versions that are left out."""
    records = records_of(files)
    versions = sorted({record.version for record in records.values()}, reverse=True)
    live = {*versions[:keep], *needed}
    gone = {path for path, record in records.items() if record.version not in live}
    removed = tuple(version for version in versions if version not in live)
    return {path: file for path, file in files.items() if path not in gone}, removed


def _write_record(home: Path, version: FetchedVersion, file: ClassFile, made: list[TargetFiles]) -> None:
    record = PublishedRecord(file.goal, file.classes, tuple(dict.fromkeys(each.record.file for each in made)))
    record.write(home, version.model, version.version)
