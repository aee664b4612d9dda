"""A Serving's replicas all run the image that its name meant when the version began, wherever its tag moves."""

from dataclasses import replace
from typing import Any

from msgspec import structs

from lykeion.control import condition_of
from lykeion.core import Invalid, NotFound, Unavailable
from lykeion.platform.lookups import ImageDigest
from lykeion.platform.policies.artifacts.pinned_images import pinned_image

from .servings import World, server, serving

TAG = "registry.example.com/shop:stable"
FIRST, SECOND = (f"sha256:{digit * 64}" for digit in "ab")


def _world(answer: Any, image: str = TAG) -> World:
    world = World(serving(program=structs.replace(server(), image=image)))
    world.answers[ImageDigest(image)] = answer
    return world


def _image(world: World) -> str | None:
    group = world.group("one")
    return group.spec.program.image if group else None


def _ready(world: World) -> tuple[str, str, str]:
    found = condition_of(world.status.conditions, "Ready")
    assert found
    return found.status, found.reason, found.message


def test_a_tag_that_moves_changes_nothing_until_the_spec_names_another() -> None:
    world = _world(FIRST)
    world.settle()
    assert _image(world) == pinned_image(TAG, FIRST)
    rollouts = world.status.rollouts
    world.answers[ImageDigest(TAG)] = SECOND
    world.change(replicas=3)
    world.settle()
    assert (_image(world), world.status.rollouts) == (pinned_image(TAG, FIRST), rollouts)
    other = "registry.example.com/shop:next"
    world.answers[ImageDigest(other)] = SECOND
    world.change(program=structs.replace(server(), image=other))
    world.settle()
    assert (_image(world), world.status.rollouts) == (pinned_image(other, SECOND), rollouts + 1)


def test_an_image_that_is_not_found_is_said_and_what_serves_goes_on() -> None:
    world = _world(FIRST)
    world.settle()
    missing = "registry.example.com/shop:none"
    for error in (NotFound(f"there is no {missing}"), Unavailable("registry.example.com: it does not answer")):
        world.answers[ImageDigest(missing)] = error
        world.change(program=structs.replace(server(), image=missing))
        world.settle()
        assert _ready(world) == ("False", "ImageUnknown", str(error))
        assert _image(world) == pinned_image(TAG, FIRST)
        assert world.decide().requeue_after_s
    world.answers[ImageDigest(missing)] = SECOND
    world.settle()
    assert _ready(world)[0] == "True"
    assert _image(world) == pinned_image(missing, SECOND)


def test_the_first_version_waits_for_its_image() -> None:
    world = _world(Invalid("shop::: is no image"), "shop:::")
    world.settle()
    assert (_ready(world)[:2], world.children) == (("False", "ImageUnknown"), {})


def test_an_image_that_only_nodes_may_pull_and_one_by_digest_stay_as_they_are_named() -> None:
    for answer, image in (("", TAG), (Unavailable("is not asked"), pinned_image(TAG, FIRST))):
        world = _world(answer, image)
        world.settle()
        assert _image(world) == image


def test_what_an_earlier_release_began_by_its_tag_goes_on() -> None:
    world = _world("")
    world.settle()
    world.serving = replace(world.serving, status=structs.replace(world.status, image=None))
    world.answers[ImageDigest(TAG)] = FIRST
    rollouts = world.status.rollouts
    world.change(replicas=2)
    world.settle()
    assert (_image(world), world.status.rollouts) == (TAG, rollouts)
