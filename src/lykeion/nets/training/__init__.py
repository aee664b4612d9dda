"""The training loop: reproducible and resumable.

    from lykeion.nets import training

    data = training.load_data("photos", height=96, width=96)
    report = training.train_network(architecture, data, training.Recipe(epochs=20), Path("runs/first"))

``train`` does the same for your own Keras model.

What needs Keras is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from lykeion.core.lazy import lazy

from .errors import DataError, TrainingError

if TYPE_CHECKING:
    from .checkpoints import load_network, read_arrays, read_classes, write_arrays
    from .dataset import SPLIT_NAMES, Dataset, load_data
    from .frame import FITS, PHOTO_MEAN, PHOTO_STD, Fit, Frame, normalise
    from .loop import History, NetworkEvaluation, TrainingOptions, evaluate, predict, train
    from .network import TrainingReport, distiller, train_network
    from .photos import InMemory, OnDisk, Photos, some
    from .recipe import RECIPE_SCHEMA, RECIPE_VERSION, Recipe, RecipeError

__all__ = [
    "FITS", "PHOTO_MEAN", "PHOTO_STD", "RECIPE_SCHEMA", "RECIPE_VERSION", "SPLIT_NAMES", "DataError", "Dataset",
    "Fit", "Frame", "History", "InMemory", "NetworkEvaluation", "OnDisk", "Photos", "Recipe", "RecipeError",
    "TrainingError", "TrainingOptions", "TrainingReport", "distiller", "evaluate", "load_data", "load_network",
    "normalise", "predict", "read_arrays", "read_classes", "some", "train", "train_network", "write_arrays",
]  # fmt: skip

_load = lazy(__name__)


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        raise TrainingError(f"training needs {error.name}: pip install 'lykeion[train]'") from None
