"""What a Serving leaves to a cluster: the number of replicas, counts, and what replicas are given."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import Condition, condition_of
from lykeion.platform.lookups import FoundModel, GroupCores, GroupCounts, ModelVersion, RouteCounts
from lykeion.platform.policies.rollouts.serving_place import IN_A_CLUSTER
from lykeion.platform.resources.plain_kinds.autoscaling import Autoscaling
from lykeion.platform.resources.plain_kinds.replica_group import ReplicaArtifact
from lykeion.platform.resources.servings.canary import Canary, CanaryAnalysis, CanaryStep
from lykeion.platform.resources.servings.count_source import ReplicaMetric, ReplicaMetrics
from lykeion.platform.resources.servings.serving import IndexToServe, ModelToServe

from .servings import World, server, serving

BY_CPU = Autoscaling(min_replicas=1, max_replicas=8, target_cpu="800m")
STEPS = (CanaryStep(weight=50, pause_seconds=60),)
METRICS = ReplicaMetrics(
    requests=ReplicaMetric(name="http_requests_total"),
    failures=ReplicaMetric(name="http_requests_total", labels={"code": "5.."}),
)
DIGEST = "sha256:" + "ab" * 32


def _world(**spec: Any) -> World:
    world = World(serving(**spec), place=IN_A_CLUSTER)
    world.settle()
    return world


def _scaled(world: World, version: str, replicas: int) -> None:
    """As the cluster's autoscaler does it."""
    group = world.group(version)
    assert group
    world.scale(group, replicas)


def _unsupported(world: World) -> str:
    found = condition_of(world.status.conditions, "Unsupported")
    return found.message if found and found.status == "True" else ""


def test_the_clusters_number_of_replicas_stays_and_is_reported() -> None:
    world = _world(replicas=2, autoscaling=BY_CPU)
    one = world.group("one")
    assert one
    assert (one.spec.replicas, one.spec.autoscaling) == (2, BY_CPU)
    for replicas in (4, 1, 8):
        _scaled(world, "one", replicas)
        world.go_on(120)
        assert [each.spec.replicas for each in world.groups] == [replicas]
        assert world.status.replicas == world.status.ready == replicas
    assert world.status.recommendations == ()


def test_no_load_is_looked_up_where_the_cluster_scales() -> None:
    world = _world(autoscaling=structs.replace(BY_CPU, target_in_flight=3.0))
    world.wait(60)
    assert not [each for each in world.decide().reads if isinstance(each, RouteCounts | GroupCores)]


def test_from_fixed_to_autoscaling_and_back_nothing_dips() -> None:
    world = _world(replicas=3)
    seen: list[int] = []
    for scaling in (BY_CPU, None):
        world.change(autoscaling=scaling)
        for _ in range(5):
            world.step()
            world.run_children()
            seen += [each.spec.replicas for each in world.groups]
    assert set(seen) == {3}
    assert [each.spec.autoscaling for each in world.groups] == [None]


def test_the_stable_version_keeps_its_replicas_until_the_new_one_has_all_requests() -> None:
    world = _world(autoscaling=BY_CPU, canary=Canary(steps=STEPS))
    _scaled(world, "one", 4)
    world.settle()
    world.change(program=server("two"))
    world.settle()
    one, two = world.group("one"), world.group("two")
    assert one
    assert two
    assert one.spec.autoscaling == structs.replace(BY_CPU, min_replicas=4)
    assert (two.spec.replicas, two.spec.autoscaling) == (2, None)
    _scaled(world, "one", 2)  # it has half of the load, and the autoscaler has not seen the new limit yet
    world.settle()
    assert world.status.replicas == 4
    world.go_on(60)
    assert [(each.spec.replicas, each.spec.autoscaling) for each in world.groups] == [(4, BY_CPU)]
    assert world.weights == {"two": 100}


def test_requests_in_progress_are_a_measure_that_no_cluster_has() -> None:
    world = _world(replicas=2, autoscaling=Autoscaling(max_replicas=8, target_in_flight=4.0))
    assert "targetInFlight" in _unsupported(world)
    assert [(each.spec.replicas, each.spec.autoscaling) for each in world.groups] == [(2, None)]
    world.change(autoscaling=None)
    world.settle()
    assert _unsupported(world) == ""


def test_an_analysis_of_the_proxys_counts_is_inconclusive_and_says_what_to_name() -> None:
    analysis = CanaryAnalysis(interval_seconds=10, deadline_seconds=60)
    world = _world(canary=Canary(steps=STEPS, analysis=analysis))
    assert "name prometheus or replicaMetrics" in _unsupported(world)
    world.change(program=server("two"))
    world.settle()
    assert not [each for each in world.decide().reads if isinstance(each, RouteCounts)]
    world.go_on(120)
    assert world.weights == {"one": 50, "two": 50}
    inconclusive = condition_of(world.status.conditions, "Inconclusive")
    assert inconclusive
    assert inconclusive.status == "True"


@pytest.mark.parametrize(("failing", "left"), [(0.01, "two"), (0.3, "one")])
def test_the_replicas_own_counts_decide(failing: float, left: str) -> None:
    analysis = CanaryAnalysis(interval_seconds=10, deadline_seconds=600, replica_metrics=METRICS)
    world = _world(canary=Canary(steps=STEPS, analysis=analysis))
    world.counts = {each.metadata.name: GroupCounts("pods", 0, 0, 0, {}) for each in world.groups}
    world.change(program=server("two"))
    world.settle()
    world.serve(600, two=failing)
    assert world.weights == {left: 100}
    assert _unsupported(world) == ""


def test_a_name_that_no_service_can_have_is_unsupported_and_nothing_is_made() -> None:
    plain = serving()
    world = World(replace(plain, metadata=structs.replace(plain.metadata, name="3d-shoes")), place=IN_A_CLUSTER)
    world.settle()
    assert "begins with a digit" in _unsupported(world)
    assert world.children == {}


def test_what_group_and_route_say_of_their_place_is_a_condition_of_the_serving() -> None:
    world = _world(autoscaling=BY_CPU)
    one, route = world.group("one"), world.route
    assert one
    blind = Condition(type="Autoscaled", status="False", reason="NoMetrics", message="no metrics")
    ratio = Condition(type="Weighted", status="False", reason="RatioOfReplicas", message="the ratio")
    world.children[one.metadata.name] = one.with_status(structs.replace(one.status, conditions=(blind,)))
    world.children[route.metadata.name] = route.with_status(structs.replace(route.status, conditions=(ratio,)))
    world.settle(ready=False)
    told = [condition_of(world.status.conditions, each) for each in ("Autoscaled", "Weighted")]
    assert [each and (each.status, each.message) for each in told] == [
        ("False", "no metrics"),
        ("False", "the ratio"),
    ]


def _with_reference(reference: str, pinned: str, **spec: Any) -> World:
    world = World(serving(program=None, **spec), place=IN_A_CLUSTER)
    world.answers[ModelVersion(reference)] = FoundModel(pinned, DIGEST)
    world.settle()
    return world


def test_a_model_is_given_to_each_replica_by_its_digest() -> None:
    pinned = f"registry.example.com/shop/shoes@{DIGEST}"
    world = _with_reference("shop/shoes:champion", pinned, model=ModelToServe(reference="shop/shoes:champion"))
    (group,) = world.groups
    assert group.spec.artifacts == (ReplicaArtifact(variable="LYKEION_MODEL", artifact=pinned),)
    command = group.spec.program.command
    assert command[:6] == ("lykeion", "serve", "--model", "$(LYKEION_MODEL)", "--name", "shoes")
    assert "--open-address" in command


def test_an_index_is_given_to_each_replica_and_no_volume_is_made() -> None:
    pinned = f"registry.example.com/shop/index@{DIGEST}"
    world = _with_reference("shop/index:current", pinned, index=IndexToServe(reference="shop/index:current"))
    assert {each.kind.name for each in world.children.values()} == {"ReplicaGroup", "Route"}
    (group,) = world.groups
    assert group.spec.artifacts == (ReplicaArtifact(variable="LYKEION_INDEX", artifact=pinned),)
    assert group.spec.mounts == ()


def test_an_index_that_is_swapped_is_followed_beside_the_replica() -> None:
    index = IndexToServe(reference="shop/index:current", hot_swap=True, check_seconds=20)
    (group,) = _world(program=None, index=index).groups
    followed = ReplicaArtifact(variable="LYKEION_INDEX", artifact="shop/index:current", follow_seconds=20)
    assert group.spec.artifacts == (followed,)
    assert group.spec.program.command[:4] == ("lykeion", "serve", "--index", "$(LYKEION_INDEX)")
