"""The picture of rooms and layers."""

import importlib.util
from pathlib import Path

import pytest

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
