"""Rollouts and experiments are looked for where a person says: a server of this machine, or a cluster's namespace."""

import asyncio
from pathlib import Path

import click
import pytest
import yaml

from lykeion.cli import app
from lykeion.control import Key, ResourceError
from lykeion.core import Unavailable, Unsupported
from lykeion.platform import ContextPlatform


@pytest.fixture(autouse=True)
def _cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context of which the server does not answer."""
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "prod eu", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    for name in ("LYKEION_CONTEXT", "LYKEION_FLEET", "LYKEION_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))


def run(*words: str) -> None:
    app.main(list(words), standalone_mode=False)


CHANGES = (
    "get",
    "describe next",
    "pause next",
    "resume next",
    "halt next",
    "rollback next",
    "approve next",
    "delete next",
)


@pytest.mark.parametrize("command", CHANGES)
def test_a_context_is_where_rollouts_are_and_a_typed_fleet_is_of_this_machine(command: str, tmp_path: Path) -> None:
    words = ["rollout", *command.split()]
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        run("--context", "prod eu", *words)
    with pytest.raises(Unavailable, match="the device server does not run on this machine"):
        run("--context", "prod eu", *words, "--fleet", str(tmp_path))
    with pytest.raises(Unavailable, match="the device server does not run on this machine"):
        run(*words)


@pytest.mark.parametrize("command", ["get", "stop shown", "conclude shown --ship a --because b", "report shown"])
def test_a_context_is_where_experiments_are(command: str) -> None:
    pytest.importorskip("duckdb")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        run("--context", "prod eu", "experiment", *command.split())


def test_a_name_or_namespace_that_no_rollout_can_have_is_refused() -> None:
    for words in (("describe", "../next"), ("describe", "next", "-n", "a/b")):
        with pytest.raises(ResourceError, match="must be lower-case letters"):
            run("rollout", *words)
    with pytest.raises(ResourceError, match="must be lower-case letters"):
        run("delivery", "serve", "--rollouts", "platform", "--rollouts-namespace", "../x")


def test_a_fleet_whose_size_nobody_knows_has_to_be_named_for_a_simulation() -> None:
    with pytest.raises(click.UsageError, match="--devices N"):
        run("--context", "prod eu", "rollout", "start", "shoes:v2", "--rate", "crash=1%")


def test_what_a_cluster_does_not_give_is_said_with_the_command_for_that_cluster() -> None:
    async def use() -> None:
        async with ContextPlatform("prod eu", "shop") as place:
            async for _ in place.metrics(Key("Training", "shop", "fit")):
                pass

    with pytest.raises(
        Unsupported, match="see what it prints: lykeion --context 'prod eu' logs training/fit -n shop"
    ):
        asyncio.run(use())
