"""Known greetings are dropped; everything else that is written to standard error meanwhile gets there."""

import ast
import os
from pathlib import Path

import pytest

from lykeion.core.library_output import quiet_import, without_lines

QUIET = "lykeion.nets.quiet_keras"


def test_lines_that_begin_otherwise_appear(capfd: pytest.CaptureFixture[str]) -> None:
    with without_lines(b"INFO:"):
        os.write(2, b"INFO: hello\nERROR: INFO: it fails\n")
    assert capfd.readouterr().err == "ERROR: INFO: it fails\n"


def test_errors_of_tensorflow_appear_and_greetings_do_not(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with quiet_import():
        os.write(2, b"I0000 00:00:17.2 port.cc:153] oneDNN custom operations are on.\nE0000 00:00:17.3 no device\n")
    assert capfd.readouterr().err == "E0000 00:00:17.3 no device\n"


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    before = dict(os.environ)
    with quiet_import(KERAS_BACKEND="tensorflow", ELSE="1"):
        inside = (os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["KERAS_BACKEND"], os.environ["ELSE"])
    assert inside == ("2", "jax", "1")
    assert dict(os.environ) == before


def test_tensorflow_and_keras_are_imported_quietly_or_after_the_module_that_does() -> None:
    for path in (Path(__file__).parents[2] / "src").rglob("*.py"):
        module = ast.parse(path.read_bytes())
        if any(isinstance(each, ast.ImportFrom) and each.module == QUIET for each in module.body):
            continue
        quiet = [each for each in ast.walk(module) if isinstance(each, ast.With) and "quiet_import" in ast.dump(each)]
        allowed = {id(each) for block in quiet for each in ast.walk(block)}
        assert [
            each.lineno for each in ast.walk(module) if imports_tensorflow(each) and id(each) not in allowed
        ] == [], path


def imports_tensorflow(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
    return any(name.partition(".")[0] in ("tensorflow", "keras") for name in names)
