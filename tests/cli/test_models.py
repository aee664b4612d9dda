import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import LykeionError
from lykeion.nets import built_directory
from lykeion.search.embedder import Embedder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))


def run(*arguments: str) -> str:
    return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False).stdout


def test_importing_the_default_prints_a_path_that_loads() -> None:
    assert Embedder.load(run("import", "efficientnet-lite0").strip()).name == "efficientnet-lite0"


def test_json_is_one_document_with_the_embedders_digest() -> None:
    model = json.loads(run("import", "efficientnet-lite0", "--json"))
    assert model["digest"] == Embedder.load().digest
    assert (model["dimension"], model["licence"]) == (1280, "Apache-2.0")
    assert json.loads(run("list", "--json")) == {"models": [model], "versions": []}


def test_the_list_shows_what_an_index_would_say() -> None:
    assert run("list") == ""
    run("import", "efficientnet-lite0")
    assert Embedder.load().digest in run("list")


def test_a_model_whose_card_is_broken_does_not_hide_the_others() -> None:
    run("import", "efficientnet-lite0")
    (built_directory() / "broken.tflite").write_bytes(b"")
    (built_directory() / "broken.json").write_text("{")
    result = CliRunner().invoke(app, ["models", "list", "--json"])
    assert [model["name"] for model in json.loads(result.stdout)["models"]] == ["efficientnet-lite0"]
    assert "broken.json" in result.stderr


def test_a_directory_that_cannot_be_written_is_an_error_that_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "file"))
    with pytest.raises(LykeionError, match="set LYKEION_HOME to another directory"):
        run("import", "efficientnet-lite0")
