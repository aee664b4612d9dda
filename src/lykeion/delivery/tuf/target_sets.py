"""The targets of a model's role, and its delegation from the top. Pure functions over TUF's objects.

Above BINS_ABOVE targets, they move to hashed bins below the model's role (TAP 15), so that a device fetches one bin
and not all; a role with bins keeps them.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from tuf.api.metadata import DelegatedRole, Delegations, Key, SuccinctRoles, TargetFile, Targets

from lykeion.device import ModelLimits, SignedTarget, limits_path, read_limits, read_target, role_of

from .tuf_state import TufState, delegated

BINS_ABOVE = 2_000
BIN_BITS = 6
"""64 bins."""


def target_file(path: str, data: bytes, record: SignedTarget | ModelLimits) -> TargetFile:
    """A target with its record. Raises RecordError for one that no device would read."""
    made = TargetFile.from_data(path, data, ["sha256"])
    made.unrecognized_fields["custom"] = record.to_json()
    if isinstance(record, SignedTarget):
        read_target(made.custom, record.path)
    else:
        read_limits(made.custom, record.path)
    return made


def with_model(targets: Targets, model: str, keys: Iterable[Key], threshold: int = 1) -> Targets:
    """The top-level targets, delegating a model's paths to its role with these keys."""
    found, keys = deepcopy(targets), list(keys)
    found.delegations = found.delegations or Delegations({}, {})
    roles = found.delegations.roles or {}
    for keyid in list(roles[role_of(model)].keyids) if role_of(model) in roles else ():
        found.revoke_key(keyid, role_of(model))
    paths = [limits_path(model), f"{model}/v*/*"]
    roles[role_of(model)] = DelegatedRole(role_of(model), [], threshold, terminating=True, paths=paths)
    found.delegations.roles = roles
    for key in keys:
        found.add_key(key, role_of(model))
    return found


def models_of(state: TufState) -> list[str]:
    return sorted(name.removeprefix("model.") for name in delegated(state.targets))


def files_of(state: TufState, model: str) -> dict[str, TargetFile]:
    """All target files of a model by path; empty for a model that is not there."""
    role = state.roles.get(role_of(model))
    if role is None:
        return {}
    bins = [state.roles[name].signed for name in delegated(role.signed)]
    return {path: file for each in (role.signed, *bins) for path, file in each.targets.items()}


def records_of(files: Mapping[str, TargetFile]) -> dict[str, SignedTarget]:
    """The records of targets by path, without the limits. Raises RecordError."""
    return {path: read_target(file.custom, path) for path, file in files.items() if not path.endswith("/limits")}


def limits_of(files: Mapping[str, TargetFile], model: str) -> ModelLimits:
    """Raises RecordError."""
    file = files.get(limits_path(model))
    return read_limits(file.custom, file.path) if file else ModelLimits(model)


def roles_with(
    model: str, files: Mapping[str, TargetFile], present: Mapping[str, Any], keys: Iterable[Key]
) -> dict[str, Targets]:
    """The contents of a model's role and of its bins with these files; without bins that are as the ``present`` ones.

    ``keys`` are the role's, which sign its bins too."""
    role = role_of(model)
    before: Targets | None = present[role].signed if role in present else None
    succinct = before.delegations.succinct_roles if before and before.delegations else None
    own = {path: file for path, file in files.items() if path == limits_path(model)}
    if succinct is None and len(files) - len(own) <= BINS_ABOVE:
        return {role: Targets(targets=dict(files))}
    keys = list(keys)
    bins = SuccinctRoles([key.keyid for key in keys], 1, BIN_BITS, f"{role}.bin")
    content: dict[str, dict[str, TargetFile]] = {name: {} for name in bins.get_roles()}
    for path, file in files.items():
        if path not in own:
            content[bins.get_role_for_target(path)][path] = file
    delegations = Delegations({key.keyid: key for key in keys}, succinct_roles=bins)
    same_keys = succinct is not None and succinct.keyids == bins.keyids
    changed = {
        name: Targets(targets=inner)
        for name, inner in content.items()
        if not (same_keys and name in present and present[name].signed.targets == inner)
    }
    return {role: Targets(targets=own, delegations=delegations), **changed}
