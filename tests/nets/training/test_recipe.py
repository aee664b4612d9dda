import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.nets.training import Recipe, RecipeError


def test_a_recipe_survives_json() -> None:
    recipe = Recipe(epochs=3, head="arcface", prefixes=(16, 64), ema=0.99, teacher=None, batch_norm_momentum=0.9)
    assert Recipe.from_json(json.dumps(recipe.to_json())) == recipe


def test_settings_left_out_have_their_defaults() -> None:
    assert Recipe.from_json({"schema": "lykeion.recipe", "version": 1, "epochs": 2}) == Recipe(epochs=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is '0'; give a whole number"),
        ({"batch": True}, "batch"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"optimizer": "adam"}, "one of adamw, sgd, rmsprop"),
        ({"ema": 1}, "below 1"),
        ({"prefixes": (8,)}, "need head"),
        ({"head": "arcface", "mixup": 0.2}, "mixup"),
        ({"head": "arcface", "teacher": "runs/large"}, "teacher"),
    ],
)
def test_an_impossible_setting_is_an_error_that_names_it(settings: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        Recipe(**settings)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[1]", "nonsense", "{}", '{"schema": "lykeion.recipe", "version": 1, "epoch": 2}'])
def test_what_is_no_recipe_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(text)
    with pytest.raises(RecipeError, match=r"recipe\.json: .*recipe"):
        Recipe.read(file)


@given(st.integers(1, 10**6))
def test_batch_norm_remembers_fewer_steps_than_a_training_has(steps: int) -> None:
    momentum = Recipe().norm_momentum(steps)
    assert 0.9 <= momentum <= 0.99
    assert 1 / (1 - momentum) <= max(10.001, steps / 39)


def test_batch_norm_momentum_that_is_set_is_kept() -> None:
    assert Recipe(batch_norm_momentum=0.5).norm_momentum(10) == 0.5


def test_steps_replace_epochs() -> None:
    assert Recipe(epochs=3, batch=100).total_steps(1_000) == 30
    assert Recipe(epochs=3, batch=100, steps=7).total_steps(1_000) == 7
    assert Recipe(epochs=3, batch=100).total_steps(20) == 3


def test_the_guide_has_every_setting() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "training.md").read_text()
    for setting in fields(Recipe):
        assert f"| `{setting.name.replace('_', '-')}` | " in guide
