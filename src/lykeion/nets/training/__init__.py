"""The training loop: data in, a trained network out, in an order that can be repeated, resumable.

    from lykeion.nets import training

    data = training.load_data("photos", height=96, width=96)
    history = training.train(model, data, training.Recipe(epochs=20), Path("runs/first"))

What needs Keras is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .dataset import Dataset, load_data
from .errors import DataError, TrainingError
from .frame import Frame
from .photos import InMemory, OnDisk, Photos
from .recipe import Recipe, RecipeError

if TYPE_CHECKING:
    from .loop import Evaluation, History, evaluate, predict, train

__all__ = [
    "DataError",
    "Dataset",
    "Evaluation",
    "Frame",
    "History",
    "InMemory",
    "OnDisk",
    "Photos",
    "Recipe",
    "RecipeError",
    "TrainingError",
    "evaluate",
    "load_data",
    "predict",
    "train",
]

_NEED_KERAS = {"Evaluation": "loop", "History": "loop", "evaluate": "loop", "predict": "loop", "train": "loop"}


def __getattr__(name: str) -> Any:
    if name not in _NEED_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_NEED_KERAS[name]}", __name__), name)
