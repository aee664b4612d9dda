"""What is sent to an API server of a resource, and what of its answer is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import Key, ResourceError
from lykeion.platform.kubernetes.operator.operator_metrics import resource_of_path
from lykeion.platform.kubernetes.store.cluster_documents import (
    foreign_conditions,
    merge_patch,
    read_document,
    replacing,
    written,
)
from tests.control.lamps import KINDS, lamp

LEAVES = st.none() | st.integers(0, 3) | st.text(max_size=2) | st.lists(st.integers(0, 2), max_size=2)
NAMES = st.sampled_from("abc")
VALUES = st.recursive(LEAVES.filter(lambda each: each is not None), lambda inner: st.dictionaries(NAMES, inner))
MAPPINGS = st.dictionaries(NAMES, VALUES)


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = _merged(new.get(name), value)
    return new


@given(MAPPINGS, MAPPINGS)
def test_a_merge_patch_turns_one_mapping_into_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert _merged(old, merge_patch(old, new)) == new
    assert merge_patch(new, new) == {}


def _there(**metadata: Any) -> dict[str, Any]:
    own = {"name": "desk", "namespace": "default", "uid": "u", "resourceVersion": "7", **metadata}
    spec = {"bulbs": 2, "timer": 5}
    return {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "Lamp", "metadata": own, "spec": spec}


def test_a_child_is_replaced_with_what_it_no_longer_says_removed_and_annotations_of_others_kept() -> None:
    there = _there(labels={"old": "label"}, annotations={"others": "kept"})
    patch = replacing(there, lamp(bulbs=3))
    after = _merged(there, patch)
    assert "timer" not in after["spec"]
    assert after["spec"]["bulbs"] == 3
    assert after["metadata"]["labels"] == {}
    assert after["metadata"]["annotations"] == {"others": "kept"}
    assert (patch["metadata"]["uid"], patch["metadata"]["resourceVersion"]) == ("u", "7")


def test_what_the_server_drops_is_not_sent_since_each_apply_of_it_would_be_a_change() -> None:
    assert written(lamp())["metadata"] == {"name": "desk", "namespace": "default"}
    assert "status" not in written(lamp())


def test_an_object_with_long_annotations_finalizers_and_owners_of_others_is_read() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "x"}
    there = _there(
        annotations={"kubectl.kubernetes.io/last-applied-configuration": "x" * 9000, "short": "kept"},
        managedFields=[{}],
        finalizers=["a/b"],
        ownerReferences=[owner],
    )
    read = read_document(there, KINDS)
    assert read.key == Key("Lamp", "default", "desk")
    assert read.metadata.annotations == {"short": "kept"}
    assert read.owner is None
    with pytest.raises(ResourceError, match=r"lamp/desk: spec.*bulbs"):
        read_document({**there, "spec": {"bulbs": "many"}}, KINDS)


def test_conditions_of_other_writers_are_told_from_ours() -> None:
    fields = {"f:status": {"f:conditions": {'k:{"type":"Ready"}': {}, ".": {}}}}
    others = {"f:status": {"f:conditions": {'k:{"type":"Admitted"}': {}, 'k:{"type":"Ready"}': {}}}}
    there = _there(managedFields=[{"manager": "lykeion", "fieldsV1": fields}, {"manager": "x", "fieldsV1": others}])
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Admitted", "status": "True"}]
    assert foreign_conditions({**there, "status": {"conditions": conditions}}) == {"Admitted": conditions[1]}
    assert foreign_conditions(there) == {}


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/pods", "pods"),
        ("/api/v1/namespaces/a/pods/b", "pods"),
        ("/apis/batch/v1/namespaces/a/jobs/b/status", "jobs/status"),
        ("/apis/lykeion.github.io/v1alpha1/clusterprofiles/this", "clusterprofiles"),
        ("/api/v1/namespaces/a", "namespaces"),
        ("/version", "other"),
        ("/apis", "other"),
    ],
)
def test_requests_are_counted_by_resource_never_by_name(path: str, resource: str) -> None:
    assert resource_of_path(path) == resource
