"""``get all``: the platform's own kinds, and those of the fleet of devices where they are kept."""

import asyncio
from typing import Any

import pytest

from lykeion.cli.platform.composed_kinds import KINDS
from lykeion.control import AnyKind, Listing, NoSuchKind
from lykeion.core import LykeionError, Refused
from lykeion.platform import find
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.training import TRAINING, TrainingSpec


class Store:
    """Of resources with the names of their kinds; ``errors`` are by kind."""

    def __init__(self, **errors: LykeionError) -> None:
        self.errors = errors

    async def listing(self, kind: AnyKind, namespace: str | None = None) -> Listing:
        if error := self.errors.get(kind.name):
            raise error
        return Listing((kind.new(kind.plural, TrainingSpec(program=Program(command=("true",)))),), "1")


def names(store: Any, what: str) -> set[str]:
    return {each.metadata.name for each in asyncio.run(find(store, what, "shop", KINDS))[0]}


def test_all_are_also_the_rollouts_and_experiments_of_a_fleet() -> None:
    assert {"trainings", "rollouts", "experiments"} <= names(Store(), "all")
    assert {"secrets", "configmaps", "clusterprofiles"}.isdisjoint(names(Store(), "all"))


@pytest.mark.parametrize("error", [NoSuchKind("rollouts: install its definition"), Refused("rollouts is forbidden")])
def test_kinds_of_a_fleet_that_a_cluster_does_not_have_are_left_out_of_all(error: LykeionError) -> None:
    found = names(Store(Rollout=error), "all")
    assert ("trainings" in found, "experiments" in found, "rollouts" in found) == (True, True, False)
    with pytest.raises(type(error), match="rollouts"):
        names(Store(Rollout=error), "rollouts")


def test_a_cluster_without_the_platforms_own_kinds_is_an_error() -> None:
    with pytest.raises(NoSuchKind, match="trainings"):
        names(Store(**{TRAINING.name: NoSuchKind("trainings: install its definition")}), "all")
