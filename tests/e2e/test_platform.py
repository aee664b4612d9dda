"""This machine as the platform: real processes, started, ended, and found again."""

import json
import os
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lykeion.core import core_count

from .platform_machine import COMMAND, PlatformMachine, platform_machine, shell, until


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PlatformMachine]:
    """One that a test starts and ends itself."""
    with platform_machine(tmp_path / "h") as made:
        yield made


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_batch_runs_each_shard_once_and_is_complete(running: PlatformMachine) -> None:
    script = "echo $LYKEION_SHARD_INDEX of $LYKEION_SHARD_COUNT: $LYKEION_SHARD $1; cat $LYKEION_SHARD_FILE >> shards"
    program = {
        "command": ["sh", "-c", script, "sh"],
        "args": ["$(LYKEION_SHARD)!", "$(NAME)"],
        "env": [{"name": "NAME", "value": "x"}],
    }
    running.apply(program=program, shards={"items": ["red", "green", "blue"]}, parallelism=2)
    assert running.run("wait", "batch/embed", "--timeout", "60") == "batchexecution/embed condition=Complete met\n"
    assert sorted((running.place / "shards").read_text()) == sorted("bluegreenred")
    assert running.run("logs", "batch/embed", "--index", "1") == "1 of 3: green green!\n"
    assert running.run("logs", "batch/embed", "--tail", "0") == ""
    status = running.get()["status"]
    assert (status["succeeded"], status["progress"], status["failed"]) == ("0-2", "3/3", "")
    table = running.run("get", "batch")
    assert "Complete" in table
    assert "3/3" in table
    assert running.run("get", "all", "-o", "name").startswith("batchexecution/embed\n")
    assert "Started" in running.run("describe", "batch/embed")


def test_a_shard_that_fails_is_tried_again_and_a_retry_runs_it_alone(running: PlatformMachine) -> None:
    script = (
        "echo $JOB_COMPLETION_INDEX >> ran; test $JOB_COMPLETION_INDEX != 1 -o -e fixed || { echo no photo; exit 7; }"
    )
    running.apply(program=shell(script), shards={"count": 3}, retries=1, parallelism=3)
    error = running.run("wait", "batch/embed", "--timeout", "60", code=2)
    assert (
        "batchexecution/embed has ended: Failed, ShardsFailed: shards 1 failed; shard 1: exit code 7: no photo"
        in error
    )
    assert sorted(_lines(running.place / "ran")) == ["0", "1", "1", "2"]
    (running.place / "fixed").touch()
    assert running.run("retry", "batch/embed") == "batchexecution/embed-retry-1 created\n"
    running.run("wait", "batch/embed-retry-1", "--timeout", "60")
    assert sorted(_lines(running.place / "ran")) == ["0", "1", "1", "1", "2"]
    assert running.get("batch/embed-retry-1")["status"]["succeeded"] == "0-2"
    assert running.condition("Failed")["status"] == "True"


def test_programs_outlive_a_platform_that_is_killed_and_the_next_one_finds_them(machine: PlatformMachine) -> None:
    machine.start()
    script = "echo begin $LYKEION_SHARD_INDEX >> ran; while ! test -e go; do sleep 0.05; done; echo end >> ran"
    machine.apply(program=shell(script), shards={"count": 3}, parallelism=2)
    until(lambda: len(_lines(machine.place / "ran")) == 2)
    machine.kill()
    (machine.place / "go").touch()
    until(lambda: _lines(machine.place / "ran").count("end") == 2)  # nobody looks: the shim records how they ended
    machine.start()
    machine.run("wait", "batch/embed", "--timeout", "60")
    assert _lines(machine.place / "ran").count("end") == 3
    assert len([line for line in _lines(machine.place / "ran") if line.startswith("begin")]) == 3
    assert machine.get()["status"].get("failures", []) == []


def test_a_program_that_was_killed_with_its_platform_is_started_again_as_a_failed_attempt(
    machine: PlatformMachine,
) -> None:
    machine.start()
    machine.apply(program=shell("echo $$$$ >> ran; test -e go || exec sleep 600"), shards={"count": 1})
    until(lambda: _lines(machine.place / "ran"))
    machine.kill()
    (first,) = _lines(machine.place / "ran")
    os.killpg(os.getpgid(int(first)), 9)
    (machine.place / "go").touch()
    machine.start()
    machine.run("wait", "batch/embed", "--timeout", "60")
    assert [each["reason"] for each in machine.get()["status"]["failures"]] == ["Lost"]


def test_when_the_platform_ends_so_do_its_programs_and_they_are_run_again_uncounted(machine: PlatformMachine) -> None:
    machine.start()
    machine.apply(program=shell("echo $$$$ >> ran; test -e go || exec sleep 600"), shards={"count": 1}, retries=0)
    until(lambda: _lines(machine.place / "ran"))
    assert machine.run("down") == ""
    assert machine.process
    assert machine.process.wait(60) == 0
    (first,) = _lines(machine.place / "ran")
    assert not _runs(first)
    assert "does not run" in machine.run("get", "batch", code=2)
    (machine.place / "go").touch()
    machine.start()
    machine.run("wait", "batch/embed", "--timeout", "60")
    assert machine.get()["status"].get("failures", []) == []


def test_suspending_ends_what_runs_and_resuming_starts_it_again(running: PlatformMachine) -> None:
    running.apply(program=shell("echo $$$$ >> ran; test -e go || exec sleep 600"), shards={"count": 2}, retries=0)
    until(lambda: _lines(running.place / "ran"))
    running.run("suspend", "batch/embed")
    running.run("wait", "batch/embed", "--for", "condition=Suspended", "--timeout", "60")
    (first,) = _lines(running.place / "ran")
    assert not _runs(first)
    (running.place / "go").touch()
    running.run("resume", "batch/embed")
    running.run("wait", "batch/embed", "--timeout", "60")
    assert len(_lines(running.place / "ran")) == 3
    assert "has finished" in running.run("suspend", "batch/embed", code=2)


def test_deleting_ends_what_runs_and_all_that_it_left_running(running: PlatformMachine) -> None:
    script = "setsid sleep 600 & echo $! >> ran; echo $$$$ >> ran; exec sleep 600"
    running.apply(program=shell(script), shards={"count": 1})
    until(lambda: len(_lines(running.place / "ran")) == 2)
    work = running.run("get", "work", "-o", "name").strip()
    attempts = running.home / "platform" / "work" / running.get(work)["metadata"]["uid"]
    assert attempts.exists()
    running.run("delete", "batch/embed")
    until(lambda: not any(map(_runs, _lines(running.place / "ran"))))
    assert running.run("get", "all", "-o", "name") == ""
    until(lambda: not attempts.exists(), "the attempts are still there")


def test_a_shard_beyond_its_time_limit_is_ended_and_a_batch_at_its_deadline(running: PlatformMachine) -> None:
    running.apply(program=shell("exec sleep 600"), shards={"count": 1}, retries=1, shardTimeLimitSeconds=1)
    assert "TimeLimit" in running.run("wait", "batch/embed", "--timeout", "60", code=2)
    assert [each["attempt"] for each in running.get()["status"]["failures"]] == [0, 1]
    running.apply(
        name="late", program=shell("echo $$$$ >> ran; exec sleep 600"), shards={"count": 1}, deadlineSeconds=2
    )
    assert "DeadlineExceeded" in running.run("wait", "batch/late", "--timeout", "60", code=2)
    until(lambda: not any(map(_runs, _lines(running.place / "ran"))))


def test_what_never_fits_into_this_machine_says_so(running: PlatformMachine) -> None:
    program = {"command": ["true"], "resources": {"cpu": 10_000, "memory": "1Gi"}}
    running.apply(program=program, shards={"count": 1})
    running.run("wait", "batch/embed", "--for", "condition=Unschedulable", "--timeout", "60")
    assert "one process needs 10000 cores; this machine has" in running.condition("Unschedulable")["message"]


def test_programs_share_the_machine_by_what_they_ask_for(running: PlatformMachine) -> None:
    cores = os.cpu_count() or 1
    script = "echo start >> ran; while ! test -e go; do sleep 0.05; done"
    for name in ("one", "two"):
        program = {**shell(script), "resources": {"cpu": cores}}
        running.apply(name=name, program=program, shards={"count": 1})
    until(lambda: _lines(running.place / "ran"))
    assert len(_lines(running.place / "ran")) == 1
    (running.place / "go").touch()
    running.run("wait", "batch/one", "--timeout", "60")
    running.run("wait", "batch/two", "--timeout", "60")


def test_logs_are_followed_to_the_end_through_a_second_attempt(running: PlatformMachine) -> None:
    script = "echo first; sleep 0.3; echo last; test -e again || { touch again; exit 1; }"
    running.apply(program=shell(script), shards={"count": 1}, retries=1)
    until(lambda: running.get()["status"].get("active") == "0" or running.get()["status"].get("succeeded"))
    assert running.run("logs", "batch/embed", "--follow").splitlines()[-2:] == ["first", "last"]


def test_programs_find_the_lykeion_of_the_platform_wherever_it_was_started(
    machine: PlatformMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    machine.start()
    machine.apply(program=shell("command -v lykeion"), shards={"count": 1})
    machine.run("wait", "batch/embed", "--timeout", "60")
    assert machine.run("logs", "batch/embed") == f"{sysconfig.get_path('scripts')}/lykeion\n"


def test_a_second_platform_in_one_place_is_refused(running: PlatformMachine) -> None:
    assert running.process
    error = running.run("up", code=2)
    assert f"the platform runs already, as process {running.process.pid}; end it: lykeion down" in error


def test_a_platform_in_the_background_answers_when_the_command_returns(machine: PlatformMachine) -> None:
    machine.run("up", "--detach")
    machine.apply(program={"command": ["true"]}, shards={"count": 1})
    machine.run("wait", "batch/embed", "--timeout", "60")
    machine.run("down")
    assert "does not run on this machine; start it: lykeion up" in machine.run("get", "batch", code=2)
    assert machine.run("down") == ""


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(running: PlatformMachine, tmp_path: Path) -> None:
    file = tmp_path / "embed.yaml"
    file.write_text(
        "apiVersion: lykeion.github.io/v1alpha1\nkind: BatchExecution\nmetadata: {name: embed}\n"
        "spec: {program: {command: ['true']}, shards: {count: 1}, suspend: true}\n"
    )
    assert running.run("apply", "-f", str(file), "--dry-run") == "batchexecution/embed created (dry run)\n"
    assert running.run("get", "batch", "-o", "name") == ""
    assert running.run("apply", "-f", str(file)) == "batchexecution/embed created\n"
    assert running.run("apply", "-f", str(file)) == "batchexecution/embed unchanged\n"
    file.write_text(file.read_text().replace("count: 1", "count: 2"))
    assert "shards may not change; make another" in running.run("apply", "-f", str(file), "--dry-run", code=2)
    assert "shards may not change; make another" in running.run("apply", "-f", str(file), code=2)
    running.run("delete", "-f", str(file))
    assert "there is no batchexecution/embed" in running.run("delete", "batch/embed", code=2)


@pytest.mark.slow
def test_a_platform_killed_at_any_write_or_start_runs_each_shard_step_and_replica_once(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"}
    command = [sys.executable, "-m", "tests.e2e.kill_points", str(tmp_path)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    *points, last = done.stdout.splitlines()
    assert last == f"{len(points)} points"
    names = [line.split("\t")[1] for line in points]
    for name in ("before start", "after start", "before file", "before table", "after store write_status"):
        assert name in names
    assert [line for line in points if line.split("\t")[2:] != ["1"] * 6] == []


def test_a_program_waits_for_a_secret_and_gets_its_value(running: PlatformMachine) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shop"},
        "data": {"user": "dXNlcg=="},
        "stringData": {"token": "s3cr$(HOME)t"},
    }
    sources = {"TOKEN": ("secretKeyRef", "token"), "USER_NAME": ("secretKeyRef", "user")}
    env = [
        {"name": name, "valueFrom": {source: {"name": "shop", "key": key}}} for name, (source, key) in sources.items()
    ]
    optional = {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}
    program = {
        **shell("echo $USER_NAME $TOKEN ${NONE-unset} > got"),
        "env": [*env, {"name": "NONE", "valueFrom": optional}],
    }
    running.apply(program=program, shards={"count": 1})
    until(lambda: running.condition("Unschedulable")["status"] == "True")
    assert running.condition("Unschedulable")["message"] == "there is no secret/shop"
    running.run("apply", "-f", "-", text=yaml.safe_dump(secret))
    running.run("wait", "batch/embed", "--timeout", "60")
    assert (running.place / "got").read_text() == "user s3cr$(HOME)t unset\n"
    assert "s3cr" not in running.run("describe", "secret/shop")
    assert "s3cr" not in running.run("get", "secret")
    running.run("delete", "secret/shop")


def test_what_means_nothing_on_a_machine_is_said(running: PlatformMachine) -> None:
    running.apply(program={**shell("true"), "pod": {"tolerations": [{"operator": "Exists"}]}}, shards={"count": 1})
    running.run("wait", "batch/embed", "--timeout", "60")
    assert running.condition("Ignored")["message"] == "program.pod.tolerations: without effect on this machine"


def test_the_machine_says_what_it_has_whatever_the_namespace(running: PlatformMachine) -> None:
    profile = json.loads(running.run("get", "profile/this-machine", "-o", "json"))
    assert profile["status"]["capacity"]["cores"] == core_count()
    profile["spec"]["registryPrefix"] = "registry.example.com/shop"
    running.run("apply", "-f", "-", text=json.dumps(profile))
    assert "registry.example.com/shop" in running.run("get", "profile")


def test_what_cannot_be_read_is_reported_and_left_alone_while_the_others_run(machine: PlatformMachine) -> None:
    machine.start()
    script = "echo $$$$ > pid; while ! test -e go; do sleep 0.05; done"
    machine.apply(name="old", program=shell(script), shards={"count": 1}, outputs=[{"name": "words"}])
    until(lambda: _lines(machine.place / "pid"))
    machine.kill()
    with sqlite3.connect(machine.home / "platform" / "state.db") as database:
        later = "replace(document, '\"program\"', '\"later\"')"
        database.execute(f"UPDATE objects SET document = {later} WHERE kind IN ('BatchExecution', 'Work')")
        database.execute("UPDATE objects SET document = '{}' WHERE kind = 'Volume'")
    database.close()
    volumes = list((machine.home / "platform" / "volumes").iterdir())
    machine.start()
    machine.apply(program=shell("true"), shards={"count": 1})
    machine.run("wait", "batch/embed", "--timeout", "60")
    done = subprocess.run([*COMMAND, "get", "batch"], env=machine.environment, capture_output=True, text=True)
    assert "embed" in done.stdout
    assert "warning: batchexecution/old: " in done.stderr
    assert "has no field 'later'" in done.stderr
    assert "written by another version of Lykeion" in machine.run("get", "batch/old", code=2)
    assert _runs(_lines(machine.place / "pid")[0])
    assert set(volumes) <= set((machine.home / "platform" / "volumes").iterdir())
    machine.run("delete", "batch/old")
    machine.run("get", "batch/old", code=2)
    machine.run("down")
    assert machine.process
    machine.process.wait()
    machine.start()
    until(lambda: not _runs(_lines(machine.place / "pid")[0]), "what was deleted goes on")


def test_a_platform_is_restored_from_a_backup(machine: PlatformMachine, tmp_path: Path) -> None:
    machine.start()
    machine.apply(program=shell("echo ran >> ran; echo printed"), shards={"count": 2}, parallelism=2)
    machine.run("wait", "batch/embed", "--timeout", "60")
    assert "backup: " in machine.run("backup", str(tmp_path / "backup"), "--logs")
    assert "the platform runs already" in machine.run("restore", str(tmp_path / "backup"), code=2)
    machine.run("delete", "batch/embed")
    machine.run("down")
    assert "--force" in machine.run("restore", str(tmp_path / "backup"), code=2)
    assert "what was there is in" in machine.run("restore", str(tmp_path / "backup"), "--force")
    machine.start()
    assert machine.condition("Complete")["status"] == "True"
    assert machine.run("logs", "batch/embed", "--index", "1") == "printed\n"
    assert (machine.place / "ran").read_text() == "ran\nran\n"
