"""The version that a Serving's spec asks for: a template of replicas, and the hash that tells versions apart."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from lykeion.control import Wire
from lykeion.platform.resources.program import Program
from lykeion.platform.resources.replica_group import Readiness, ReplicaGroupSpec
from lykeion.platform.resources.serving import IndexToServe, ModelToServe, ServingSpec

READY_PATH = "/readyz"
"""Of ``lykeion serve``."""


def template(spec: ServingSpec, model: str) -> ReplicaGroupSpec:
    """The replicas' spec, without their number; ``model`` is the version that the model's reference names."""
    served = spec.model or spec.index
    return ReplicaGroupSpec(
        program=spec.program or _served(spec, model),
        replicas=0,
        readiness=spec.readiness or Readiness(path=READY_PATH if served else None),
        drain_seconds=spec.drain_seconds,
        grace_period_seconds=spec.grace_period_seconds,
    )


def template_hash(spec: ReplicaGroupSpec) -> str:
    """Without what has its default: a field that a later release adds leaves the hash as it is."""
    encoded = msgspec.json.encode(_set_fields(structs.replace(spec, replicas=0)), order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:10]


def _served(spec: ServingSpec, model: str) -> Program:
    if spec.model:
        return _lykeion_serve(spec.model, "--model", model)
    assert spec.index
    return _lykeion_serve(spec.index, "--index", spec.index.path)


def _lykeion_serve(what: ModelToServe | IndexToServe, option: str, value: str) -> Program:
    return Program(
        command=("lykeion", "serve", option, value, "--port", "$(PORT)"),
        args=what.options,
        env=what.env,
        resources=what.resources,
    )


def _set_fields(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_set_fields(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, Wire):
        return value
    fields: Mapping[str, Any] = structs.asdict(value)
    defaults = {each.name: each.default for each in structs.fields(value)}
    return {name: _set_fields(each) for name, each in fields.items() if each != defaults[name]}
