"""The children of a Serving: a group for each version that has requests, the routes to them, and verifications."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from msgspec import structs

from lykeion.control import AnyKind, AnyResource, Wire
from lykeion.platform.policies.artifacts import models_command
from lykeion.platform.policies.rollouts import FETCHED
from lykeion.platform.resources.plain_kinds import (
    REPLICA_GROUP,
    ROUTE,
    WORK,
    Autoscaling,
    RouteSpec,
    WeightedGroup,
    WorkSpec,
)
from lykeion.platform.resources.programs import VOLUME, EnvironmentVariable, VolumeSpec
from lykeion.platform.resources.servings import ServingStatus, ServingVersion, Verify

from .serving_load import autoscaling_of_stable
from .serving_view import ServingView

FETCH_RETRIES = 100
"""More than fit into the deadline of a rollout; the first version waits for the registry."""


def serving_children(view: ServingView, status: ServingStatus) -> tuple[AnyResource, ...]:
    if view.nameless:
        return ()
    return (*_groups(view, status), *_routes(view, status), *_verifications(view, status))


def _groups(view: ServingView, status: ServingStatus) -> Iterator[AnyResource]:
    if status.stable:
        scaling = autoscaling_of_stable(view, status)
        there = view.group(status.stable) if scaling else None
        replicas = there.spec.replicas if there else status.replicas
        yield from _group(view, status.stable, replicas, scaling)
    if status.rollout:
        yield from _group(view, status.rollout.version, view.replicas_of_new(status.rollout, status.replicas))
    for version in _retiring(view, status):
        yield from _group(view, version, None)


def _group(
    view: ServingView, version: ServingVersion, replicas: int | None, scaling: Autoscaling | None = None
) -> Iterator[AnyResource]:
    spec = view.group_spec(version)
    if spec is not None:
        if replicas is not None:
            replicas = replicas if view.can_start(version) else 0
            spec = structs.replace(spec, replicas=replicas, autoscaling=scaling)
        yield _child(view, REPLICA_GROUP, view.group_name(version), spec)
        for mount in spec.mounts:
            yield _child(view, VOLUME, mount.volume, VolumeSpec())
            pull = models_command(structs.replace(mount, read_only=False), "pull", version.artifact, FETCHED)
            pull = structs.replace(pull, retries=FETCH_RETRIES, on_failure=())
            yield _child(view, WORK, view.fetch_name(version), pull)


def _retiring(view: ServingView, status: ServingStatus) -> list[ServingVersion]:
    """Versions that get no requests from now on: their groups stay until the route and the status say so."""
    before: ServingStatus = view.serving.status
    now = [status.stable, status.rollout and status.rollout.version]
    versions = (before.stable, before.rollout and before.rollout.version)
    return [each for each in versions if each and each not in now and view.group(each)]


def _routes(view: ServingView, status: ServingStatus) -> Iterator[AnyResource]:
    if status.stable is None:
        return
    rollout, weight = status.rollout, status.rollout.weight if status.rollout else 0
    weights = {view.group_name(each): 0 for each in _retiring(view, status)}
    if rollout:
        weights[view.group_name(rollout.version)] = weight
    weights[view.group_name(status.stable)] = 100 - weight
    yield _route(view, view.route_name, view.serving.metadata.name, weights)
    if rollout and view.serving.spec.canary:
        preview = view.preview_name(rollout)
        yield _route(view, preview, preview, {view.group_name(rollout.version): 100})


def _route(view: ServingView, name: str, service: str, weights: dict[str, int]) -> AnyResource:
    groups = tuple(WeightedGroup(group=group, weight=weight) for group, weight in sorted(weights.items()))
    return _child(view, ROUTE, name, RouteSpec(service=service, groups=groups))


def _verifications(view: ServingView, status: ServingStatus) -> Iterator[AnyResource]:
    """Those of the last rollout stay, with their logs; when it has ended, none goes on."""
    found = {each.metadata.name: each for each in view.verifications(status.rollouts)}
    for each in found.values():
        spec = structs.replace(each.spec, stop=each.spec.stop or status.rollout is None)
        yield replace(each, spec=spec)
    rollout, canary = status.rollout, view.serving.spec.canary
    if rollout and rollout.phase == "Verifying" and canary and canary.verify:
        name = view.verify_name(rollout.number, rollout.step)
        urls = {"CANARY_URL": view.url(view.preview_name(rollout)), "STABLE_URL": view.url(view.route_name)}
        if name not in found and all(urls.values()):
            yield _verification(view, name, canary.verify, urls)


def _verification(view: ServingView, name: str, verify: Verify, urls: Mapping[str, str]) -> AnyResource:
    env = tuple(EnvironmentVariable(name=each, value=url) for each, url in urls.items())
    spec = WorkSpec(
        program=structs.replace(verify.program, env=(*env, *verify.program.env)),
        completions=1,
        retries=verify.retries,
        time_limit_seconds=verify.time_limit_seconds,
    )
    return _child(view, WORK, name, spec)


def _child(view: ServingView, kind: AnyKind, name: str, spec: Wire) -> AnyResource:
    return kind.new(name, spec, namespace=view.serving.metadata.namespace, owner=view.serving)
