"""What an ImageBuild does next: it builds what has changed, once, and says of which source the image is."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import condition_of
from lykeion.core import NotFound, Unavailable
from lykeion.platform.controllers.image_build_controller import reconcile_image_build
from lykeion.platform.lookups import FoundModel, ModelVersion, SourceDigest, SourceVersion
from lykeion.platform.policies.lifecycle.notices import notice_of
from lykeion.platform.resources.runs.image_build import IMAGE_BUILD, BuildSource, GitSource, ImageBuildSpec

from .acting import NOON, Acting

HERE, IMAGE = SourceDigest(directory="/shop"), f"sha256:{'a' * 64}"
GIT = GitSource(repository="https://example.com/shop.git", revision="main")
BRANCH = SourceDigest(repository=GIT.repository, revision="main")


def _version(word: str) -> SourceVersion:
    return SourceVersion("/shop", f"sha256:{word}")


def _acting(answers: Any = None, **spec: Any) -> Acting:
    spec = {"source": BuildSource(directory="/shop"), "tags": ("shop:latest",), **spec}
    build = IMAGE_BUILD.new("shop", ImageBuildSpec(**spec))
    build = replace(build, metadata=structs.replace(build.metadata, uid="u1", generation=1))
    return Acting(reconcile_image_build, build, {HERE: _version("one")} if answers is None else answers)


def _changed(acting: Acting, **fields: Any) -> None:
    resource = acting.resource
    metadata = structs.replace(resource.metadata, generation=resource.metadata.generation + 1)
    acting.resource = replace(resource, spec=structs.replace(resource.spec, **fields), metadata=metadata)


def _ready(acting: Acting) -> tuple[str, str]:
    found = condition_of(acting.resource.status.conditions, "Ready")
    assert found
    return found.status, found.reason


def _built(acting: Acting, now: datetime = NOON, image: str = IMAGE) -> None:
    """The build goes well, from its beginning to its end."""
    acting.decide(now)
    for word in ("checkout", "pull", "build", "push"):
        for work in acting.works(word):
            acting.fares(work, "Complete", result=image if word == "build" else "")
            acting.decide(now)


def _at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_directory_is_built_where_it_is_and_the_image_is_reported_by_digest() -> None:
    acting = _acting(tags=("shop:latest", "shop:v1"), model="shoes:champion", trust="/etc/trust.toml")
    acting.decide()
    assert _ready(acting) == ("Unknown", "Building")
    (work,) = acting.works()
    assert work.spec.program.command == ("lykeion", "images")
    assert " ".join(work.spec.program.args) == (
        "build /shop/image.yaml --tag shop:latest --tag shop:v1 --model shoes:champion --trust /etc/trust.toml "
        "--digest-file $(LYKEION_RESULT) --quiet"
    )
    acting.fares(work, "Complete", result=IMAGE)
    acting.decide()
    status = acting.resource.status
    assert _ready(acting) == ("True", "Built")
    assert (status.image, status.digest, status.builds) == (f"shop:latest@{IMAGE}", IMAGE, 1)
    assert status.history[0].source == "sha256:one"
    assert [event.reason for event in acting.events] == ["BuildStarted", "Built"]


def test_nothing_in_the_name_of_a_directory_is_replaced() -> None:
    place = "/shop/$(HOME)"
    acting = _acting({SourceDigest(directory=place): _version("one")}, source=BuildSource(directory=place))
    acting.decide()
    assert acting.works()[0].spec.program.args[1] == "/shop/$$(HOME)/image.yaml"


def test_a_commit_is_checked_out_into_a_volume_and_may_use_nothing_outside_of_it() -> None:
    acting = _acting({BRANCH: SourceVersion("c0ffee", "c0ffee")}, source=BuildSource(git=GIT), file="web/image.yaml")
    acting.decide()
    (fetch,) = acting.works()
    assert fetch.spec.program.args == ("checkout", GIT.repository, "c0ffee", "$(LYKEION_SOURCE)/files", "--replace")
    acting.fares(fetch, "Complete")
    acting.decide()
    (build,) = acting.works("build")
    assert build.spec.program.args[1] == "$(LYKEION_SOURCE)/files/web/image.yaml"
    assert "--context $(LYKEION_SOURCE)/files" in " ".join(build.spec.program.args)
    assert build.spec.mounts == fetch.spec.mounts
    acting.fares(build, "Complete", result=IMAGE)
    acting.decide()
    assert [each.kind.name for each in acting.children.values()] == ["Work", "Work"], "the volume is gone"


def test_an_artifact_is_pulled_by_the_digest_that_it_had() -> None:
    answers = {ModelVersion("source:latest"): FoundModel("source@sha256:one", "sha256:one")}
    acting = _acting(answers, source=BuildSource(artifact="source:latest"))
    acting.decide()
    assert acting.works()[0].spec.program.args[:2] == ("pull", "source@sha256:one")


def test_the_image_is_pushed_by_digest_and_named_by_where_it_is() -> None:
    acting = _acting(push=("registry.example.com/shop:v1", "registry.example.com/shop:v2"))
    _built(acting)
    pushes = acting.works("push")
    assert [work.spec.program.args for work in pushes] == [
        ("push", IMAGE, "registry.example.com/shop:v1"),
        ("push", IMAGE, "registry.example.com/shop:v2"),
    ]
    acting.decide()
    assert acting.resource.status.image == f"registry.example.com/shop:v1@{IMAGE}"


def test_it_is_built_again_if_the_source_has_changed_at_the_next_look_and_not_otherwise() -> None:
    answers = {HERE: _version("one")}
    acting = _acting(answers, interval_seconds=60)
    _built(acting)
    assert acting.decide(_at(59)).requeue_after_s == 1
    answers[HERE] = _version("two")
    acting.decide(_at(59))
    assert acting.resource.status.builds == 1
    acting.decide(_at(60))
    assert acting.resource.status.builds == 2
    assert len(acting.works()) == 1, "the work of the first build is gone"
    _built(acting, _at(61))
    assert _ready(acting) == ("True", "Built")
    acting.decide(_at(130))
    assert acting.resource.status.builds == 2


def test_without_an_interval_it_is_built_once_and_again_at_a_new_value_of_build() -> None:
    answers = {HERE: _version("one")}
    acting = _acting(answers)
    _built(acting)
    answers[HERE] = _version("two")
    assert acting.decide(_at(10_000)).requeue_after_s is None
    assert acting.resource.status.builds == 1
    _changed(acting, build="now")
    _built(acting, _at(10_001))
    assert (acting.resource.status.builds, acting.resource.status.build) == (2, "now")
    acting.decide(_at(10_002))
    assert acting.resource.status.builds == 2


def test_a_build_that_failed_is_not_begun_again_before_something_changes() -> None:
    answers = {HERE: _version("one")}
    acting = _acting(answers, interval_seconds=60)
    acting.decide()
    acting.fares(acting.works()[0], "Failed")
    acting.decide()
    assert _ready(acting) == ("False", "BuildFailed")
    acting.decide(_at(60))
    assert acting.resource.status.builds == 1
    answers[HERE] = _version("two")
    _built(acting, _at(120))
    assert _ready(acting) == ("True", "Built")


def test_a_directory_that_changes_while_it_is_built_is_built_again() -> None:
    answers = {HERE: _version("one")}
    acting = _acting(answers)
    acting.decide()
    (first,) = acting.works()
    answers[HERE] = _version("two")
    acting.fares(first, "Complete", result=IMAGE)
    acting.decide()
    assert acting.resource.status.digest == "", "it may be of half of each"
    _built(acting)
    assert acting.resource.status.history[-1].source == "sha256:two"


def test_a_commit_that_is_built_is_not_given_up_for_a_newer_one() -> None:
    answers = {BRANCH: SourceVersion("c1", "c1")}
    acting = _acting(answers, source=BuildSource(git=GIT), interval_seconds=60)
    acting.decide()
    answers[BRANCH] = SourceVersion("c2", "c2")
    _built(acting, _at(60))
    assert [each.source for each in acting.resource.status.history] == ["c1"]
    _built(acting, _at(61))
    assert [each.source for each in acting.resource.status.history] == ["c1", "c2"]


def test_a_change_of_the_spec_ends_the_build_of_the_former() -> None:
    acting = _acting()
    acting.decide()
    before = set(acting.children)
    _changed(acting, tags=("boots:latest",))
    acting.decide()
    assert not before & set(acting.children)
    assert "boots:latest" in acting.works()[0].spec.program.args


def test_a_change_of_the_spec_ends_the_build_of_the_former_also_while_the_source_does_not_answer() -> None:
    answers: dict[Any, Any] = {BRANCH: SourceVersion("c1", "c1")}
    acting = _acting(answers, source=BuildSource(git=GIT))
    acting.decide()
    answers[BRANCH] = Unavailable("connection refused")
    _changed(acting, tags=("boots:latest",))
    acting.decide()
    assert acting.children == {}
    assert acting.resource.status.running is None


def test_a_source_that_is_not_there_is_named_and_looked_for_again() -> None:
    answers: dict[Any, Any] = {HERE: NotFound("/shop is not a directory")}
    acting = _acting(answers)
    assert acting.decide().requeue_after_s == 5
    assert _ready(acting) == ("False", "SourceNotFound")
    answers[HERE] = _version("one")
    _built(acting, _at(5))
    assert _ready(acting) == ("True", "Built")


def test_a_repository_that_is_down_does_not_undo_the_image() -> None:
    answers: dict[Any, Any] = {BRANCH: SourceVersion("c1", "c1")}
    acting = _acting(answers, source=BuildSource(git=GIT), interval_seconds=60)
    _built(acting)
    answers[BRANCH] = Unavailable("connection refused")
    acting.decide(_at(60))
    assert _ready(acting) == ("False", "SourceUnavailable")
    assert acting.resource.status.digest == IMAGE
    answers[BRANCH] = SourceVersion("c1", "c1")
    acting.decide(_at(120))
    assert _ready(acting) == ("True", "Built")
    assert acting.resource.status.builds == 1


def test_suspending_ends_the_build_and_resuming_begins_it_again() -> None:
    acting = _acting()
    acting.decide()
    _changed(acting, suspend=True)
    acting.decide()
    assert acting.children == {}
    assert condition_of(acting.resource.status.conditions, "Suspended").status == "True"  # pyright: ignore[reportOptionalMemberAccess]
    _changed(acting, suspend=False)
    _built(acting, _at(10_000))
    assert _ready(acting) == ("True", "Built")


def test_a_build_beyond_its_deadline_is_stopped() -> None:
    acting = _acting(deadline_seconds=100)
    assert acting.decide().requeue_after_s == 100
    acting.decide(_at(100))
    assert _ready(acting) == ("False", "DeadlineExceeded")
    assert acting.works()[0].spec.stop


@pytest.mark.parametrize("result", ["", "sha256:zz", "shop:latest"])
def test_what_is_no_digest_is_not_believed(result: str) -> None:
    acting = _acting()
    acting.decide()
    acting.fares(acting.works()[0], "Complete", result=result)
    acting.decide()
    assert _ready(acting) == ("False", "BuildFailed")


def test_webhooks_are_told_of_each_build() -> None:
    acting = _acting()
    stored = structs.replace(acting.resource.metadata, resource_version="7")
    acting.resource = replace(acting.resource, metadata=stored)
    assert notice_of(acting.resource) is None
    _built(acting)
    notice = notice_of(acting.resource)
    assert notice
    assert (notice.id, notice.outcome, notice.message) == ("u1-1", "Complete", f"shop:latest@{IMAGE}")
    _changed(acting, build="again")
    acting.decide()
    acting.fares(acting.works()[0], "Failed")
    acting.decide()
    notice = notice_of(acting.resource)
    assert notice
    assert (notice.id, notice.outcome, notice.reason) == ("u1-2", "Failed", "BuildFailed")


@pytest.mark.parametrize("source", [{}, {"directory": "/a", "artifact": "b"}])
def test_a_build_has_one_source(source: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give one of directory, artifact and git"):
        BuildSource(**source)


STEPS = st.lists(
    st.sampled_from(["look", "edit", "break", "mend", "succeed", "fail", "suspend", "resume", "again", "tags"]),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_happens_no_source_is_built_twice_in_a_row_and_the_latest_is_at_the_end(steps: list[str]) -> None:
    content, broken = 0, False
    answers: dict[Any, Any] = {HERE: _version("0")}
    acting = _acting(answers, interval_seconds=60)
    for number, step in enumerate(steps):
        now = _at(60 * number)
        if step == "edit":
            content += 1
        elif step in ("break", "mend"):
            broken = step == "break"
        elif step in ("succeed", "fail"):
            for work in acting.works():
                acting.fares(work, *(("Complete",) if step == "succeed" else ("Failed",)), result=IMAGE)
        elif step in ("suspend", "resume"):
            _changed(acting, suspend=step == "suspend")
        elif step == "again":
            _changed(acting, build=str(number))
        elif step == "tags":
            _changed(acting, tags=(f"shop:{number}",))
        answers[HERE] = Unavailable("down") if broken else _version(str(content))
        acting.decide(now)
        settled = acting.resource
        acting.decide(now)
        assert acting.resource == settled, "nothing happens while nothing changes"
        assert len(acting.works()) <= 1
        keys = [each.key for each in settled.status.history]
        assert all(first != second for first, second in pairwise(keys))
    answers[HERE] = _version(str(content))
    _changed(acting, suspend=False)
    for extra in range(3):
        _built(acting, _at(60 * (len(steps) + extra + 1)))
    assert acting.resource.status.history[-1].source == f"sha256:{content}"
    assert acting.resource.status.running is None
