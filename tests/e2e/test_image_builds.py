"""Images that the platform builds: again when their source changes, and not when it does not."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images.making import describe

from .platform_machine import PlatformMachine, platform_machine, until

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PlatformMachine]:
    with platform_machine(tmp_path / "h") as made:
        made.start()
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The description of an image with one page."""
    place = tmp_path / "shop"
    (place / "root" / "bin").mkdir(parents=True)
    (place / "page.html").write_text("<h1>Open</h1>\n")
    describe(place, sources=[{"from": "page.html", "to": "/srv/page.html"}])
    return place


def _apply(machine: PlatformMachine, **spec: Any) -> None:
    head = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "ImageBuild", "metadata": {"name": "shop"}}
    machine.run("apply", "-f", "-", text=yaml.safe_dump({**head, "spec": {"tags": ["shop:latest"], **spec}}))


def _status(machine: PlatformMachine) -> dict[str, Any]:
    return machine.get("imagebuild/shop")["status"]


def test_a_directory_is_built_again_when_it_changes_and_not_when_it_does_not(
    machine: PlatformMachine, project: Path
) -> None:
    _apply(machine, source={"directory": str(project)}, intervalSeconds=5)
    machine.run("wait", "imagebuild/shop", "--timeout", "60")
    first = _status(machine)
    assert first["image"] == f"shop:latest@{first['digest']}"
    assert first["digest"] in machine.run("images", "list", "--json")
    until(lambda: _status(machine)["source"]["looked"] != first["source"]["looked"], "it did not look again")
    assert (_status(machine)["builds"], _status(machine)["digest"]) == (1, first["digest"])
    (project / "page.html").write_text("<h1>Closed</h1>\n")
    until(lambda: _status(machine)["digest"] != first["digest"], "it did not build again")
    second = _status(machine)
    assert (second["builds"], len(second["history"])) == (2, 2)
    assert second["history"][1]["source"] != second["history"][0]["source"]
    assert machine.run("images", "show", "shop:latest", "--json").count(second["digest"])
    described = machine.run("describe", "imagebuild/shop")
    assert described.count("BuildStarted") == 2


def test_a_branch_is_built_from_its_commit_and_what_leads_out_of_it_fails(
    machine: PlatformMachine, project: Path
) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *words], cwd=project, check=True, capture_output=True)

    (project / "root" / "bin" / "true").write_text("")
    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "One")
    _apply(machine, source={"git": {"repository": f"file://{project}", "revision": "main"}}, retries=0)
    machine.run("wait", "imagebuild/shop", "--for", "condition=Ready", "--timeout", "60")
    describe(project, sources=[{"from": "/etc/hostname", "to": "/srv/name"}])
    git("commit", "--quiet", "-am", "Two")
    assert machine.run("run", "imagebuild/shop") == "imagebuild/shop is built again\n"
    machine.run("wait", "imagebuild/shop", "--for", "condition=Ready=False", "--timeout", "60")
    assert "/etc/hostname is outside of" in machine.condition("Ready", "imagebuild/shop")["message"]
