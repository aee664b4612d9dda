"""Views: whatever order the changes of objects come in, the resource is what its objects say, and versions rise."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import AnyResource, Change
from lykeion.platform.kubernetes.objects.object_types import EVENTS, JOBS, PODS, KubeObject
from lykeion.platform.kubernetes.objects.translation import (
    SPEC_ANNOTATION,
    ClusterFacts,
    ObjectSource,
    Translation,
    object_of,
    pods_among,
    read_view,
    written_annotations,
)
from lykeion.platform.kubernetes.store.view_state import ViewState
from lykeion.platform.resources.plain_kinds.work import WORK, WorkSpec, WorkStatus
from lykeion.platform.resources.programs.program import Program

WORK_A = WORK.new("a", WorkSpec(program=Program(command=("true",)), completions=1))


def _resource_of(primary: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    """As many attempts as there are pods."""
    return read_view(WORK, primary, others, WorkStatus(attempts=len(pods_among(others))))


def _words_of(primary: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    """With what its events say, in the order of their names."""
    events = sorted((each["metadata"]["name"], each["note"]) for each in others if each["kind"] == "Event")
    return read_view(WORK, primary, others, WorkStatus(result=" ".join(note for _, note in events)))


COUNTED = Translation(
    WORK, (ObjectSource(JOBS), ObjectSource(PODS)), lambda *_: (), _resource_of, lambda there, wanted, facts: ()
)
UNMOUNTED, UNMADE = (
    ObjectSource(EVENTS, f"reason={each}", name_of=lambda _: "") for each in ("FailedMount", "Failed")
)
TOLD = replace(COUNTED, sources=(ObjectSource(JOBS), ObjectSource(PODS), UNMADE, UNMOUNTED), resource_of=_words_of)
assert ClusterFacts()


def _object(type_: Any, name: str, version: int, uid: str = "") -> KubeObject:
    made = object_of(type_, WORK_A, name, written_annotations(WORK_A))
    made["metadata"] |= {"uid": uid or f"{type_.kind}-{name}", "resourceVersion": str(version), "generation": 1}
    return made


def _told(changes: Sequence[Change]) -> list[tuple[str, int, str]]:
    return [(each.type, each.resource.status.attempts, each.resource.metadata.resource_version) for each in changes]


def test_a_resource_follows_its_primary_and_its_pods() -> None:
    state = ViewState(COUNTED)
    assert state.put(_object(PODS, "p1", 5)) == []
    assert _told(state.put(_object(JOBS, "a", 6))) == [("ADDED", 1, "6")]
    assert _told(state.put(_object(PODS, "p2", 7))) == [("MODIFIED", 2, "7")]
    assert _told(state.put(_object(PODS, "p2", 8))) == []
    assert _told(state.remove(_object(PODS, "p1", 9))) == [("MODIFIED", 1, "9")]
    assert _told(state.remove(_object(JOBS, "a", 10))) == [("DELETED", 1, "10")]
    assert state.resources == {}


def test_a_late_change_of_another_watch_has_a_later_version_than_what_was_told() -> None:
    state = ViewState(COUNTED)
    state.put(_object(JOBS, "a", 6))
    assert _told(state.put(_object(PODS, "p2", 20))) == [("MODIFIED", 1, "20")]
    assert _told(state.put(_object(PODS, "p1", 15))) == [("MODIFIED", 2, "21")]


def test_an_old_answer_to_a_write_brings_nothing_deleted_back() -> None:
    state = ViewState(COUNTED)
    state.put(_object(JOBS, "a", 6))
    state.remove(_object(JOBS, "a", 9))
    assert state.put(_object(JOBS, "a", 8)) == []
    assert state.resources == {}


def test_one_that_was_deleted_and_made_again_is_another() -> None:
    state = ViewState(COUNTED)
    state.put(_object(JOBS, "a", 6, "first"))
    changes = state.put(_object(JOBS, "a", 9, "second"))
    assert [(each.type, each.resource.metadata.uid) for each in changes] == [
        ("DELETED", "first"),
        ("ADDED", "second"),
    ]
    assert state.remove(_object(JOBS, "a", 8, "first")) == []
    assert state.resources["default", "a"].metadata.uid == "second"


def test_a_listing_takes_away_what_it_lacks_but_not_what_was_written_since() -> None:
    state = ViewState(COUNTED)
    state.put(_object(JOBS, "a", 6))
    state.put(_object(PODS, "p1", 7))
    state.put(_object(PODS, "p2", 12))
    changes = state.replace(ObjectSource(PODS), [_object(PODS, "p3", 9)], 10, None)
    assert _told(changes)[-1][:2] == ("MODIFIED", 2)
    assert {each["metadata"]["name"] for each in state.objects(("default", "a"))[1]} == {"p2", "p3"}


def test_an_owner_that_waits_is_told_of_a_change_that_the_resource_does_not_show() -> None:
    state = ViewState(COUNTED)
    state.put(_object(JOBS, "a", 6))
    state.put(_object(PODS, "p1", 7))
    state.unsettled.add(("default", "a"))
    assert _told(state.put(_object(PODS, "p1", 8))) == [("MODIFIED", 1, "8")]
    assert state.put(_object(PODS, "p1", 9)) == []


def test_a_primary_that_somebody_has_damaged_hides_no_other() -> None:
    state = ViewState(COUNTED)
    damaged = _object(JOBS, "a", 6)
    damaged["metadata"]["annotations"][SPEC_ANNOTATION] = "{"
    assert state.put(damaged) == []
    assert _told(state.put(_object(JOBS, "a", 7))) == [("ADDED", 0, "7")]


def test_an_object_that_was_not_foreseen_leaves_its_resource_as_it_was_and_harms_no_other() -> None:
    def resource_of(primary: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
        assert "odd" not in primary["metadata"]["annotations"]
        return _resource_of(primary, others)

    state = ViewState(replace(COUNTED, resource_of=resource_of))
    state.put(_object(JOBS, "a", 6))
    odd = _object(JOBS, "a", 7)
    odd["metadata"]["annotations"]["odd"] = ""
    assert state.put(odd) == []
    assert state.resources["default", "a"].metadata.resource_version == "6"
    assert _told(state.put(_object(PODS, "p1", 8))) == []
    assert _told(state.put(_object(JOBS, "a", 9))) == [("MODIFIED", 1, "9")]


@given(st.permutations(range(8)), st.data())
def test_in_any_order_of_the_watches_the_end_is_the_same_and_versions_rise(order: list[int], data: Any) -> None:
    """Within a type the order is the server's; between types, and of answers to writes, it is any."""
    jobs = [("put", _object(JOBS, "a", version)) for version in (11, 14, 19)]
    pods = [
        ("put", _object(PODS, "p1", 12)),
        ("put", _object(PODS, "p2", 13)),
        ("remove", _object(PODS, "p1", 16)),
        ("put", _object(PODS, "p3", 17)),
        ("put", _object(PODS, "p2", 18)),
    ]
    queues, state = {"jobs": jobs, "pods": pods}, ViewState(COUNTED)
    told: list[Change] = []
    for number in order:
        name = "jobs" if (number < 3 and queues["jobs"]) or not queues["pods"] else "pods"
        verb, document = queues[name].pop(0)
        told += getattr(state, verb)(document)
        if data.draw(st.booleans()):
            told += state.put(document) if verb == "put" else []
    versions = [int(each.resource.metadata.resource_version) for each in told]
    assert versions == sorted(set(versions))
    assert told[-1].resource.status.attempts == 2
    assert state.resources["default", "a"] == told[-1].resource


def _event(pod: str, version: int, note: str, reason: str = "FailedMount") -> KubeObject:
    metadata = {
        "name": f"{pod}.{note}",
        "namespace": "default",
        "uid": f"event-{note}",
        "resourceVersion": str(version),
    }
    about = {"kind": "Pod", "namespace": "default", "name": pod}
    return {"kind": "Event", "metadata": metadata, "regarding": about, "reason": reason, "note": note}


def test_an_event_about_a_pod_is_that_of_its_resource_whichever_comes_first() -> None:
    state = ViewState(TOLD)
    state.put(_object(JOBS, "a", 1))
    state.put(_event("p1", 2, "early"))
    assert state.resources["default", "a"].status.result == ""
    state.put(_object(PODS, "p1", 3))
    assert state.resources["default", "a"].status.result == "early"
    state.put(_event("p1", 4, "late"))
    state.put(_event("of-another", 5, "foreign"))
    assert state.resources["default", "a"].status.result == "early late"
    state.remove(_event("p1", 6, "early"))
    assert state.resources["default", "a"].status.result == "late"
    state.remove(_object(PODS, "p1", 7))
    assert state.resources["default", "a"].status.result == ""


def test_events_for_one_reason_are_listed_without_forgetting_those_for_another() -> None:
    state = ViewState(TOLD)
    for each in (_object(JOBS, "a", 1), _object(PODS, "p1", 2)):
        state.put(each)
    state.replace(UNMADE, [_event("p1", 3, "unmade", "Failed")], 4, None)
    state.replace(UNMOUNTED, [_event("p1", 5, "unmounted")], 6, None)
    assert state.resources["default", "a"].status.result == "unmade unmounted"
    state.replace(UNMADE, [], 7, None)
    assert state.resources["default", "a"].status.result == "unmounted"
