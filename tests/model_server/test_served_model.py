"""What a model, its card and its labels must have in common; and which engine runs it."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import NotFound
from lykeion.engines import ModelError
from lykeion.engines.choosing import ModelFile
from lykeion.engines.running import find_kind
from lykeion.model_server import CannotServe, engine_choice, open_served
from lykeion.model_server.engine_choice import EngineChoice, EngineSearch, plan_rows
from lykeion.model_server.row_queue import RowPlan
from lykeion.web_kit import ServerSettings
from tests.litert.files import one_operator

from .tiny import CARD, CONTENT, served, source

LITERT = (find_kind("litert"),)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))
    return tmp_path


def test_labels_of_another_number_than_the_output_are_refused() -> None:
    with pytest.raises(CannotServe, match=r"3 labels, and no output of that size: 'logits' has shape \[-1, 4\]"):
        served(source(labels=("a", "b", "c")))


def test_a_card_of_another_size_than_the_input_is_refused() -> None:
    with pytest.raises(CannotServe, match=r"photos of 9×8×3; input 'image' has shape \[-1, 8, 8, 3\]"):
        served(source(card=replace(CARD, height=9)))


@pytest.mark.parametrize(
    ("times", "plan"),
    [
        ({1: 1.0}, RowPlan()),
        ({1: 1.0, 2: 2.0, 4: 3.9, 8: 8.0}, RowPlan()),
        ({1: 1.0, 2: 1.8, 4: 3.2, 8: 7.0}, RowPlan(4, 4)),
        ({1: 1.0, 2: 1.1, 4: 1.3, 8: 1.6}, RowPlan(8, 2)),
        ({1: 1.0, 2: 1.9, 8: 4.2}, RowPlan(8, 5)),
        ({1: 1.0, 2: 0.9}, RowPlan(2, 2)),
    ],
)
def test_a_batch_must_pay_and_is_filled_up_from_where_it_does(times: Mapping[int, float], plan: RowPlan) -> None:
    assert plan_rows(times) == plan


def test_the_choice_is_measured_once_and_remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search, model = EngineSearch(LITERT, lanes=1, max_batch=1), ModelFile("tiny", CONTENT)
    assert search.choose(model) == EngineChoice("litert")
    (file,) = (home / "cache" / "engine-choices").iterdir()
    assert EngineChoice.read(file) == EngineChoice("litert")
    file.write_text("damaged")
    assert search.choose(model) == EngineChoice("litert")
    monkeypatch.setattr(engine_choice, "try_models", None)
    assert search.choose(model) == EngineChoice("litert")
    with pytest.raises(TypeError):
        replace(search, max_batch=4).choose(model)


def test_a_choice_is_read_as_it_was_written(tmp_path: Path) -> None:
    choice = EngineChoice("openvino", 4, RowPlan(8, 3))
    (tmp_path / "choice.json").write_text(choice.to_json())
    assert EngineChoice.read(tmp_path / "choice.json") == choice


@pytest.mark.parametrize("damage", ["", "{", "{}", '{"kind": "litert"}', '{"kind": "gone", "threads": 1}', "[]"])
def test_a_choice_that_cannot_be_read_is_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / "choice.json").write_text(damage)
    with pytest.raises(NotFound):
        EngineChoice.read(tmp_path / "choice.json")


@pytest.mark.slow
def test_what_no_engine_runs_is_refused_before_it_is_loaded_here() -> None:
    with pytest.raises(ModelError):
        open_served(replace(source(), file=ModelFile("bad", b"\0\0\0\0TFL3 and no more")), ServerSettings())


def test_the_engine_may_be_named() -> None:
    with closing(open_served(source(), ServerSettings(threads=2), engine="litert-builtin", max_batch=1)) as model:
        assert model.metadata["platform"] == "litert-builtin_tflite"
        assert model.choice.plan == RowPlan()


def test_a_model_for_photos_of_any_size_takes_those_of_its_card_and_is_refused_without_one() -> None:
    relu, shape = tfl.BuiltinOperator.RELU, (1, -1, -1, 3)
    found = replace(source(labels=()), file=ModelFile("any", one_operator(relu, None, shape, shape)))
    settings = ServerSettings(threads=1)
    with closing(
        open_served(replace(found, card=replace(CARD, height=5, width=6)), settings, engine="litert")
    ) as model:
        assert model.metadata["inputs"][0]["shape"] == [-1, 5, 6, 3]
        values = np.random.default_rng(0).uniform(-1, 1, (3, 5, 6, 3)).astype(np.float32)
        outputs = asyncio.run(model.run(values))
        np.testing.assert_array_equal(outputs["y"], np.maximum(values, 0))
    with pytest.raises(ModelError, match="takes any size"):
        open_served(replace(found, card=None), settings, engine="litert")
