"""Every command on resources, on a cluster of the kubeconfig."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from .cluster_operator import ClusterOperator, cluster_operator, training
from .kubernetes_cluster import Cluster
from .serving import COMMAND

pytestmark = pytest.mark.slow

Command = Callable[..., str]
HEAD = {"apiVersion": "lykeion.github.io/v1alpha1"}


@pytest.fixture(scope="module")
def operator(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterOperator]:
    with cluster_operator(cluster, tmp_path_factory.mktemp("commands"), "--image", "host.local/lykeion") as made:
        yield made


@pytest.fixture
def lykeion(operator: ClusterOperator, namespace: str, tmp_path: Path) -> Command:
    """A command on the namespace of the test, by the context's own; what it prints, its error if it ends with one."""
    kubeconfig = operator.cluster.kubeconfig_of("admin", "system:masters", namespace=namespace)

    def run(*arguments: str, code: int = 0, text: str | None = None) -> str:
        variables = {**os.environ, "KUBECONFIG": str(kubeconfig), "LYKEION_HOME": str(tmp_path)}
        command = [*COMMAND, "--context", "tests", *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, input=text, timeout=120)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stderr if done.returncode == 2 else done.stdout

    return run


def _program(script: str) -> dict[str, object]:
    return {"image": "host.local/shell", "command": ["sh", "-c", script], "pod": {"runAsUser": 65532}}


def _batch(name: str, script: str, **spec: object) -> str:
    whole = {"program": _program(script), "shards": {"count": 2}, "parallelism": 2, **spec}
    return yaml.safe_dump({**HEAD, "kind": "BatchExecution", "metadata": {"name": name}, "spec": whole})


def test_a_resource_is_applied_watched_and_deleted_as_on_this_machine(lykeion: Command, namespace: str) -> None:
    text = _batch("embed", "echo shard $(cat $LYKEION_SHARD_FILE)")
    assert lykeion("apply", "-f", "-", "--dry-run", text=text) == "batchexecution/embed created (dry run)\n"
    assert lykeion("apply", "-f", "-", text=text) == "batchexecution/embed created\n"
    assert lykeion("wait", "batch/embed", "--timeout", "60") == "batchexecution/embed condition=Complete met\n"
    assert lykeion("apply", "-f", "-", text=text) == "batchexecution/embed unchanged\n"
    assert "2/2" in lykeion("get", "batch")
    (listed,) = json.loads(lykeion("get", "batch", "--json"))["items"]
    assert listed["metadata"]["namespace"] == namespace
    assert lykeion("logs", "batch/embed", "--index", "1") == "shard 1\n"
    assert "ShardsSucceeded" in lykeion("describe", "batch/embed")
    assert [each["reason"] for each in json.loads(lykeion("events", "batch/embed", "--json"))][:1] == ["Started"]
    changed = _batch("embed", "echo shard $(cat $LYKEION_SHARD_FILE)", ttlSecondsAfterFinished=3600)
    assert "+  ttlSecondsAfterFinished: 3600" in lykeion("diff", "-f", "-", text=changed, code=3)
    assert lykeion("delete", "batch/embed") == "batchexecution/embed deleted\n"
    assert "there is no batchexecution/embed" in lykeion("get", "batch/embed", code=2)


def test_what_is_wrong_is_refused_in_the_same_words(lykeion: Command) -> None:
    said = lykeion("apply", "-f", "-", text=_batch("embed", "true", parallelism=0), code=2)
    assert "parallelism is '0'; it must be a whole number from 1 to 1000" in said
    assert lykeion("get", "batch") == ""


def test_a_program_is_followed_suspended_and_resumed(lykeion: Command, namespace: str) -> None:
    script = "trap 'exit 0' TERM; echo begun; while [ ! -e $LYKEION_RUN/go ]; do sleep 0.1; done; echo gone"
    lykeion("apply", "-f", "-", text=yaml.safe_dump(training(script, namespace)))
    lykeion("wait", "training/shoes", "--for", "condition=Running", "--timeout", "60")
    assert lykeion("suspend", "training/shoes") == "training/shoes suspended\n"
    lykeion("wait", "training/shoes", "--for", "condition=Suspended", "--timeout", "60")
    assert "Suspended" in lykeion("get", "training/shoes")
    lykeion("apply", "-f", "-", text=yaml.safe_dump(training("touch $LYKEION_RUN/go", namespace, name="other")))
    assert lykeion("resume", "training/shoes") == "training/shoes resumed\n"
    lykeion("wait", "training/shoes", "--for", "condition=Running", "--timeout", "60")
    assert lykeion("logs", "training/shoes", "--tail", "1") == "begun\n"
    said = lykeion("metrics", "training/shoes", code=2)
    assert said.startswith("error: training/shoes: its metrics are in a volume of the cluster")
    assert said.count("\n") == 1
    lykeion("delete", "training/shoes", "training/other")
    lykeion("wait", "training/shoes", "--for", "delete", "--timeout", "60")


def test_what_failed_is_done_again_as_a_new_resource(lykeion: Command) -> None:
    lykeion("apply", "-f", "-", text=_batch("half", "test $(cat $LYKEION_SHARD_FILE) = 0", retries=0))
    assert "half has ended: Failed, ShardsFailed" in lykeion("wait", "batch/half", "--timeout", "60", code=2)
    assert lykeion("retry", "batch/half") == "batchexecution/half-retry-1 created\n"
    lykeion("wait", "batch/half-retry-1", "--for", "condition=Failed", "--timeout", "60")
    assert json.loads(lykeion("get", "batch/half-retry-1", "--json"))["status"]["taken"] == "0"


def test_a_pipeline_is_run_with_parameters_and_its_steps_have_logs(lykeion: Command) -> None:
    steps = [
        {"name": "one", "program": _program('echo {\\"day\\": \\"$DAY\\"} > $LYKEION_RESULT; echo first')},
        {"name": "two", "program": _program("echo got $(steps.one.results.day)")},
    ]
    steps[0]["program"]["env"] = [{"name": "DAY", "value": "$(parameters.day)"}]  # type: ignore[index]
    spec = {"parameters": [{"name": "day"}], "steps": steps}
    document = {**HEAD, "kind": "Pipeline", "metadata": {"name": "nightly"}, "spec": spec}
    lykeion("apply", "-f", "-", text=yaml.safe_dump(document))
    assert "give a value for day" in lykeion("run", "pipeline/nightly", code=2)
    assert lykeion("run", "pipeline/nightly", "-p", "day=monday") == "pipelinerun/nightly-run-1 created\n"
    lykeion("wait", "run/nightly-run-1", "--timeout", "60")
    assert lykeion("logs", "run/nightly-run-1", "--step", "one") == "first\n"
    assert lykeion("logs", "run/nightly-run-1", "--step", "two") == "got monday\n"


SERVER = """import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
address = "", int(os.environ["PORT"])
http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()"""


def test_a_rollout_is_aborted_and_promoted(lykeion: Command) -> None:
    program = {**_program(""), "command": ["python3", "-c", SERVER]}
    spec = {"program": program, "canary": {"steps": [{"weight": 50, "pauseSeconds": 3600}]}}
    document = {**HEAD, "kind": "Serving", "metadata": {"name": "shop"}, "spec": spec}
    lykeion("apply", "-f", "-", text=yaml.safe_dump(document))
    lykeion("wait", "serving/shop", "--timeout", "60")
    program["env"] = [{"name": "VERSION", "value": "2"}]
    lykeion("apply", "-f", "-", text=yaml.safe_dump(document))
    assert lykeion("abort", "serving/shop") == "serving/shop aborted\n"
    lykeion("wait", "serving/shop", "--for", "condition=Stalled", "--timeout", "60")
    assert "RolledBack" in lykeion("describe", "serving/shop")
    assert lykeion("promote", "serving/shop") == "serving/shop promoted\n"
    lykeion("wait", "serving/shop", "--timeout", "60")
    lykeion("delete", "serving/shop")


def test_all_namespaces_are_shown_to_whom_may_see_them(lykeion: Command, cluster: Cluster, namespace: str) -> None:
    lykeion("apply", "-f", "-", text=_batch("embed", "true"))
    assert namespace in lykeion("get", "batch", "--all-namespaces")
    lykeion("delete", "batch/embed")
