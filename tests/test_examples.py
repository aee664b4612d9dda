"""The programs of examples/, run as a person runs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    shutil.copytree(ROOT / "tests" / "photos", folder, ignore=shutil.ignore_patterns("*.md"))
    return folder


def run(name: str, *words: Path, folder: Path) -> list[str]:
    """What an example prints; files of the names that it might take are left as they are."""
    for place in ("shop.index", "photos.index", "photos/shop.jsonl", "answers.png"):
        (folder / place).write_text("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, words)]
    environment = {**os.environ, "TMPDIR": str(folder.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    return done.stdout.splitlines()


def test_a_folder_is_indexed_and_its_photo_found(photos: Path, tmp_path: Path) -> None:
    lines = run("index_a_folder.py", photos, photos / "flower.jpg", folder=tmp_path)
    assert lines[0].startswith("added 4")
    assert lines[1] == "1.000  flower.jpg"
    assert Path(lines[-1]).stat().st_size > 10_000


def test_a_shop_is_filtered_and_changed(photos: Path, tmp_path: Path) -> None:
    lines = run("filtered_shop.py", photos, folder=tmp_path)
    nearest, cheap, by_tag, by_part, changed = lines[1:]
    assert nearest.startswith("nearest: [('P0', 1.0, 1000), ('P1', ")
    assert cheap == "cheap: [('P0', 1.0, 1000)]"
    assert by_tag.startswith("by tag: [('P1', ")
    assert by_part.startswith("by a part of the photo: [('P0', ")
    assert changed == "cheap, after a change of price: []"


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text()
    assert all(f'"{path.name}"' in text for path in (ROOT / "examples").glob("[!_]*.py"))
