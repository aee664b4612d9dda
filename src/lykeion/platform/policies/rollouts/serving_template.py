"""The version that a Serving's spec asks for: a template of replicas, and the hash that tells versions apart."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from lykeion.control import Wire
from lykeion.platform.resources.plain_kinds import Readiness, ReplicaArtifact, ReplicaGroupSpec
from lykeion.platform.resources.programs import Program, VolumeMount
from lykeion.platform.resources.servings import IndexToServe, ModelToServe, ServingSpec

from .serving_place import ON_A_MACHINE, ServingPlace

READY_PATH = "/readyz"
"""Of ``lykeion serve``."""
VARIABLE = "LYKEION_INDEX"
FETCHED = f"$({VARIABLE})/index"
"""Where the volume has an index of the registry."""
MODEL = "LYKEION_MODEL"
OPEN = ("--host", "0.0.0.0", "--open-address", "--open-metrics")  # noqa: S104
"""A pod is asked at its own address; who may connect is for network policies to say."""


def template(spec: ServingSpec, artifact: str, volume: str, place: ServingPlace = ON_A_MACHINE) -> ReplicaGroupSpec:
    """The replicas' spec, without their number.

    ``artifact`` is the version that the reference to the registry names now, ``volume`` where an index is fetched to.
    """
    served = spec.model or spec.index
    fetched = spec.index is not None and spec.index.rolled_out and not place.fetches
    return ReplicaGroupSpec(
        program=spec.program or (_given(spec, artifact) if place.fetches else _served(spec, artifact)),
        replicas=0,
        readiness=spec.readiness or Readiness(path=READY_PATH if served else None),
        liveness=spec.liveness,
        drain_seconds=spec.drain_seconds,
        grace_period_seconds=spec.grace_period_seconds,
        mounts=(VolumeMount(volume=volume, variable=VARIABLE, read_only=True),) if fetched else (),
        artifacts=_artifacts(spec, artifact) if place.fetches else (),
    )


def template_hash(spec: ReplicaGroupSpec) -> str:
    """Without what has its default: a field that a later release adds leaves the hash as it is."""
    encoded = msgspec.json.encode(_set_fields(structs.replace(spec, replicas=0)), order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:10]


def _served(spec: ServingSpec, artifact: str) -> Program:
    if spec.model:
        return _lykeion_serve(spec.model, "--model", artifact)
    index = spec.index
    assert index
    if index.hot_swap:
        return _lykeion_serve(index, "--index", str(index.reference), "--follow", str(index.check_seconds))
    return _lykeion_serve(index, "--index", index.path or FETCHED)


def _given(spec: ServingSpec, artifact: str) -> Program:
    """What a replica serves that its place gives the artifact."""
    if spec.model:
        name = re.split("[:@]", artifact.rpartition("/")[2])[0]
        _, _, digest = artifact.partition("@")
        return _lykeion_serve(spec.model, "--model", f"$({MODEL})", "--name", name, "--pulled", digest, *OPEN)
    assert spec.index
    return _lykeion_serve(spec.index, "--index", spec.index.path or f"$({VARIABLE})", *OPEN)


def _artifacts(spec: ServingSpec, artifact: str) -> tuple[ReplicaArtifact, ...]:
    if spec.model:
        return (ReplicaArtifact(variable=MODEL, artifact=artifact),)
    if spec.index is None or spec.index.reference is None:
        return ()
    if spec.index.hot_swap:
        every = spec.index.check_seconds
        return (ReplicaArtifact(variable=VARIABLE, artifact=spec.index.reference, follow_seconds=every),)
    return (ReplicaArtifact(variable=VARIABLE, artifact=artifact),)


def _lykeion_serve(what: ModelToServe | IndexToServe, *arguments: str) -> Program:
    return Program(
        command=("lykeion", "serve", *arguments, "--port", "$(PORT)"),
        args=what.options,
        env=what.env,
        resources=what.resources,
        pod=what.pod,
    )


def _set_fields(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_set_fields(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, Wire):
        return value
    fields: Mapping[str, Any] = structs.asdict(value)
    defaults = {each.name: each.default for each in structs.fields(value)}
    return {name: _set_fields(each) for name, each in fields.items() if each != defaults[name]}
