"""An experiment on a flag is sent to clients as a rule, by which they give units the arms that it gives them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from lykeion.core.flags import FlagContext, evaluate_feature
from lykeion.delivery.device_service import FleetStore, flag_experiment, open_fleet, unfit_for_flag
from lykeion.delivery.device_service.fleet_resources.experiments_on_flags import flag_experiments
from lykeion.delivery.experiments import Experiment, ExperimentArm, ExperimentSpec, assigned_arm
from lykeion.delivery.flags import FlagEdit, FlagEnvironment, FlagError, FlagFeed, FlagStore, read_flag
from lykeion.delivery.flags.flag_experiments import FlagExperiments, features_with

from .test_experiment_results import experiment

EDIT = FlagEdit("ann", "a test", 1.0)
FLAG = {"type": "string", "default": "none", "rules": [{"id": "all", "where": "country = 'DE'", "value": "rule"}]}
ENVIRONMENT = FlagEnvironment({"country": "string", "id": "string"}, {}, {"page": read_flag(FLAG)})


def arms(*shares: float) -> tuple[ExperimentArm, ...]:
    return tuple(
        ExperimentArm(name=f"arm-{place}", share=share, value=f'"{place}"') for place, share in enumerate(shares)
    )


def on_flag(**spec: Any) -> Experiment:
    given: dict[str, Any] = {"model": "", "flag": "page", "arms": arms(0.5, 0.5)}
    return experiment(**(given | spec))


def evaluated(spec: ExperimentSpec, uid: str, unit: dict[str, Any]) -> Any:
    features = features_with(ENVIRONMENT, [flag_experiment(spec, "try-it", uid)])
    return evaluate_feature(FlagContext(unit, features, {}), "page")


@given(
    st.lists(st.integers(1, 1000), min_size=2, max_size=5),
    st.sampled_from([1.0, 0.5, 0.1]),
    st.sampled_from([0.0, 0.1, 0.37]),
    st.sampled_from(["device", "user"]),
    st.uuids().map(str),
)
@settings(max_examples=30, deadline=None)
def test_each_unit_has_the_arm_that_the_experiment_gives_it(
    parts: list[int], coverage: float, holdout: float, unit: str, uid: str
) -> None:
    shares = [each / sum(parts) for each in parts]
    spec = on_flag(arms=arms(*shares), coverage=coverage, holdout=holdout, unit=unit).spec
    for number in range(60):
        found = evaluated(spec, uid, {"id" if unit == "device" else unit: f"u{number}"})
        arm = assigned_arm(spec, uid, f"u{number}")
        assert found.value == ("none" if arm is None else arm.removeprefix("arm-"))
        if arm is not None:
            assert (found.experiment.key, found.experiment.in_experiment) == (arm, True)


def test_who_is_not_in_the_experiment_has_what_the_other_rules_say() -> None:
    spec = on_flag(where="country = 'FR'").spec
    assert evaluated(spec, "u", {"id": "1", "country": "DE"}).value == "rule"
    assert evaluated(spec, "u", {"id": "1", "country": "FR"}).value in ("0", "1")
    assert evaluated(spec, "u", {"id": "1"}).value == "none"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FleetStore]:
    made = open_fleet(tmp_path)
    FlagStore(made).put("page", read_flag(FLAG | {"rules": []}), EDIT)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("spec", "flag", "why"),
    [
        ({"flag": "nowhere"}, {}, "no flag 'nowhere'"),
        ({"arms": (*arms(0.5), ExperimentArm(name="b", share=0.5, value="3"))}, {}, "arm b is 3"),
        ({}, {"enabled": False}, "is off"),
        ({"where": "shop = 3"}, {}, "shop"),
        ({"where": "shop = 3", "classes": ("phone",)}, {}, ""),
        ({"where": "shop = 3"}, {"serverOnly": True}, ""),
        ({"unit": "my-user"}, {}, "my-user"),
        ({}, {}, ""),
    ],
)
def test_an_experiment_that_does_not_fit_its_flag_is_refused_and_why(
    store: FleetStore, spec: dict[str, Any], flag: dict[str, Any], why: str
) -> None:
    FlagStore(store).put("page", read_flag(FLAG | {"rules": []} | flag), EDIT)
    found = unfit_for_flag(store, on_flag(**spec).spec)
    assert why in found if why else not found


def test_a_flag_that_requires_others_or_was_archived_takes_no_experiment(store: FleetStore) -> None:
    flags = FlagStore(store)
    flags.put("other", read_flag({"type": "boolean", "default": True}), EDIT)
    flags.put("page", read_flag(FLAG | {"rules": [], "requires": [{"flag": "other"}]}), EDIT)
    assert "requires other flags" in unfit_for_flag(store, on_flag().spec)
    flags.archive("page", EDIT)
    assert "no flag 'page'" in unfit_for_flag(store, on_flag().spec)


def running(tried: Experiment, **status: Any) -> Experiment:
    began = {"state": "Running", "started": datetime.fromtimestamp(50, UTC)}
    return tried.with_status(structs.replace(tried.status, **(began | status)))


def test_what_clients_are_sent_is_another_document_when_an_experiment_begins_and_when_it_ends(
    store: FleetStore,
) -> None:
    known: list[Experiment] = [running(on_flag(), state="Pending", started=None)]
    feed = FlagFeed(store, experiments=lambda: flag_experiments(known))
    payloads = [feed.read("production")]
    for status in ({}, {"state": "Stopped", "stopped": datetime.fromtimestamp(60, UTC)}):
        known[:] = [running(known[0], **status)]
        payloads.append(feed.read("production"))
    assert len({each.etag for each in payloads}) == 3
    bodies = [each.body for each in payloads]
    assert [b'"key":"try"' in each for each in bodies] == [False, True, False]
    assert [b"T00:00:50" in each for each in bodies] == [False, True, False]
    assert [b"T00:01:00" in each for each in bodies] == [False, False, True]
    assert feed.read("staging").experiments == FlagExperiments()


def test_an_experiment_whose_flag_no_longer_fits_leaves_the_others_as_they_are(store: FleetStore) -> None:
    FlagStore(store).archive("page", EDIT)
    feed = FlagFeed(store, experiments=lambda: flag_experiments([running(on_flag())]))
    assert b'"features":{}' in feed.read("production").body
    with pytest.raises(FlagError):
        raise FlagError(unfit_for_flag(store, on_flag().spec))
