"""What a Training does next: fetch, run, publish; and how it ends."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import Condition, condition_of, is_true
from lykeion.core import NotFound, Unavailable
from lykeion.platform.controllers.training_controller import reconcile_training
from lykeion.platform.lookups import FoundModel, ModelVersion
from lykeion.platform.policies.attempts.giving_way import HELD_S, pause_s
from lykeion.platform.resources.plain_kinds.work import FailedAttempt, Role
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.artifacts import FetchedInput, KeptOutput
from lykeion.platform.resources.runs.training import TRAINING, PublishedModel, TrainingSpec, untagged

from .acting import NOON, Acting

PHOTOS = FoundModel("photos@sha256:aa", "sha256:aa")
SHOES = FoundModel("shoes@sha256:bb", "sha256:bb", {"top1": 0.9})


def _acting(answers: Any = None, **spec: Any) -> Acting:
    training = TRAINING.new("shoes", TrainingSpec(program=Program(command=("fit",)), **spec))
    training = replace(training, metadata=structs.replace(training.metadata, uid="u1"))
    return Acting(reconcile_training, training, answers or {})


def _failed(acting: Acting) -> tuple[str, str]:
    found = condition_of(acting.resource.status.conditions, "Failed")
    return (found.reason, found.message) if found else ("", "")


def test_data_are_fetched_by_digest_then_the_program_runs_then_the_model_is_published() -> None:
    data = (FetchedInput(name="photos", artifact="photos:latest"),)
    published = ModelVersion("shoes:run-u1")
    answers = {ModelVersion("photos:latest"): PHOTOS, published: SHOES}
    acting = _acting(answers, inputs=data, publish=PublishedModel(model="shoes:candidate", directory="model"))
    acting.decide()
    acting.decide()
    (fetch,) = acting.works()
    assert fetch.spec.program.args == ("pull", "photos@sha256:aa", "$(LYKEION_INPUTS)/photos", "--quiet")
    assert [(rule.action, rule.exit_codes) for rule in fetch.spec.on_failure] == [("Fail", (2,))]
    acting.fares(fetch, "Complete")
    acting.decide()
    (program,) = acting.works("fit")
    assert [(each.variable, each.read_only) for each in program.spec.mounts] == [
        ("LYKEION_INPUTS", True),
        ("LYKEION_RUN", False),
    ]
    acting.fares(program, "Complete", attempts=2)
    acting.decide()
    (push,) = acting.works("push")
    assert push.spec.program.args[1:3] == ("$(LYKEION_RUN)/model", "shoes:run-u1")
    assert "candidate" in push.spec.program.args
    acting.fares(push, "Complete")
    acting.decide()
    status = acting.resource.status
    assert is_true(status.conditions, "Complete")
    assert (status.attempts, status.model, status.digest) == (2, "shoes@sha256:bb", "sha256:bb")
    assert status.metrics == {"top1": 0.9}
    assert [event.reason for event in acting.events] == ["Started", "Published"]


def test_outputs_of_any_kind_are_kept_by_digest_and_published_once_the_program_has_succeeded() -> None:
    index = KeptOutput(name="index", publish="shop:current")
    kept = ModelVersion("trainings/default/shoes/index:run-u1")
    acting = _acting({kept: FoundModel("trainings/default/shoes/index@sha256:cc", "sha256:cc")}, outputs=(index,))
    acting.decide()
    (program,) = acting.works("fit")
    assert [each.variable for each in program.spec.mounts] == ["LYKEION_OUTPUTS", "LYKEION_RUN"]
    acting.fares(program, "Complete")
    acting.decide()
    (push,) = acting.works("push")
    assert push.spec.program.args[:4] == ("push", "$(LYKEION_OUTPUTS)/index", kept.reference, "--all-files")
    acting.fares(push, "Complete")
    acting.decide()
    (copy,) = acting.works("copy")
    assert copy.spec.program.args[:3] == ("copy", kept.reference, "shop:current")
    acting.fares(copy, "Complete")
    acting.decide()
    assert is_true(acting.resource.status.conditions, "Complete")
    assert acting.resource.status.outputs == {"index": "trainings/default/shoes/index@sha256:cc"}


def test_outputs_and_a_model_are_both_read_from_the_registry_at_the_end() -> None:
    kept, model = ModelVersion("trainings/default/shoes/index:run-u1"), ModelVersion("shoes:run-u1")
    answers = {kept: FoundModel("index@sha256:cc", "sha256:cc"), model: NotFound("shoes:run-u1: no such model")}
    acting = _acting(answers, outputs=(KeptOutput(name="index"),), publish=PublishedModel(model="shoes"))
    for word in ("fit", "--all-files", "--run"):
        acting.decide()
        (work,) = acting.works(word)
        acting.fares(work, "Complete")
    acting.decide()
    assert _failed(acting) == ("NotPublished", "shoes:run-u1: no such model")
    answers[model] = SHOES
    acting.resource = acting.resource.with_status(structs.replace(acting.resource.status, conditions=()))
    acting.decide()
    status = acting.resource.status
    assert (status.outputs, status.model) == ({"index": "index@sha256:cc"}, "shoes@sha256:bb")


def test_an_output_is_not_called_as_the_model_that_is_published() -> None:
    with pytest.raises(ValueError, match="the output model is that of publish"):
        _acting(outputs=(KeptOutput(name="model"),), publish=PublishedModel(model="shoes"))


def test_an_alias_that_moves_meanwhile_changes_nothing() -> None:
    answers = {ModelVersion("photos:latest"): PHOTOS}
    acting = _acting(answers, inputs=(FetchedInput(name="photos", artifact="photos:latest"),))
    acting.decide()
    answers[ModelVersion("photos:latest")] = FoundModel("photos@sha256:cc", "sha256:cc")
    acting.decide()
    assert "photos@sha256:aa" in acting.works("pull")[0].spec.program.args


def test_a_registry_that_is_down_is_asked_again_and_data_that_are_not_there_fail_it() -> None:
    data = (FetchedInput(name="photos", artifact="photos:latest"),)
    acting = _acting({ModelVersion("photos:latest"): Unavailable("connection refused")}, inputs=data)
    assert acting.decide().requeue_after_s
    running = condition_of(acting.resource.status.conditions, "Running")
    assert running is not None
    assert (running.reason, running.message) == ("RegistryUnavailable", "connection refused")
    acting.answers = {ModelVersion("photos:latest"): NotFound("photos:latest: no such model")}
    acting.decide()
    assert _failed(acting) == ("InputsNotFound", "photos:latest: no such model")
    assert acting.works() == []


def test_workers_run_as_one_work_all_at_once() -> None:
    acting = _acting(workers=3)
    acting.decide()
    (program,) = acting.works()
    assert program.spec.roles == (Role(name="worker", replicas=3),)
    assert (program.spec.completions, program.spec.parallelism) == (3, 3)


def test_without_publication_it_ends_with_its_program() -> None:
    acting = _acting()
    acting.decide()
    acting.fares(acting.works()[0], "Complete")
    acting.decide()
    assert is_true(acting.resource.status.conditions, "Complete")


def test_what_the_program_printed_last_is_the_message_of_the_failure() -> None:
    acting = _acting()
    acting.decide()
    failure = FailedAttempt(index=0, attempt=3, reason="ExitCode", message="no space left", exit_code=1)
    acting.fares(acting.works()[0], "Failed", failures=(failure,))
    acting.decide()
    assert _failed(acting) == ("ProgramFailed", "attempt 4: exit code 1: no space left")


@pytest.mark.parametrize(
    ("limit", "reason"), [("deadline_seconds", "DeadlineExceeded"), ("start_deadline_seconds", "NotStarted")]
)
def test_it_fails_at_its_deadlines_and_stops_what_runs(limit: str, reason: str) -> None:
    acting = _acting(**{limit: 60})
    assert acting.decide().requeue_after_s == 60
    acting.decide(NOON + timedelta(seconds=60))
    assert _failed(acting) == (reason, "after 60 s")
    assert [work.spec.stop for work in acting.works()] == [True]


def test_a_program_that_has_started_is_beyond_its_start_deadline() -> None:
    acting = _acting(start_deadline_seconds=60)
    acting.decide()
    acting.fares(acting.works()[0], attempts=1, active="0")
    acting.decide(NOON + timedelta(hours=1))
    assert _failed(acting) == ("", "")


def test_finished_is_final_until_its_time_to_live_is_over() -> None:
    acting = _acting(ttl_seconds_after_finished=60)
    acting.decide()
    acting.fares(acting.works()[0], "Complete")
    acting.decide()
    decision = acting.decide(NOON + timedelta(seconds=59))
    assert (decision.children, decision.delete, decision.requeue_after_s) == (None, False, 1)
    assert acting.decide(NOON + timedelta(seconds=60)).delete


def test_suspending_ends_what_runs_and_says_so() -> None:
    acting = _acting(suspend=True)
    acting.decide()
    assert acting.works()[0].spec.suspend
    assert is_true(acting.resource.status.conditions, "Suspended")


@pytest.mark.parametrize(
    ("model", "name", "alias"),
    [
        ("shoes", "shoes", ""),
        ("shoes:champion", "shoes", "champion"),
        ("localhost:5000/shop/shoes", "localhost:5000/shop/shoes", ""),
        ("localhost:5000/shop/shoes:v1", "localhost:5000/shop/shoes", "v1"),
    ],
)
def test_an_alias_is_what_follows_the_last_part_of_a_name(model: str, name: str, alias: str) -> None:
    assert untagged(model) == (name, alias)


@pytest.mark.parametrize("model", ["shoes:v3", "shoes@sha256:aa", "localhost:5000/shoes:v12"])
def test_a_version_or_digest_is_no_name_to_publish_under(model: str) -> None:
    with pytest.raises(ValueError, match="names a digest or a version"):
        PublishedModel(model=model)
    with pytest.raises(ValueError, match="names a digest or a version"):
        KeptOutput(name="index", publish=model)


@pytest.mark.parametrize("model", ["shoes", "shoes:v3-canary", "v3", "localhost:5000/v3"])
def test_other_names_are(model: str) -> None:
    assert PublishedModel(model=model).model == model


def test_a_training_with_room_for_only_some_of_its_processes_gives_way_for_a_while() -> None:
    acting = _acting(workers=2)
    acting.decide()
    lacking = Condition(type="Unschedulable", status="True", reason="NoRoom", last_transition_time=NOON)

    def fares(active: str, *conditions: Condition) -> None:
        (work,) = acting.works()
        changed = structs.replace(work.status, active=active, conditions=conditions)
        acting.children[work.metadata.name] = work.with_status(changed)

    fares("0", lacking)
    assert acting.decide(NOON + timedelta(seconds=HELD_S - 1)).requeue_after_s == 1
    assert not acting.works()[0].spec.suspend
    gave, pause = NOON + timedelta(seconds=HELD_S), pause_s(acting.resource.metadata.uid)
    acting.decide(gave)
    assert acting.decide(gave).requeue_after_s == pause
    assert acting.works()[0].spec.suspend
    assert not is_true(acting.resource.status.conditions, "Suspended")
    fares("")
    for _ in range(2):
        acting.decide(gave + timedelta(seconds=pause))
    assert not acting.works()[0].spec.suspend


def test_trainings_pause_for_times_that_differ() -> None:
    assert len({pause_s(str(uid)) for uid in range(100)}) > 30
