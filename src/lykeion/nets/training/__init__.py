"""The training loop: data in, a trained network out, in an order that can be repeated, resumable.

    from lykeion.nets import training

    data = training.load_data("photos", height=96, width=96)
    report = training.train_network(architecture, data, training.Recipe(epochs=20), Path("runs/first"))

``train`` does the same for a Keras model of one's own.

What needs Keras is imported when it is first used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .dataset import Dataset, load_data
from .errors import DataError, TrainingError
from .frame import Frame
from .photos import InMemory, OnDisk, Photos, some
from .recipe import Recipe, RecipeError

if TYPE_CHECKING:
    from .loop import Evaluation, History, evaluate, predict, train
    from .network import Report, load_network, train_network

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
    "Report",
    "TrainingError",
    "evaluate",
    "load_data",
    "load_network",
    "predict",
    "some",
    "train",
    "train_network",
]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets whoever imports it

_NEED_KERAS = {
    "Evaluation": "loop",
    "History": "loop",
    "Report": "network",
    "evaluate": "loop",
    "load_network": "network",
    "predict": "loop",
    "train": "loop",
    "train_network": "network",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_NEED_KERAS[name]}", __name__)
    except ModuleNotFoundError as error:
        raise TrainingError(f"training needs {error.name}: pip install 'lykeion[train]'") from None
    return getattr(module, name)
