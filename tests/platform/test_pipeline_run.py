"""What a run of a pipeline does next: order, values, artifacts, cache, failures, reruns."""

import json
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.control import Key, condition_of, is_true
from lykeion.core import Invalid, NotFound, Unavailable
from lykeion.platform.controllers.pipeline_run_controller import reconcile_pipeline_run
from lykeion.platform.lookups import FoundModel, ImageDigest
from lykeion.platform.policies.steps.pipeline_round import ENDED
from lykeion.platform.resources.pipelines.step_pipeline import (
    PIPELINE_RUN,
    ExitStep,
    PipelineRunSpec,
    PipelineStep,
)
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.artifacts import FetchedInput, KeptOutput
from lykeion.platform.resources.runs.batch_execution import BatchExecutionSpec, Shards
from lykeion.platform.resources.runs.training import TrainingSpec

from .acting import NOON, Acting


class Registry(dict[Any, Any]):
    """Answers each lookup with a digest of its own, but those in ``lacking``."""

    lacking = "cache-"

    def get(self, key: Any, default: Any = None) -> Any:
        if key in self or isinstance(key, Key):
            return super().get(key, default)
        if self.lacking and self.lacking in key.reference:
            return NotFound(f"{key.reference}: no such model")
        repository = key.reference.rpartition(":")[0]
        return FoundModel(f"{repository}@sha256:{abs(hash(key.reference))}", "sha256:1")


def _step(name: str, *arguments: str, **more: Any) -> PipelineStep:
    return PipelineStep(name=name, program=Program(command=(name, *arguments)), **more)


def _acting(*steps: PipelineStep, answers: Any = None, uid: str = "u1", name: str = "night-1", **spec: Any) -> Acting:
    run = PIPELINE_RUN.new(name, PipelineRunSpec(steps=steps, pipeline="nightly", **spec))
    run = replace(run, metadata=structs.replace(run.metadata, uid=uid))
    return Acting(reconcile_pipeline_run, run, Registry() if answers is None else answers)


def _phases(acting: Acting) -> dict[str, str]:
    return {each.name: each.phase for each in acting.resource.status.steps}


def _succeed(acting: Acting, word: str, **status: Any) -> None:
    """Let the program run, and what comes after it, until its step has ended."""
    for work in acting.works(word):
        acting.fares(work, "Complete", **status)
    acting.decide()
    for each in ("push", "copy"):
        for work in acting.works(each):
            acting.fares(work, "Complete")
        acting.decide()


def _commands(acting: Acting) -> list[tuple[str, ...]]:
    return [(*work.spec.program.command, *work.spec.program.args) for work in acting.works()]


def test_each_step_begins_as_soon_as_those_before_it_have_succeeded() -> None:
    acting = _acting(_step("c", needs=("a", "b")), _step("a"), _step("b"))
    acting.decide()
    assert _phases(acting) == {"a": "Running", "b": "Running", "c": "Waiting"}
    _succeed(acting, "a")
    assert _phases(acting)["c"] == "Waiting"
    _succeed(acting, "b")
    assert _phases(acting) == {"a": "Succeeded", "b": "Succeeded", "c": "Running"}
    _succeed(acting, "c")
    assert is_true(acting.resource.status.conditions, "Complete")
    assert acting.resource.status.progress == "3/3"


def test_parameters_and_results_are_given_to_programs_as_text_and_not_as_references() -> None:
    last = _step("last", "$(steps.first.results.count)", "$(parameters.day)", "$(HOME)", needs=())
    acting = _acting(_step("first"), last, parameters={"day": "$(HOME)$$"})
    acting.decide()
    _succeed(acting, "first", result='{"count": 12}')
    (command,) = [each for each in _commands(acting) if each[0] == "last"]
    assert command == ("last", "12", "$$(HOME)$$$$", "$(HOME)")


def test_outputs_are_kept_by_digest_and_fetched_by_the_steps_that_name_them() -> None:
    embed = _step("embed", outputs=(KeptOutput(name="index", publish="shop:current"),))
    check = _step("check", inputs=(FetchedInput(name="index", artifact="$(steps.embed.outputs.index)"),))
    acting = _acting(embed, check)
    acting.decide()
    assert [each.variable for each in acting.works("embed")[0].spec.mounts] == ["LYKEION_OUTPUTS"]
    acting.fares(acting.works("embed")[0], "Complete")
    acting.decide()
    (push,) = acting.works("push")
    kept = "pipelines/default/nightly/embed/index:run-u1"
    assert push.spec.program.args[:4] == ("push", "$(LYKEION_OUTPUTS)/index", kept, "--all-files")
    acting.fares(push, "Complete")
    acting.decide()
    (copy,) = acting.works("copy")
    assert copy.spec.program.args[:3] == ("copy", kept, "shop:current")
    acting.fares(copy, "Complete")
    acting.decide()
    (pinned,) = acting.resource.status.steps[0].outputs.values()
    assert "@sha256:" in pinned
    (pull,) = acting.works("pull")
    assert pull.spec.program.args[:3] == ("pull", pinned, "$(LYKEION_INPUTS)/index")
    assert all(child.kind.name == "Work" or "check" in child.metadata.labels.values()
               for child in acting.children.values())  # fmt: skip


def test_an_input_that_is_not_there_fails_its_step_and_a_registry_that_is_down_is_asked_again() -> None:
    step = _step("check", inputs=(FetchedInput(name="index", artifact="shop:current"),))
    answers = Registry()
    answers.lacking = "shop"
    acting = _acting(step, answers=answers)
    acting.decide()
    assert acting.resource.status.steps[0].message == "shop:current: no such model"
    down = _acting(step, answers={})
    down.answers = type("Down", (dict,), {"get": lambda self, key: Unavailable("connection refused")})()
    assert down.decide().requeue_after_s
    assert _phases(down) == {"check": "Waiting"}
    assert down.resource.status.steps[0].message == "connection refused"
    wrong = _acting(step, answers={})
    wrong.answers = type("Wrong", (dict,), {"get": lambda self, key: Invalid("no name of a model")})()
    wrong.decide()
    assert _phases(wrong) == {"check": "Failed"}


def test_outputs_of_a_batch_are_inputs_of_later_steps() -> None:
    spec = BatchExecutionSpec(
        program=Program(command=("embed",)), shards=Shards(count=2), outputs=(KeptOutput(name="shards"),)
    )
    merge = _step("merge", inputs=(FetchedInput(name="shards", artifact="$(steps.embed.outputs.shards)"),))
    acting = _acting(PipelineStep(name="embed", batch=spec), merge)
    acting.decide()
    (batch,) = acting.children.values()
    kept = "pipelines/default/nightly/embed/shards@sha256:" + "1" * 64
    acting.fares(batch, "Complete", outputs={"shards": kept})
    acting.decide()
    (pull,) = acting.works("pull")
    assert pull.spec.program.args[:3] == ("pull", kept, "$(LYKEION_INPUTS)/shards")


def test_outputs_of_a_training_are_inputs_of_later_steps_beside_its_model() -> None:
    spec = TrainingSpec(program=Program(command=("fit",)), outputs=(KeptOutput(name="index"),))
    check = _step(
        "check", "$(steps.train.model)", inputs=(FetchedInput(name="i", artifact="$(steps.train.outputs.index)"),)
    )
    acting = _acting(PipelineStep(name="train", training=spec), check)
    acting.decide()
    (training,) = acting.children.values()
    acting.fares(training, "Complete", outputs={"index": "i@sha256:" + "1" * 64}, model="shoes@sha256:2")
    acting.decide()
    (pull,) = acting.works("pull")
    assert pull.spec.program.args[:3] == ("pull", "i@sha256:" + "1" * 64, "$(LYKEION_INPUTS)/i")
    acting.fares(pull, "Complete")
    acting.decide()
    assert acting.works("check")[0].spec.program.command == ("check", "shoes@sha256:2")


def test_a_failure_cancels_the_other_steps_and_then_the_exit_steps_run() -> None:
    report = ExitStep(name="report", program=Program(command=("report", "$(run.outcome)")))
    batch = PipelineStep(
        name="batch", batch=BatchExecutionSpec(program=Program(command=("shard",)), shards=Shards(count=2))
    )
    acting = _acting(_step("a"), _step("b"), batch, _step("c", needs=("a",)), exit_steps=(report,))
    acting.decide()
    assert sorted(child.kind.name for child in acting.children.values()) == ["BatchExecution", "Work", "Work"]
    acting.fares(acting.works("a")[0], "Failed")
    acting.decide()
    assert _phases(acting) == {
        "a": "Failed", "b": "Cancelled", "batch": "Cancelled", "c": "Cancelled", "report": "Running",
    }  # fmt: skip
    assert [work.spec.stop for work in acting.works("b")] == [True]
    assert all(child.kind.name == "Work" for child in acting.children.values())
    assert acting.works("report")[0].spec.program.command == ("report", "Failed")
    _succeed(acting, "report")
    failed = condition_of(acting.resource.status.conditions, "Failed")
    assert failed is not None
    assert (failed.reason, failed.message.split(":")[0]) == ("StepFailed", "a")


def test_a_step_whose_condition_is_false_is_skipped_with_those_after_it() -> None:
    better = _step("publish", when="steps.train.results.top1 > 0.8 and parameters.day != ''", needs=("train",))
    for top1, phase in ((0.9, "Running"), (0.7, "Skipped")):
        training = PipelineStep(name="train", training=TrainingSpec(program=Program(command=("fit",))))
        acting = _acting(training, better, _step("after", needs=("publish",)), parameters={"day": "x"})
        acting.decide()
        (child,) = acting.children.values()
        acting.fares(child, "Complete", model="shoes@sha256:1", metrics={"top1": top1})
        acting.decide()
        assert _phases(acting)["publish"] == phase
        if phase == "Skipped":
            assert _phases(acting)["after"] == "Skipped"
            assert is_true(acting.resource.status.conditions, "Complete")


def test_a_list_fans_out_over_one_work() -> None:
    acting = _acting(_step("list"), _step("each", for_each="$(steps.list.results.days)", parallelism=2))
    acting.decide()
    _succeed(acting, "list", result=json.dumps({"days": ["mon", "tue", 3]}))
    (work,) = acting.works("each")
    assert (work.spec.completions, work.spec.values, work.spec.parallelism) == (3, ("mon", "tue", "3"), 2)


def test_a_list_without_items_skips_its_step() -> None:
    acting = _acting(_step("each", for_each="[]"))
    acting.decide()
    assert _phases(acting) == {"each": "Skipped"}


@pytest.mark.parametrize(
    "result",
    [
        "[1]",
        "nonsense",
        '{"a": NaN}',
        '{"a": {}}',
        '{"a": null}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": ' + "[" * 1900 + "]" * 1900 + "}",
    ],
)
def test_a_result_that_is_no_plain_object_fails_its_step(result: str) -> None:
    acting = _acting(_step("a"))
    acting.decide()
    _succeed(acting, "a", result=result)
    assert _phases(acting) == {"a": "Failed"}
    assert acting.resource.status.steps[0].message.startswith(
        ("not a result: not", "the result is not a JSON object")
    )


def test_a_result_that_does_not_fit_where_it_is_used_fails_that_step_and_the_message_names_the_field() -> None:
    acting = _acting(_step("a"), _step("b", "$(steps.a.results.x)"))
    acting.decide()
    _succeed(acting, "a", result='{"x": "\\u0000"}')
    assert acting.resource.status.steps[1].message == (
        "the step: program: command[1] is '\\x00'; it must be text of at most 4096 characters"
    )


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("[1", "forEach is '[1', not a list: not JSON"),
        ('{"a": 1}', "forEach is not a JSON list of text and numbers"),
        ('["\\u0000"]', "forEach[0] is '\\x00'; it must be text"),
        (json.dumps(["x" * 4097]), "forEach[0] is 'xxx"),
        (json.dumps([1] * 1001), "it must be a list of at most 1000 items"),
    ],
)
def test_a_list_that_cannot_be_run_for_fails_its_step(items: str, message: str) -> None:
    acting = _acting(_step("each", for_each=items))
    acting.decide()
    assert _phases(acting) == {"each": "Failed"}
    assert message in acting.resource.status.steps[0].message


def test_a_result_that_is_not_there_fails_the_step_that_refers_to_it() -> None:
    acting = _acting(_step("a"), _step("b", "$(steps.a.results.count)"))
    acting.decide()
    _succeed(acting, "a")
    assert acting.resource.status.steps[1].message == "$(steps.a.results.count) has no value"


def test_outputs_of_the_same_program_and_inputs_are_taken_from_the_cache() -> None:
    answers = Registry()
    embed = _step("embed", "$(parameters.day)", outputs=(KeptOutput(name="index"),), cache=True)
    acting = _acting(embed, answers=answers, parameters={"day": "mon"})
    acting.decide()
    acting.fares(acting.works("embed")[0], "Complete")
    acting.decide()
    arguments = acting.works("push")[0].spec.program.args
    key = arguments[arguments.index("--alias") + 1]
    answers.lacking = ""
    again = _acting(embed, answers=answers, uid="u2", parameters={"day": "mon"})
    again.decide()
    assert _phases(again) == {"embed": "Cached"}
    assert again.works() == []
    answers.lacking = key
    other = _acting(embed, answers=answers, uid="u3", parameters={"day": "tue"})
    other.decide()
    assert _phases(other) == {"embed": "Cached"}
    same = _acting(embed, answers=answers, uid="u4", parameters={"day": "mon"})
    same.decide()
    assert _phases(same) == {"embed": "Running"}


def test_the_image_of_a_step_is_pinned_once_and_the_cache_knows_it_by_its_digest() -> None:
    def aliases(answers: Any) -> set[str]:
        image = Program(image="host/shop/tools:v1", command=("fit",))
        acting = _acting(
            PipelineStep(name="a", program=image, outputs=(KeptOutput(name="o"),), cache=True), answers=answers
        )
        acting.decide()
        (work,) = acting.works()
        pinned = f"host/shop/tools@{answers[asked]}"
        assert work.spec.program.image == pinned
        answers[asked] = "sha256:moved"
        acting.decide()
        assert acting.works() == [work]
        acting.fares(work, "Complete")
        acting.decide()
        return {word for word in acting.works("push")[0].spec.program.args if word.startswith("cache-")}

    asked = ImageDigest("host/shop/tools:v1")
    one, same, other = (aliases(Registry({asked: f"sha256:{digest}"})) for digest in ("aa", "aa", "bb"))
    assert one == same
    assert len(one | other) == 2


def test_a_step_waits_for_an_image_that_is_not_there_and_says_so() -> None:
    answers = Registry({ImageDigest("tools:v1"): NotFound("no image tools:v1")})
    acting = _acting(PipelineStep(name="a", program=Program(image="tools:v1")), answers=answers)
    assert acting.decide().requeue_after_s
    assert _phases(acting) == {"a": "Waiting"}
    assert acting.resource.status.steps[0].message == "no image tools:v1"
    answers[ImageDigest("tools:v1")] = "sha256:aa"
    acting.decide()
    assert acting.works()[0].spec.program.image == "tools@sha256:aa"
    assert acting.resource.status.steps[0].message == ""


def test_where_images_are_not_started_a_step_keeps_the_name_of_its_image() -> None:
    answers = Registry({ImageDigest("tools:v1"): ""})
    acting = _acting(PipelineStep(name="a", program=Program(image="tools:v1", command=("fit",))), answers=answers)
    acting.decide()
    assert acting.works()[0].spec.program.image == "tools:v1"


def test_a_rerun_takes_the_good_steps_of_the_earlier_run_up_to_the_step_that_it_begins_with() -> None:
    steps = (_step("a"), _step("b", needs=("a",)), _step("c", needs=("b",)), _step("d", needs=("a",)))
    first = _acting(*steps)
    first.decide()
    for name in "abcd":
        _succeed(first, name)
    earlier = {Key("PipelineRun", "default", "night-1"): first.resource}
    whole = _acting(*steps, answers=Registry(earlier), uid="u2", rerun_of="night-1")
    whole.decide()
    assert set(_phases(whole).values()) == {"Reused"}
    assert is_true(whole.resource.status.conditions, "Complete")
    part = _acting(*steps, answers=Registry(earlier), uid="u3", rerun_of="night-1", from_step="b")
    part.decide()
    assert _phases(part) == {"a": "Reused", "b": "Running", "c": "Waiting", "d": "Reused"}
    other = _acting(*steps, answers=Registry(earlier), uid="u4", rerun_of="night-1", parameters={"day": "x"})
    other.decide()
    failed = condition_of(other.resource.status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "RerunOf"


def test_a_changed_step_is_run_again_and_those_after_it() -> None:
    first = _acting(_step("a"), _step("b", needs=("a",)))
    first.decide()
    _succeed(first, "a")
    _succeed(first, "b")
    earlier = {Key("PipelineRun", "default", "night-1"): first.resource}
    changed = _acting(_step("a", "--new"), _step("b", needs=("a",)), answers=Registry(earlier), rerun_of="night-1")
    changed.decide()
    assert _phases(changed) == {"a": "Running", "b": "Waiting"}


def test_at_its_deadline_it_fails_and_cancels_what_runs() -> None:
    acting = _acting(_step("a"), deadline_seconds=60)
    assert acting.decide().requeue_after_s == 60
    acting.decide(NOON + timedelta(seconds=60))
    assert _phases(acting) == {"a": "Cancelled"}
    failed = condition_of(acting.resource.status.conditions, "Failed")
    assert failed is not None
    assert failed.reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((_step("a", needs=("b",)), _step("b", needs=("a",))), "depend on one another"),
        ((_step("a"), _step("a")), "two steps have one name"),
        ((_step("a", needs=("z",)),), "depends on z, which is no step"),
        ((_step("a", "$(parameters.day)"),), "parameter day is not declared"),
        ((_step("a"), _step("b", "$(steps.a.outputs.x)")), "is no output of that step"),
        ((_step("a", "$(steps.a.what)"),), "is no reference"),
        ((_step("a", when="1 +"),), "when: "),
        ((_step("a", when="day = 'x'"),), "when: day is no reference"),
        ((_step("a"), _step("b", when="steps.a.count > 1")), "when: steps.a.count is no reference"),
        ((_step("a"), _step("b", when="steps.a.outputs.x = 'y'")), "is no output of that step"),
        ((_step("a", "$(run.outcome)"),), "is known to exit steps alone"),
    ],
)
def test_a_graph_that_cannot_run_is_refused(steps: tuple[PipelineStep, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PipelineRunSpec(steps=steps)
    document = msgspec.to_builtins({"steps": steps})
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(document, PipelineRunSpec)


@given(st.integers(0, 1 << 32), st.integers(1, 7))
def test_any_course_of_events_ends_and_no_step_runs_before_those_that_it_needs(seed: int, count: int) -> None:
    random = Random(seed)
    steps = tuple(
        _step(f"s{number}", needs=tuple(f"s{other}" for other in range(number) if random.random() < 0.4))
        for number in range(count)
    )
    acting = _acting(*steps, exit_steps=(ExitStep(name="exit", program=Program(command=("exit",))),))
    created: set[str] = set()
    for _ in range(200):
        forgotten = acting.resource
        decision = acting.decide()
        if random.random() < 0.2:
            acting.resource = forgotten  # the write was lost; the children were made
        created |= {work.metadata.name for work in acting.works()}
        phases = _phases(acting)
        for step in steps:
            if phases.get(step.name) == "Running":
                assert all(phases[name] == "Succeeded" for name in step.needs)
        if any(is_true(acting.resource.status.conditions, end) for end in ("Complete", "Failed")):
            break
        for work in [each for each in acting.works() if not each.status.conditions]:
            if random.random() < 0.5:
                acting.fares(work, "Failed" if random.random() < 0.1 else "Complete")
    else:
        raise AssertionError("it did not end")
    assert set(_phases(acting).values()) <= ENDED
    assert len(created) <= len(steps) + 1
    assert decision.status.completion_time == NOON
    fixed = acting.decide()
    assert fixed.children is None
    assert fixed.status == acting.resource.status
