"""The faces of rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lykeion
from lykeion.core.lazy import lazy

ROOT = Path(lykeion.__file__).parent
FACES = sorted(path for path in ROOT.rglob("__init__.py") if "lazy(" in path.read_text())


def test_a_name_is_imported_when_it_is_first_used() -> None:
    load = lazy("json", {"decoder": "JSONDecoder JSONDecodeError", "scanner": "make_scanner"})
    assert load("JSONDecoder").__module__ == "json.decoder"
    with pytest.raises(AttributeError, match="'json' has no attribute 'Decoder'"):
        load("Decoder")


@pytest.mark.parametrize("face", FACES, ids=lambda path: path.parent.name)
def test_a_face_gives_what_it_lists_from_where_its_types_say(face: Path) -> None:
    tree = ast.parse(face.read_text())
    types = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy"]
    given = {
        name: module
        for call in calls
        for module, names in ast.literal_eval(call.args[1]).items()
        for name in names.split()
    }
    modules = {path.stem for path in face.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert given == types
    assert not given.keys() & modules, "a module of that name would be found first"
    assert given.keys() <= set(_listed(tree))


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
