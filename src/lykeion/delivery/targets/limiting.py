"""What no device may run any more: a model's minimum version, and revoked files."""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tuf.api.metadata import TargetFile

from lykeion.delivery.errors import DeliveryError, NoSuchTarget
from lykeion.delivery.tuf import (
    Clock,
    TufRepository,
    files_of,
    keys_of,
    limits_of,
    next_edition,
    opened,
    records_of,
    roles_with,
    target_file,
    wall_clock,
)
from lykeion.device import MAX_REVOKED, ModelLimits, SignedTarget, role_of

from .published_records import read_record

Records = Mapping[str, SignedTarget]


def set_minimum(home: Path, model: str, version: int, *, clock: Clock = wall_clock) -> ModelLimits:
    """The lowest version that may run; targets below it leave the metadata. A lower minimum than before allows
    versions again. Raises NoSuchTarget, also where no version would be left."""

    def raised(limits: ModelLimits, records: Records) -> ModelLimits:
        if version > max((record.version for record in records.values()), default=0) and version > limits.minimum:
            raise NoSuchTarget(f"{model}: no version from v{version} on is published; publish one first")
        return replace(limits, minimum=version)

    return _limit(home, model, raised, clock)


def revoke(home: Path, model: str, version: int, *, clock: Clock = wall_clock) -> ModelLimits:
    """Take a version's files from all devices, and every target that has one of them from the metadata.

    Raises NoSuchTarget for a version that was never published, DeliveryError where too many are revoked.
    """

    def revoked(limits: ModelLimits, _: Records) -> ModelLimits:
        gone = dict.fromkeys((*limits.revoked, *read_record(home, model, version).files))
        if len(gone) > MAX_REVOKED:
            raise DeliveryError(f"{model}: over {MAX_REVOKED} revoked files; raise its minimum version instead")
        return replace(limits, revoked=tuple(gone))

    return _limit(home, model, revoked, clock)


def with_limits(
    repository: TufRepository, files: Mapping[str, TargetFile], limits: ModelLimits
) -> dict[str, TargetFile]:
    """With the target that has a model's limits, whose file is the record itself."""
    data = (json.dumps(limits.to_json(), sort_keys=True) + "\n").encode()
    target = target_file(limits.path, data, limits)
    repository.write_file(target.get_prefixed_paths()[0], data)
    return {**files, limits.path: target}


def _limit(
    home: Path, model: str, change: Callable[[ModelLimits, Records], ModelLimits], clock: Clock
) -> ModelLimits:
    with opened(home, clock=clock) as repository:
        state = repository.state()
        files = files_of(state, model)
        if not files:
            raise NoSuchTarget(f"no model {model[:80]!r} is published")
        records = records_of(files)
        limits = change(limits_of(files, model), records)
        allowed = {path: files[path] for path, each in records.items() if limits.allows(each.version, each.file)}
        content = roles_with(
            model, with_limits(repository, allowed, limits), state.roles, keys_of(state.targets, role_of(model))
        )
        repository.commit(next_edition(state, repository.press, content))
        return limits
