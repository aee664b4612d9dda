"""Rooms and layers: their picture, and names that a search finds once."""

import ast
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

import lykeion

SOURCES = sorted(Path(lykeion.__file__).parent.rglob("*.py"))
PROGRAM = Path(__file__).parents[1] / "docs" / "draw_rooms.py"


def test_the_picture_of_rooms_is_what_the_source_imports_now() -> None:
    pytest.importorskip("grimp", reason="import-linter brings it")
    spec = importlib.util.spec_from_file_location("draw_rooms", PROGRAM)
    assert spec
    assert spec.loader
    draw_rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw_rooms)
    assert ("search", "web_kit") in draw_rooms.edges()
    assert draw_rooms.PICTURE.read_text() == draw_rooms.draw(), "run: python docs/draw_rooms.py"


def test_no_two_modules_have_one_name() -> None:
    names = Counter(path.name for path in SOURCES if path.name not in ("__init__.py", "errors.py"))
    assert [name for name, times in names.items() if times > 1] == []


def test_no_two_classes_have_one_name() -> None:
    trees = (ast.parse(path.read_text()) for path in SOURCES)
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, times in names.items() if times > 1 and not name.startswith("_")] == []
