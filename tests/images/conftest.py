from pathlib import Path

import pytest

from lykeion.oci import Layout

from .making import describe, make_rootfs, make_wheel, requirement


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def output(tmp_path: Path) -> Layout:
    return Layout.open(tmp_path / "output", create=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A description, and all that it asks for: a base, two wheels, source."""
    return make_project(tmp_path / "project")


def make_project(directory: Path, **fields: object) -> Path:
    make_rootfs(directory / "root")
    wheels = [make_wheel(directory / "wheels"), make_wheel(directory / "wheels", "boots", "2.0")]
    (directory / "requirements.txt").write_text(requirement(*wheels))
    (directory / "app" / "pages").mkdir(parents=True)
    (directory / "app" / "main.py").write_text("print('open')\n")
    (directory / "app" / "pages" / "shoes.html").write_text("<h1>Shoes</h1>\n")
    (directory / "app" / "start").write_text("#!/bin/sh\n")
    (directory / "app" / "start").chmod(0o755)
    python = {"requirements": "requirements.txt", "wheels": ["wheels"], "index": False}
    describe(directory, **{"python": python, "sources": [{"from": "app", "to": "/srv/app"}], **fields})
    return directory
