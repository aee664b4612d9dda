"""What would be created for a resource, without a server: every step that can be known."""

from pathlib import Path

import pytest

from lykeion.control import AnyResource, ResourceError
from lykeion.platform import WRITTEN, read_resources
from lykeion.platform.kubernetes.exporting.foreseen_children import Foreseen, foresee

HEAD = "apiVersion: lykeion.github.io/v1alpha1\nkind: {kind}\nmetadata: {{name: night}}\nspec:\n"
EXAMPLES = Path(__file__).parents[3] / "examples"


def _read(path: Path, kind: str, spec: str) -> AnyResource:
    file = path / "x.yaml"
    file.write_text(HEAD.format(kind=kind) + "".join(f"  {line}\n" for line in spec.splitlines()))
    (resource,) = read_resources([file], WRITTEN, "default")
    return resource


def _programs(foreseen: Foreseen) -> list[str]:
    works = [each.spec.program for each in foreseen.children if each.kind.name == "Work"]
    return [" ".join((*each.command, *each.args)) for each in works]


def test_a_training_is_shown_from_fetching_to_publishing(tmp_path: Path) -> None:
    spec = """program: {command: [fit]}
inputs: [{name: photos, artifact: "photos:current"}]
publish: {model: "shoes:candidate"}"""
    training = _read(tmp_path, "Training", spec)
    fetch, program, publish = _programs(foresee(training))
    assert fetch.startswith("lykeion models pull photos:current $(LYKEION_INPUTS)/photos")
    assert program == "fit"
    assert publish.startswith("lykeion models push $(LYKEION_RUN)/ shoes:run-")


def test_the_steps_of_a_pipeline_are_shown_with_those_of_the_resources_that_they_create() -> None:
    pipeline, _ = read_resources([EXAMPLES / "photo_search_loop" / "loop.yaml"], WRITTEN, "default")
    foreseen = foresee(pipeline)
    programs = _programs(foreseen)
    assert programs[0].startswith("cp -r /srv/shop/catalogue ")
    assert [each.kind.name for each in foreseen.children].count("BatchExecution") == 1
    (add,) = (each for each in programs if each.startswith("lykeion index add"))
    (merge,) = (each for each in programs if "lykeion index merge" in each)
    assert programs.index(add) < programs.index(merge)
    assert foreseen.notes == ("at each time of its schedule (0 3 * * *), as:",)


def test_a_step_that_needs_results_is_named_and_those_after_it_are_shown(tmp_path: Path) -> None:
    spec = """steps:
- {name: list, program: {command: [list]}}
- {name: embed, program: {command: [embed, $(steps.list.results.day)]}}
- {name: tell, program: {command: [tell]}, needs: [embed], when: steps.list.results.count > 3}"""
    foreseen = foresee(_read(tmp_path, "Pipeline", spec))
    assert _programs(foreseen) == ["list", "tell"]
    assert foreseen.notes == (
        "when it is run, as:",
        "step tell runs only when steps.list.results.count > 3",
        "step embed is known only when steps.list.results.day is",
    )


def test_replicas_are_shown_with_the_index_that_each_is_given(tmp_path: Path) -> None:
    serving = _read(tmp_path, "Serving", 'index: {reference: "shop:current"}\nreplicas: 3')
    foreseen = foresee(serving)
    kinds = [each.kind.name for each in foreseen.children]
    (group,) = (each for each in foreseen.children if each.kind.name == "ReplicaGroup")
    assert group.spec.replicas == 3
    assert [each.artifact for each in group.spec.artifacts] == ["shop:current"]
    assert set(kinds) == {"ReplicaGroup", "Route"}


def test_the_names_of_children_are_the_same_each_time(tmp_path: Path) -> None:
    training = _read(tmp_path, "Training", "program: {command: [fit]}")
    once, again = foresee(training), foresee(training)
    assert [each.key for each in once.children] == [each.key for each in again.children]


def test_what_a_controller_would_refuse_is_an_error(tmp_path: Path) -> None:
    batch = _read(tmp_path, "BatchExecution", "program: {command: [a]}\nshards: {count: 2}\nretryOf: gone")
    with pytest.raises(ResourceError, match="batchexecution/night: retryOf names gone, which is not there"):
        foresee(batch)


def test_a_parameter_without_a_value_is_asked_for(tmp_path: Path) -> None:
    spec = "parameters: [{name: day}]\nsteps:\n- {name: a, program: {command: [a, $(parameters.day)]}}"
    pipeline = _read(tmp_path, "Pipeline", spec)
    with pytest.raises(ResourceError, match="give a value for day"):
        foresee(pipeline)
    assert _programs(foresee(pipeline, {"day": "monday"})) == ["a monday"]


def test_a_step_in_another_cluster_creates_nothing_here_and_is_named(tmp_path: Path) -> None:
    spec = """steps:
- {name: train, cluster: gke, program: {command: [fit]}, outputs: [{name: net}]}
- {name: check, program: {command: [check, $(steps.train.outputs.net)]}}"""
    foreseen = foresee(_read(tmp_path, "Pipeline", spec))
    assert [each for each in _programs(foreseen) if "fit" in each] == []
    assert any(each.startswith("check") for each in _programs(foreseen))
    assert "step train runs in the cluster gke" in foreseen.notes
