"""What all translations share: how a primary carries a resource."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import Owner, ResourceError
from lykeion.platform.kubernetes.objects.object_types import JOBS, PODS, type_of
from lykeion.platform.kubernetes.objects.translation import (
    NAME_LABEL,
    SPEC_ANNOTATION,
    object_of,
    our_labels,
    read_view,
    selector,
    written_annotations,
)
from lykeion.platform.resources.plain_kinds.work import WORK, Work, WorkSpec, WorkStatus
from lykeion.platform.resources.programs.program import Program

OWNER = Owner(api_version="lykeion.github.io/v1alpha1", kind="Training", name="shoes", uid="u-1")


def _work(*, values: tuple[str, ...] = (), labels: dict[str, str] | None = None) -> Work:
    work = WORK.new("shoes-1", WorkSpec(program=Program(command=("true",)), completions=1, values=values))
    metadata = structs.replace(work.metadata, owner_references=(OWNER,), labels=labels or {})
    return type(work)(WORK, metadata, work.spec, work.status)


def _stored(work: Work, *, version: str = "7") -> dict:
    primary = object_of(JOBS, work, work.metadata.name, written_annotations(work), spec={})
    primary["metadata"] |= {"uid": "u-2", "resourceVersion": version, "generation": 3}
    primary["metadata"]["labels"]["added-by"] = "another"
    return primary


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), max_size=20), st.booleans()
)
def test_a_primary_carries_the_spec_labels_and_owner_of_a_resource(values: list[str], long: bool) -> None:
    work = _work(values=("x" * 4000,) * (100 if long else 0) + tuple(values), labels={"step": "a"})
    read = read_view(WORK, _stored(work), (), WorkStatus(attempts=2))
    assert read.spec == work.spec
    assert read.metadata.labels == {"step": "a"}
    assert read.owner == OWNER
    assert read.status.attempts == 2
    assert (read.metadata.uid, read.metadata.generation) == ("u-2", 3)


def test_a_long_spec_fits_in_the_annotations_of_an_object() -> None:
    assert len(written_annotations(_work(values=("lykeion " * 500,) * 1000))[SPEC_ANNOTATION]) < 200 << 10


def test_the_version_of_a_view_is_the_largest_of_its_objects() -> None:
    pods = [{"kind": "Pod", "metadata": {"resourceVersion": version}} for version in ("9", "100")]
    assert read_view(WORK, _stored(_work(), version="12"), pods, WorkStatus()).metadata.resource_version == "100"


def test_a_primary_without_a_spec_is_an_error_that_names_the_annotation() -> None:
    stored = _stored(_work())
    for text in ("", "{}", "zlib:eA==", '{"program": 3}'):
        stored["metadata"]["annotations"][SPEC_ANNOTATION] = text
        with pytest.raises(
            ResourceError, match=r"job/shoes-1: its annotation lykeion.github.io/spec is not a Work's"
        ):
            read_view(WORK, stored, (), WorkStatus())


def test_the_labels_of_a_view_are_those_that_its_selector_asks_for() -> None:
    labels = our_labels(_work())
    assert all(
        labels[name] == value for name, _, value in (each.partition("=") for each in selector(WORK).split(","))
    )
    assert labels[NAME_LABEL] == "shoes-1"


def test_types_know_their_paths() -> None:
    assert JOBS.path("a", "b") == "/apis/batch/v1/namespaces/a/jobs/b"
    assert PODS.path() == "/api/v1/pods"
    assert type_of({"apiVersion": "batch/v1", "kind": "Job"}) is JOBS
