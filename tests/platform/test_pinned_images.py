"""The image of a Training or BatchExecution is resolved to a digest once, before anything runs."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import condition_of, is_true
from lykeion.core import Invalid, LykeionError, NotFound, Refused, Unavailable
from lykeion.platform.controllers.batch_controller import BATCH_EXECUTIONS
from lykeion.platform.controllers.training_controller import TRAININGS
from lykeion.platform.lookups import FoundModel, ImageDigest, ModelVersion
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.artifacts import FetchedInput
from lykeion.platform.resources.runs.batch_execution import BATCH_EXECUTION, BatchExecutionSpec, Shards
from lykeion.platform.resources.runs.training import TRAINING, TrainingSpec

from .acting import Acting

TOOLS = "host:5000/shop/tools:v1"
ASKED = ImageDigest(TOOLS)
PHOTOS = ModelVersion("photos:latest")


def _training(program: Program, **spec: Any) -> tuple[Any, Any]:
    return TRAININGS, TRAINING.new("one", TrainingSpec(program=program, **spec))


def _batch(program: Program, **spec: Any) -> tuple[Any, Any]:
    return BATCH_EXECUTIONS, BATCH_EXECUTION.new(
        "one", BatchExecutionSpec(program=program, shards=Shards(count=3), **spec)
    )


@pytest.fixture(params=[_training, _batch], ids=["training", "batch"])
def making(request: pytest.FixtureRequest) -> Any:
    """Returns a resource of each kind, with what decides about it."""
    return request.param


def _acting(making: Any, answers: Any, image: str = TOOLS, **spec: Any) -> Acting:
    controller, resource = making(Program(image=image, command=("fit",)), **spec)
    resource = replace(resource, metadata=structs.replace(resource.metadata, uid="u1"))
    return Acting(controller.reconcile, resource, answers)


def _image(acting: Acting) -> str:
    (work,) = acting.works("fit")
    return work.spec.program.image


def test_a_tag_that_moves_between_attempts_changes_nothing(making: Any) -> None:
    answers: dict[Any, Any] = {ASKED: "sha256:aa"}
    acting = _acting(making, answers)
    assert acting.decide().requeue_after_s == 0
    assert acting.works() == [], "nothing runs before the digest is written down"
    acting.decide()
    answers[ASKED] = "sha256:moved"
    acting.fares(acting.works("fit")[0], attempts=1)
    acting.decide()
    assert _image(acting) == "host:5000/shop/tools@sha256:aa"
    assert acting.resource.status.image == "host:5000/shop/tools@sha256:aa"


@pytest.mark.parametrize("image", ["tools@sha256:aa", TOOLS])
def test_an_image_by_digest_and_one_where_images_are_not_started_stay_as_they_are(making: Any, image: str) -> None:
    acting = _acting(making, {ASKED: ""}, image)
    acting.decide()
    acting.decide()
    assert _image(acting) == image


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotFound(f"there is no image {TOOLS}"), "ImageNotFound"),
        (Unavailable("host:5000: connection refused"), "ImageNotPulled"),
        (Refused("host:5000: log in"), "ImageNotPulled"),
    ],
)
def test_it_waits_for_an_image_that_may_come_and_says_why(making: Any, error: LykeionError, reason: str) -> None:
    answers: dict[Any, Any] = {ASKED: error, PHOTOS: FoundModel("photos@sha256:bb", "sha256:bb")}
    acting = _acting(making, answers, inputs=(FetchedInput(name="photos", artifact="photos:latest"),))
    assert acting.decide().requeue_after_s
    waiting = condition_of(acting.resource.status.conditions, "Unschedulable")
    assert waiting is not None
    assert (waiting.status, waiting.reason, waiting.message) == ("True", reason, str(error))
    answers |= {ASKED: "sha256:aa", PHOTOS: FoundModel("photos@sha256:moved", "sha256:moved")}
    acting.decide()
    acting.decide()
    assert acting.resource.status.inputs == {"photos": "photos@sha256:bb"}, "pinned at the first answer"
    assert not is_true(acting.resource.status.conditions, "Unschedulable")
    assert acting.works("pull")


def test_a_name_that_no_image_can_have_fails_it_at_once(making: Any) -> None:
    acting = _acting(making, {ASKED: Invalid(f"{TOOLS} is no name of an image")})
    acting.decide()
    failed = condition_of(acting.resource.status.conditions, "Failed")
    assert failed is not None
    assert (failed.reason, failed.message) == ("InvalidImage", f"{TOOLS} is no name of an image")
