"""The faces of rooms."""

import ast
import compileall
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lykeion

ROOT = Path(lykeion.__file__).parent
FACES = sorted(path for path in ROOT.rglob("__init__.py") if "lazy(" in path.read_text())


def write_room(directory: Path, name: str) -> Path:
    """A package with a face, in ``directory``."""
    room = directory / name
    (room / "inner").mkdir(parents=True)
    face = "from typing import TYPE_CHECKING\nfrom lykeion.core.lazy import lazy\n\nif TYPE_CHECKING:\n"
    face += "    from .inner.first import ONE, TWO\n    from .second import THREE\n\n__getattr__ = lazy(__name__)\n"
    (room / "__init__.py").write_text(face)
    (room / "inner" / "first.py").write_text("ONE, TWO = 1, 2")
    (room / "second.py").write_text("THREE = 3")
    return room


def test_a_name_is_imported_when_it_is_first_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_room(tmp_path, "room_with_a_face")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = importlib.import_module("room_with_a_face")
    assert "room_with_a_face.inner.first" not in sys.modules
    assert (loaded.ONE, loaded.TWO) == (1, 2)
    assert "room_with_a_face.second" not in sys.modules
    with pytest.raises(AttributeError, match="'room_with_a_face' has no attribute 'FOUR'"):
        _ = loaded.FOUR


def test_a_face_works_in_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_room(tmp_path / "plain", "zipped_room")
    monkeypatch.syspath_prepend(shutil.make_archive(str(tmp_path / "rooms"), "zip", tmp_path / "plain"))
    assert importlib.import_module("zipped_room").TWO == 2


def test_a_face_works_where_only_its_bytecode_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = write_room(tmp_path, "room_without_source")
    assert compileall.compile_dir(room, quiet=1, legacy=True)
    for source in list(room.rglob("*.py")):
        source.unlink()
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("room_without_source").THREE == 3


@pytest.mark.parametrize("face", FACES, ids=lambda path: path.parent.name)
def test_a_face_lists_each_name_that_its_types_take_from_a_module(face: Path) -> None:
    tree = ast.parse(face.read_text())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    names = [alias.name for node in imported for alias in node.names]
    modules = {path.stem for path in face.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert sorted(names) == sorted(_listed(tree))
    assert not modules.intersection(names), "a module of that name would be found first"


def test_what_a_device_imports_loads_neither_litert_nor_what_chooses() -> None:
    code = (
        "import sys; from lykeion.engines.running import Engine, find_kind; found = sys.modules.keys();"
        "assert not {'ai_edge_litert', 'lark', 'matplotlib', 'lykeion.engines.choosing'} & found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _listed(tree: ast.Module) -> list[str]:
    (found,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    return ast.literal_eval(found)
