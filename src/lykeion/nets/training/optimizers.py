"""The optimizer of a recipe, built from Keras' optimizers. Imports Keras."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lykeion.nets.quiet_keras import keras

from .recipe import Recipe
from .variables import assign, values_of

Multiplier = Callable[[Any], float]
"""From a variable to the factor of its learning rate."""


def make_optimizer(recipe: Recipe, total_steps: int, variables: Iterable[Any], multiplier: Multiplier) -> Any:
    """Built for the variables; those with fewer than two axes (norms, biases, gates) or frozen ones do not decay."""
    kind, own = _KINDS[recipe.optimizer]
    variables = list(variables)
    factors = [multiplier(variable) for variable in variables]
    settings = {name: value(recipe) for name, value in own.items()}
    if recipe.ema:
        settings |= {"use_ema": True, "ema_momentum": recipe.ema}
    optimizer = _with_multipliers(kind, factors)(
        learning_rate=learning_rate(recipe, total_steps), weight_decay=float(recipe.weight_decay), **settings
    )
    spared = [
        variable for variable, factor in zip(variables, factors, strict=True) if len(variable.shape) < 2 or not factor
    ]
    optimizer.exclude_from_weight_decay(var_list=spared)
    optimizer.build(variables)
    return optimizer


def learning_rate(recipe: Recipe, total_steps: int) -> Any:
    """Rises linearly from 0, then falls as a half cosine to 0 (SGDR, arXiv:1608.03983), or stays."""
    warmup = recipe.warmup_steps if recipe.warmup_steps is not None else total_steps // 20
    warmup = min(warmup, total_steps - 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else recipe.learning_rate,
        decay_steps=total_steps - warmup,
        alpha=1.0 if recipe.schedule == "constant" else 0.0,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


@contextmanager
def averaged_weights(optimizer: Any) -> Iterator[None]:
    """Inside, the model has the moving averages of its weights, if the recipe uses them; restored exactly on exit."""
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    weights, averages = optimizer._trainable_variables, optimizer._model_variables_moving_average
    kept = values_of(weights)
    assign(weights, values_of(averages))
    try:
        yield
    finally:
        assign(weights, kept)


_KINDS: dict[str, tuple[Any, dict[str, Callable[[Recipe], Any]]]] = {
    "adamw": (keras.optimizers.AdamW, {}),
    "sgd": (keras.optimizers.SGD, {"momentum": lambda recipe: float(recipe.momentum), "nesterov": lambda _: True}),
    "rmsprop": (keras.optimizers.RMSprop, {"momentum": lambda recipe: float(recipe.momentum)}),
}


def _with_multipliers(kind: Any, multipliers: list[float]) -> Any:
    """The optimizer, with a factor of the learning rate for each variable."""
    if all(factor == 1 for factor in multipliers):
        return kind

    class Multiplied(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = multipliers[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * factor)

    return Multiplied
