"""Programs that the platform starts in images: found here, or pulled, with volumes, variables and results."""

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.measuring.docker_registry import PROGRAM, docker_registry
from tests.images.making import describe
from tests.images.test_running import command_lines, needs_unshare

from .platform_machine import PlatformMachine, platform_machine, until

pytestmark = [pytest.mark.slow, needs_unshare]
PROGRAMS = ("sh", "cat", "id", "touch", "sleep", "mkdir")
numbers = count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformMachine]:
    """With the image tools:v1, which has a shell."""
    place = tmp_path_factory.mktemp("i")
    root = place / "image" / "root"
    (root / "bin").mkdir(parents=True)
    for path in (Path(shutil.which(program) or program).resolve() for program in PROGRAMS):
        listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(", listed):
            (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library.lstrip("/"))
    for program in PROGRAMS:
        shutil.copy(Path(shutil.which(program) or program).resolve(), root / "bin" / program)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    settings = {"entrypoint": ["sh", "-c"], "command": ["echo by default"], "environment": {"FROM": "image"}}
    describe(place / "image", platforms=[f"linux/{architecture}"], workdir="/work", **settings)
    with platform_machine(place / "h") as made:
        made.run("images", "build", str(place / "image" / "image.yaml"), "--tag", "tools:v1", "--quiet")
        made.start()
        yield made


def test_where_images_cannot_be_started_the_program_runs_here_and_the_image_is_ignored(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "rm", "ln", "mv", "cat"):
        (tools / name).symlink_to(shutil.which(name) or name)
    with platform_machine(tmp_path / "h") as machine, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tools))
        machine.start()
        assert _batch(machine, image="none:v1", command=["sh", "-c", "echo here"]) == "here\n"
        ignored = machine.condition("Ignored", "batch/one")
        assert (ignored["status"], "program.image" in ignored["message"]) == ("True", True)
        _apply(machine, "BatchExecution", "two", program={"image": "none:v1"}, shards={"count": 1})
        until(lambda: machine.condition("Unschedulable", "batch/two").get("reason") == "NoCommand")


@pytest.fixture
def machine(shared: PlatformMachine, tmp_path: Path) -> PlatformMachine:
    """A namespace of its own."""
    return replace(shared, place=tmp_path, namespace=f"t{next(numbers)}")


def _apply(machine: PlatformMachine, kind: str, name: str, **spec: Any) -> None:
    head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": kind, "metadata": {"name": name}}
    machine.run("apply", "-f", "-", text=yaml.safe_dump({**head, "spec": spec}))


def _batch(machine: PlatformMachine, **program: Any) -> str:
    """The log of a batch of one shard, which is complete."""
    fields = {"image": "tools:v1", **program}
    _apply(machine, "BatchExecution", "one", program=fields, shards={"count": 1}, retries=0)
    machine.run("wait", "batch/one", "--timeout", "60")
    return machine.run("logs", "batch/one")


def test_without_a_command_the_images_own_runs_as_its_user(machine: PlatformMachine) -> None:
    assert _batch(machine) == "by default\n"


def test_arguments_replace_the_images_command_and_know_its_variables_and_ours(
    machine: PlatformMachine,
) -> None:
    script = 'echo "$FROM $LYKEION_SHARD_INDEX $MINE ${COLUMNS-unset}"; pwd; id -u'
    env = [{"name": "MINE", "value": "two\nlines"}, {"name": "PYTHONPATH", "value": "/none"}]
    assert _batch(machine, args=[script], env=env) == "image 0 two\nlines unset\n/work\n65532\n"


def test_a_command_replaces_all_that_the_image_says(machine: PlatformMachine) -> None:
    assert _batch(machine, command=["sh", "-c", "pwd; echo $0"], args=["arg"], workingDir="/bin") == "/bin\narg\n"


def test_values_of_secrets_reach_the_program_and_no_argument(machine: PlatformMachine) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hidden-value"}}
    machine.run("apply", "-f", "-", text=yaml.safe_dump(secret))
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    script = f"echo got $KEY; sleep 1000; : {machine.place}"  # which no process of another test has
    program = {"image": "tools:v1", "args": [script], "env": env}
    _apply(machine, "BatchExecution", "one", program=program, shards={"count": 1})
    until(lambda: machine.run("logs", "batch/one") == "got hidden-value\n")
    shown = list(command_lines())
    assert any(script.encode() in each for each in shown)
    assert not any(b"hidden-value" in each for each in shown)
    machine.run("delete", "batch/one")
    until(lambda: not any(script.encode() in each for each in command_lines()), "it runs on")


def test_steps_in_images_pass_artifacts_and_are_cached_by_the_images_digest(
    machine: PlatformMachine, shared: PlatformMachine
) -> None:
    script = (
        "mkdir $LYKEION_OUTPUTS/words && echo shoes > $LYKEION_OUTPUTS/words/list && "
        "echo '{\"pages\": 3}' > $LYKEION_RESULT"
    )
    write = {
        "name": "write",
        "program": {"image": "tools:v1", "args": [script]},
        "outputs": [{"name": "words"}],
        "cache": True,
    }
    read = {
        "name": "read",
        "program": {
            "image": "tools:v1",
            "args": ["cat $LYKEION_INPUTS/words/list; echo $(steps.write.results.pages); touch $LYKEION_INPUTS/x"],
        },
        "inputs": [{"name": "words", "artifact": "$(steps.write.outputs.words)"}],
        "retries": 0,
    }
    _apply(machine, "PipelineRun", "one", steps=[write, read])
    machine.run("wait", "pipelinerun/one", "--for", "condition=Failed", "--timeout", "120")
    steps = {each["name"]: each for each in machine.get("pipelinerun/one")["status"]["steps"]}
    assert "Read-only file system" in steps["read"]["message"], "inputs cannot be written"
    digest = json.loads(machine.run("images", "show", "tools:v1", "--json"))["platforms"][0]["digest"]
    assert steps["write"]["image"] == f"tools@{digest}"
    assert _phase(machine, "two", write) == "Cached"
    with _another_tools(shared):
        assert _phase(machine, "three", write) == "Succeeded"


@contextmanager
def _another_tools(machine: PlatformMachine) -> Iterator[None]:
    """The tag tools:v1 is that of another image meanwhile, in which the variable FROM is ``another``."""
    description = machine.home.parent / "image" / "image.yaml"
    changed = description.with_name("changed.yaml")
    changed.write_text(description.read_text().replace("FROM: image", "FROM: another"))
    machine.run("images", "build", str(changed), "--tag", "tools:v1", "--quiet")
    yield
    machine.run("images", "build", str(description), "--tag", "tools:v1", "--quiet")


def test_a_tag_that_moves_once_a_batch_or_training_has_begun_changes_nothing(
    machine: PlatformMachine, shared: PlatformMachine
) -> None:
    program, names = {"image": "tools:v1", "args": ["echo $FROM"]}, ("batch/one", "training/one")
    _apply(machine, "BatchExecution", "one", program=program, shards={"count": 1}, suspend=True)
    _apply(machine, "Training", "one", program=program, suspend=True)
    until(lambda: all(machine.get(each)["status"].get("image") for each in names))
    with _another_tools(shared):
        for each in names:
            machine.run("resume", each)
            machine.run("wait", each, "--timeout", "60")
            assert machine.run("logs", each) == "image\n"
        assert _batch(replace(machine, namespace="later"), **program) == "another\n"


def _phase(machine: PlatformMachine, name: str, step: dict[str, Any]) -> str:
    _apply(machine, "PipelineRun", name, steps=[step])
    machine.run("wait", f"pipelinerun/{name}", "--timeout", "120")
    return machine.get(f"pipelinerun/{name}")["status"]["steps"][0]["phase"]


def test_an_image_that_is_nowhere_is_named_until_it_is_built(
    machine: PlatformMachine, shared: PlatformMachine
) -> None:
    _apply(machine, "BatchExecution", "one", program={"image": "late:v1"}, shards={"count": 1})
    until(lambda: machine.condition("Unschedulable", "batch/one")["status"] == "True")
    found = machine.condition("Unschedulable", "batch/one")
    assert (found["reason"], "has no image late:v1" in found["message"]) == ("ImageNotFound", True)
    description = shared.home.parent / "image" / "image.yaml"
    machine.run("images", "build", str(description), "--tag", "late:v1", "--quiet")
    machine.run("wait", "batch/one", "--timeout", "60")


@pytest.mark.skipif(PROGRAM is None, reason="needs Debian's docker-registry")
def test_an_image_in_a_registry_is_pulled_before_its_program_starts(
    machine: PlatformMachine, shared: PlatformMachine, tmp_path: Path
) -> None:
    with docker_registry(tmp_path) as host, _another_tools(shared):
        machine.run("images", "push", "tools:v1", f"{host}/shop/tools:v1", "--quiet")
        machine.run("images", "prune", "--remove", "tools:v1")
        assert _batch(machine, image=f"{host}/shop/tools:v1", args=["echo $FROM"]) == "another\n"
    pinned = machine.get("batch/one")["status"]["image"]
    assert pinned.startswith(f"{host}/shop/tools@sha256:")
    assert pinned in machine.run("images", "list", "--json")


def test_a_registry_that_does_not_answer_is_named_and_the_start_deadline_ends_it(machine: PlatformMachine) -> None:
    program = {"image": "127.0.0.1:9/tools:v1"}
    _apply(machine, "BatchExecution", "one", program=program, shards={"count": 1}, startDeadlineSeconds=15)
    until(lambda: "127.0.0.1:9" in machine.condition("Unschedulable", "batch/one").get("message", ""))
    assert machine.condition("Unschedulable", "batch/one")["reason"] == "ImageNotPulled"
    machine.run("wait", "batch/one", "--for", "condition=Failed", "--timeout", "60")
    assert machine.condition("Failed", "batch/one")["reason"] == "NotStarted"
