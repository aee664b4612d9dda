"""What a Serving does next, from what is observed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import Condition, condition_of, is_true
from lykeion.core import Unavailable
from lykeion.platform.lookups import FoundModel, GroupCores, GroupCounts, ModelVersion, RouteCounts
from lykeion.platform.policies.rollouts.serving_place import IN_A_CLUSTER, ON_A_MACHINE, ServingPlace
from lykeion.platform.policies.rollouts.serving_template import template, template_hash
from lykeion.platform.resources.plain_kinds.autoscaling import Autoscaling
from lykeion.platform.resources.plain_kinds.work import WORK, FailedAttempt, WorkStatus
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.programs.program_volume import VOLUME
from lykeion.platform.resources.servings.canary import Canary, CanaryAnalysis, CanaryStep, Verify
from lykeion.platform.resources.servings.count_source import PrometheusQueries, ReplicaMetric, ReplicaMetrics
from lykeion.platform.resources.servings.serving import IndexToServe, ModelToServe, ServingSpec

from .servings import Killed, World, server, serving

STEPS = (CanaryStep(weight=10, pause_seconds=60), CanaryStep(weight=50, pause_seconds=60))
TIMED = Canary(steps=STEPS)
ANALYSED = Canary(steps=STEPS, analysis=CanaryAnalysis(deadline_seconds=600))


def _serving_one(**spec: Any) -> World:
    world = World(serving(**spec))
    world.settle()
    assert world.weights == {"one": 100}
    return world


def _with_two(**spec: Any) -> World:
    """The rollout of another version, in its first step."""
    world = _serving_one(**spec)
    world.change(program=server("two"))
    world.settle()
    return world


def _condition(world: World, type_: str) -> tuple[str, str]:
    found = condition_of(world.status.conditions, type_)
    assert found
    return found.status, found.reason


def test_the_first_version_serves_and_is_ready_with_all_its_replicas() -> None:
    world = World(serving(replicas=2))
    world.settle(ready=False)
    assert world.weights == {"one": 100}
    assert _condition(world, "Ready") == ("False", "ReplicasNotReady")
    world.settle()
    assert _condition(world, "Ready") == ("True", "ReplicasReady")
    assert is_true(world.status.conditions, "Available")
    assert (world.status.observed_generation, world.status.url) == (1, "http://shop")


def test_a_new_version_gets_requests_when_all_its_replicas_are_ready_and_then_the_old_one_ends() -> None:
    world = _serving_one(replicas=2)
    world.change(program=server("two"))
    world.settle(ready=False)
    assert world.weights == {"one": 100}
    assert _condition(world, "Ready") == ("False", "RollingOut")
    two = world.group("two")
    assert two
    world.report(two, ready=1)
    world.settle(ready=False)
    assert world.weights == {"one": 100}
    world.report(two, ready=2)
    world.step()
    assert world.weights == {"two": 100}
    assert len(world.groups) == 2  # requests go to the new version before the old one is deleted
    world.settle(ready=False)
    assert [each.spec.program for each in world.groups] == [server("two")]
    assert [each.outcome for each in world.status.history] == ["Promoted"]


def test_a_canary_gets_its_weights_one_after_another_with_replicas_for_them() -> None:
    world = _with_two(canary=TIMED, replicas=4)
    assert world.weights == {"one": 90, "two": 10}
    assert [each.spec.replicas for each in world.groups] == [4, 1]
    world.go_on(59)
    assert world.weights == {"one": 90, "two": 10}
    world.go_on(1)
    assert world.weights == {"one": 50, "two": 50}
    assert [each.spec.replicas for each in world.groups] == [4, 2]
    world.go_on(60)
    assert world.weights == {"two": 100}
    assert [each.spec.replicas for each in world.groups] == [4]
    assert world.events == ["RolloutStarted", "Weight", "Weight", "Promoted"]


def test_a_harmful_version_is_rolled_back_with_the_reason_and_not_tried_again() -> None:
    world = _with_two(canary=ANALYSED)
    world.serve(300, two=0.2)
    assert world.weights == {"one": 100}
    assert [each.spec.program for each in world.groups] == [server("one")]
    last = world.status.history[-1]
    assert (last.outcome, last.reason) == ("RolledBack", "Harm")
    assert "requests failed, stable:" in last.message
    assert _condition(world, "Ready") == ("False", "RolledBack")
    assert is_true(world.status.conditions, "Stalled")
    assert is_true(world.status.conditions, "Available")
    assert world.events[-1] == "RolledBack"
    world.change(replicas=2)
    world.go_on(3600)
    assert world.status.rollouts == 1


PROMETHEUS = PrometheusQueries(
    url="http://prometheus:9090",
    requests='sum(http_requests_total{group="$(group)"})',
    failures='sum(http_requests_total{group="$(group)",code=~"5.."})',
)
METRICS = ReplicaMetrics(
    requests=ReplicaMetric(name="http_requests_total"),
    failures=ReplicaMetric(name="http_requests_total", labels={"code": "5.."}),
)


@pytest.mark.parametrize("source", [{"prometheus": PROMETHEUS}, {"replica_metrics": METRICS}])
@pytest.mark.parametrize(("failures", "outcome"), [(0.2, "RolledBack"), (0.01, "Promoted")])
def test_counts_may_come_from_elsewhere(source: dict[str, Any], failures: float, outcome: str) -> None:
    assert ANALYSED.analysis
    analysis = structs.replace(ANALYSED.analysis, **source)
    world = _with_two(canary=structs.replace(ANALYSED, analysis=analysis))
    world.serve(600, two=failures)
    assert [each.outcome for each in world.status.history] == [outcome]


def test_slow_requests_are_compared_only_where_they_are_counted() -> None:
    for source in ({"prometheus": PROMETHEUS}, {"replica_metrics": METRICS}):
        with pytest.raises(ValueError, match="slowSeconds needs"):
            CanaryAnalysis(slow_seconds=0.5, **source)
    CanaryAnalysis(slow_seconds=0.5, prometheus=structs.replace(PROMETHEUS, slow="slow_total{group='$(group)'}"))
    CanaryAnalysis(slow_seconds=0.5, replica_metrics=structs.replace(METRICS, latency="http_seconds"))


def test_a_good_version_goes_on_as_soon_as_that_is_known() -> None:
    world = _with_two(canary=ANALYSED)
    world.serve(600)
    assert world.weights == {"two": 100}
    assert [each.reason for each in world.status.history] == ["Promoted"]


def test_after_a_restart_of_the_proxy_no_interval_is_compared_with_the_counts_from_before() -> None:
    world = _with_two(canary=ANALYSED)
    world.serve(20)
    world.counts = {name: GroupCounts("restarted", 9000, 9000, 0, {}) for name in world.counts}
    world.serve(10)
    rollout = world.status.rollout
    assert rollout
    assert rollout.analysis.canary_seen.failures <= 2
    assert rollout.weight == 10


def test_without_counts_the_analysis_waits() -> None:
    world = _with_two(canary=ANALYSED)
    world.answers[RouteCounts("default", world.route.metadata.name)] = Unavailable("the proxy does not answer")
    world.go_on(120)
    assert world.weights == {"one": 90, "two": 10}


@pytest.mark.parametrize(
    ("default", "weights"),
    [("Wait", {"one": 90, "two": 10}), ("Promote", {"one": 50, "two": 50}), ("Rollback", {"one": 100})],
)
def test_with_little_traffic_it_is_inconclusive_and_the_spec_says_what_follows(
    default: Any, weights: dict[str, int]
) -> None:
    analysis = CanaryAnalysis(deadline_seconds=600, when_inconclusive=default)
    world = _with_two(canary=Canary(steps=STEPS, analysis=analysis))
    world.go_on(599)
    assert not is_true(world.status.conditions, "Inconclusive")
    world.go_on(12)
    assert world.weights == weights
    assert is_true(world.status.conditions, "Inconclusive") == (default == "Wait")


def test_a_crash_rolls_back_at_once() -> None:
    world = _with_two(canary=TIMED)
    two = world.group("two")
    assert two
    world.report(two, restarts=1, last_exit="exit code 1: no memory")
    world.settle(ready=False)
    assert world.weights == {"one": 100}
    assert "no memory" in world.status.history[-1].message


def test_lost_readiness_rolls_back_unless_the_stable_version_has_lost_it_too() -> None:
    world = _with_two(canary=TIMED)
    one, two = world.group("one"), world.group("two")
    assert one
    assert two
    world.report(one, ready=0)
    world.report(two, ready=0)
    for _ in range(10):
        world.step()
        world.wait(1)
    world.report(one, ready=1)
    world.step()
    assert world.weights == {"one": 90, "two": 10}
    world.settle()
    world.report(two, ready=0)
    world.settle(ready=False)
    world.wait(5)
    world.settle(ready=False)
    assert world.weights == {"one": 100}
    assert world.status.history[-1].reason == "NotReady"


def _verified() -> Canary:
    return Canary(steps=STEPS, verify=Verify(program=Program(command=("check",))))


def test_the_command_verifies_each_step_before_its_weight() -> None:
    world = _with_two(canary=_verified())
    world.go_on(200)
    works = [each for each in world.children.values() if each.kind is WORK]
    assert len(works) == 2
    env = {each.name: each.value for each in works[0].spec.program.env}
    assert env["STABLE_URL"] == "http://shop"
    assert env["CANARY_URL"].startswith("http://shop-")
    assert world.weights == {"two": 100}


def test_a_version_that_fails_verification_gets_no_requests() -> None:
    world = _serving_one(canary=_verified())
    world.change(program=server("two"))
    for _ in range(2):
        world.run_children()
        world.step()
    (work,) = [each for each in world.children.values() if each.kind is WORK]
    failure = FailedAttempt(index=0, attempt=0, reason="ExitCode", exit_code=1, message="boots, not shoes")
    world.children[work.metadata.name] = work.with_status(WorkStatus(failed="0", failures=(failure,)))
    world.settle()
    assert world.weights == {"one": 100}
    assert "Weight" not in world.events
    assert (world.status.history[-1].reason, "boots" in world.status.history[-1].message) == ("VerifyFailed", True)
    assert [each.spec.stop for each in world.children.values() if each.kind is WORK] == [True]  # its log stays


def test_the_old_spec_applied_midway_rolls_back_and_is_no_failure() -> None:
    world = _with_two(canary=TIMED)
    world.change(program=server("one"))
    world.settle()
    assert world.weights == {"one": 100}
    assert _condition(world, "Ready")[0] == "True"
    world.change(program=server("two"))
    world.settle()
    assert world.weights == {"one": 90, "two": 10}


def test_a_third_version_starts_anew_from_the_stable_one() -> None:
    world = _with_two(canary=TIMED)
    world.go_on(60)
    assert world.weights == {"one": 50, "two": 50}
    world.change(program=server("three"))
    world.settle()
    assert world.weights == {"one": 90, "three": 10}
    assert [each.spec.program for each in world.groups] == [server("one"), server("three")]
    assert world.status.history[-1].reason == "Superseded"


def test_promote_and_abort_have_an_effect_once() -> None:
    world = _with_two(canary=TIMED)
    world.change(abort="first")
    world.settle()
    assert world.weights == {"one": 100}
    assert world.status.history[-1].reason == "Aborted"
    world.change(program=server("three"))
    world.settle()
    assert world.weights == {"one": 90, "three": 10}
    world.change(promote="now")
    world.settle()
    assert world.weights == {"three": 100}
    world.change(program=server("four"))
    world.settle()
    assert world.weights == {"three": 90, "four": 10}


def test_promote_takes_a_version_that_was_rolled_back() -> None:
    world = _with_two(canary=TIMED)
    world.change(abort="bad")
    world.settle()
    world.change(promote="good after all")
    world.settle()
    assert world.weights == {"two": 100}


def test_where_no_replica_is_ready_a_new_version_takes_over_without_steps() -> None:
    world = _serving_one(canary=TIMED)
    one = world.group("one")
    assert one
    world.report(one, ready=0)
    world.change(program=server("two"))
    world.step()
    world.settle()
    assert world.weights == {"two": 100}


def test_a_version_that_does_not_become_ready_in_time_is_rolled_back() -> None:
    world = _serving_one(progress_deadline_seconds=60)
    world.change(program=server("two"))
    world.settle(ready=False)
    assert world.decide().requeue_after_s == 60
    world.wait(60)
    world.settle(ready=False)
    assert world.weights == {"one": 100}
    assert world.status.history[-1].reason == "ProgressDeadlineExceeded"


def test_what_a_new_version_lacks_is_said_while_it_waits_and_when_it_is_rolled_back() -> None:
    world = _serving_one(progress_deadline_seconds=60)
    world.change(program=server("two"))
    world.settle(ready=False)
    two = world.group("two")
    assert two
    room = Condition(type="Unschedulable", status="True", message="it needs 8 cores, of 2")
    world.report(two, conditions=(room,))
    world.settle(ready=False)
    for type_ in ("Ready", "Progressing"):
        found = condition_of(world.status.conditions, type_)
        assert found
        assert "it needs 8 cores, of 2" in found.message
    world.wait(60)
    world.settle(ready=False)
    assert world.status.history[-1].message == "0 of 1 replicas are ready after 60 s; it needs 8 cores, of 2"


def test_if_the_group_of_the_stable_version_is_deleted_what_there_is_serves() -> None:
    world = _with_two(canary=TIMED)
    one = world.group("one")
    assert one
    world.checks = False
    del world.children[one.metadata.name]
    world.settle()
    assert world.weights == {"two": 100}


SHOES = ModelVersion("shoes:champion")


def _model() -> World:
    world = World(serving(program=None, model=ModelToServe(reference="shoes:champion"), canary=TIMED))
    world.answers[SHOES] = FoundModel("shoes:v1", "sha256:1")
    return world


def test_an_alias_is_followed_and_the_version_pinned() -> None:
    world = _model()
    world.settle()
    (group,) = world.groups
    assert group.spec.program.command == ("lykeion", "serve", "--model", "shoes:v1", "--port", "$(PORT)")
    assert group.spec.readiness.path == "/readyz"
    world.answers[SHOES] = FoundModel("shoes:v2", "sha256:2")
    world.go_on(59)
    assert world.status.rollout is None
    world.go_on(1)
    assert world.status.rollout
    assert world.status.rollout.version.artifact == "shoes:v2"
    world.answers[SHOES] = FoundModel("shoes:v1", "sha256:1")
    world.go_on(70)
    assert (world.status.history[-1].reason, len(world.groups)) == ("Reverted", 1)


def test_without_the_registry_the_version_that_was_found_stays() -> None:
    world = _model()
    world.settle()
    world.answers[SHOES] = Unavailable("the registry does not answer")
    world.go_on(120)
    assert _condition(world, "Ready")[0] == "True"
    assert world.status.found
    assert world.status.found.error == "the registry does not answer"


@pytest.mark.parametrize("answer", [None, Unavailable("the registry does not answer")])
def test_a_model_that_is_not_found_is_reported_and_nothing_is_started(answer: Any) -> None:
    world = _model()
    world.answers[SHOES] = answer
    world.settle()
    assert _condition(world, "Ready") == ("False", "NotInRegistry")
    assert world.children == {}


def test_an_index_is_served_by_its_path() -> None:
    world = World(serving(program=None, index=IndexToServe(path="/indexes/shop", options=("--threads", "2"))))
    world.settle()
    (group,) = world.groups
    assert group.spec.program.command[:4] == ("lykeion", "serve", "--index", "/indexes/shop")
    assert group.spec.program.args == ("--threads", "2")


def test_replicas_that_swap_an_index_follow_its_reference_themselves() -> None:
    index = IndexToServe(reference="shop-index:current", hot_swap=True, check_seconds=5)
    world = World(serving(program=None, index=index))
    world.settle()
    (group,) = world.groups
    assert group.spec.program.command == (
        "lykeion", "serve", "--index", "shop-index:current", "--follow", "5", "--port", "$(PORT)",
    )  # fmt: skip
    assert group.spec.mounts == ()
    with pytest.raises(ValueError, match="hotSwap needs a reference"):
        IndexToServe(path="/indexes/shop", hot_swap=True)


SHOP = ModelVersion("shop-index:current")


def test_an_index_of_the_registry_is_fetched_before_replicas_start_and_for_each_version_anew() -> None:
    world = World(serving(program=None, index=IndexToServe(reference="shop-index:current")))
    world.answers[SHOP] = FoundModel("shop-index@sha256:1", "sha256:1")
    world.step()
    (fetch,) = [each for each in world.children.values() if each.kind is WORK]
    assert fetch.spec.program.args[:2] == ("pull", "shop-index@sha256:1")
    assert [each.spec.replicas for each in world.groups] == [0]
    world.settle()
    assert [each.spec.replicas for each in world.groups] == [1]
    (volume,) = [each.metadata.name for each in world.children.values() if each.kind is VOLUME]
    world.answers[SHOP] = FoundModel("shop-index@sha256:2", "sha256:2")
    world.wait(60)
    world.step()
    assert sorted(each.spec.replicas for each in world.groups) == [0, 1]
    world.settle()
    assert [each.spec.replicas for each in world.groups] == [1]
    assert volume not in world.children
    assert world.status.stable
    assert world.status.stable.artifact == "shop-index@sha256:2"


def test_the_number_of_replicas_follows_the_requests_in_flight() -> None:
    scaling = Autoscaling(min_replicas=1, max_replicas=5, target_in_flight=2)
    world = _serving_one(autoscaling=scaling)
    key = RouteCounts("default", world.route.metadata.name)
    (group,) = world.groups
    world.answers[key] = {group.metadata.name: GroupCounts("proxy", 100, 0, 7, {})}
    world.go_on(15)
    assert [each.spec.replicas for each in world.groups] == [4]
    assert world.events == ["Scaled"]
    world.answers[key] = {}
    world.go_on(299)
    assert world.status.replicas == 4
    world.go_on(30)
    assert world.status.replicas == 1


def test_the_number_of_replicas_follows_the_cores_in_use() -> None:
    world = _serving_one(autoscaling=Autoscaling(max_replicas=5, target_cpu="500m"))
    (group,) = world.groups
    world.answers[GroupCores("default", group.metadata.name)] = 1.4
    world.go_on(15)
    assert world.status.replicas == 3


def test_a_version_is_told_by_what_is_set_so_new_fields_with_defaults_change_nothing() -> None:
    spec = template(ServingSpec(program=server()), "", "")
    assert template_hash(spec) == template_hash(structs.replace(spec, replicas=7)) == "a938937a7b"
    assert template_hash(structs.replace(spec, drain_seconds=31)) != template_hash(spec)


VERSIONS = st.sampled_from(["one", "two", "three"])
ACTIONS = st.one_of(
    st.tuples(st.just("version"), VERSIONS),
    st.tuples(st.just("canary"), st.sampled_from([None, TIMED, ANALYSED, _verified()])),
    st.tuples(st.just("replicas"), st.integers(1, 4)),
    st.tuples(st.just("autoscaling"), st.sampled_from([None, Autoscaling(max_replicas=4, target_cpu=1)])),
    st.tuples(st.just("scaled"), st.integers(1, 4)),
    st.tuples(st.just("promote"), st.text("ab", max_size=2)),
    st.tuples(st.just("abort"), st.text("ab", max_size=2)),
    st.tuples(st.just("kill"), st.integers(1, 6)),
    st.tuples(st.just("crash"), VERSIONS),
    st.tuples(st.just("unready"), VERSIONS),
    st.tuples(st.just("run"), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 900)),
)


def _act(world: World, action: str, value: Any) -> None:
    match action:
        case "version":
            world.change(program=server(value))
        case "canary" | "replicas" | "autoscaling" | "promote" | "abort":
            world.change(**{action: value})
        case "scaled":
            for group in world.groups:
                if group.spec.autoscaling:
                    world.scale(group, max(value, group.spec.autoscaling.min_replicas))
        case "kill":
            world.writes = value
        case "crash" | "unready":
            group = world.group(value)
            if group:
                crashed = {"restarts": group.status.restarts + 1} if action == "crash" else {"ready": 0}
                world.report(group, **crashed)
        case "run":
            world.run_children()
        case _:
            world.wait(value)


@pytest.mark.parametrize("place", [ON_A_MACHINE, IN_A_CLUSTER], ids=["machine", "cluster"])
@given(actions=st.lists(ACTIONS, max_size=25))
@settings(deadline=None)
def test_whatever_happens_and_wherever_it_is_killed_it_comes_to_rest_with_what_the_spec_asks_for(
    place: ServingPlace, actions: list[tuple[str, Any]]
) -> None:
    world = World(serving(), place=place)
    for action in actions:
        _act(world, *action)
        for _ in range(2):
            try:
                world.step()  # checks after every write
            except Killed:
                world.writes = 0
    world.writes = 0
    world.change(canary=None, autoscaling=None)
    world.go_on(1200)
    status = world.status
    assert status.rollout is None
    assert status.replicas == world.serving.spec.replicas == world.groups[0].spec.replicas
    assert status.stable
    assert len(world.groups) == 1
    assert world.weights == {world.groups[0].spec.program.command[-1]: 100}
    stable_is_wanted = world.groups[0].spec.program == world.serving.spec.program
    assert stable_is_wanted == (status.rejected == "")
    before = world.serving, dict(world.children)
    world.wait(10_000)
    world.step()
    assert (world.serving, world.children) == before
