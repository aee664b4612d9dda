"""Keras networks as LiteRT files with a model card. Needs TensorFlow: the extra ``train``."""

import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import Invalid, digest_bytes, first_line
from lykeion.core.library_output import quiet_import
from lykeion.nets.installed import imported_directory, install
from lykeion.vision import CardError, ModelCard


class KerasImportError(Invalid):
    """A Keras network that cannot be imported; the message says which and why."""


def import_keras(spec: str, *, weights: str | None = "imagenet") -> Path:
    """Write a network's ``.tflite`` file and card into the data directory; returns the file's path.

    ``spec`` is a name in keras.applications, such as "MobileNetV3Small", with ``weights`` as Keras takes them: the
    embedding is its average-pooled features, and the card has the normalisation of its ``preprocess_input``. Or it is
    a ``.keras`` file, whose output must be a vector: the embedding. The file does not have its normalisation, so its
    card has none; for a network without a Rescaling layer, set the card's ``mean`` and ``std``.
    Raises KerasImportError, ModelStoreError.
    """
    keras = _keras()
    # Keras prints to standard output, which is reserved for the result.
    with redirect_stdout(sys.stderr):
        if spec.endswith(".keras"):
            model, name = _load(keras, Path(spec)), Path(spec).stem
            channels, mean, std = "RGB", (0.0,) * 3, (1.0,) * 3
        else:
            network = _network(keras, spec)
            model, name = _build(network, spec, weights), spec
            channels, mean, std = _normalisation(sys.modules[network.__module__].preprocess_input)
        height, width = _photo_size(model, spec)
        content = _export(model, spec)
    try:
        card = ModelCard(
            name=name,
            height=height,
            width=width,
            channels=channels,
            mean=mean,
            std=std,
            crop="centre",
            crop_fraction=1.0,
            output=_output_name(content),
            dimension=_dimension(model, spec),
            source=f"{spec}, weights {weights}, exported by Keras {keras.__version__}",
        )
    except CardError as error:
        raise KerasImportError(f"{spec}: {error}") from None
    path = imported_directory() / f"{name}-{digest_bytes(content).removeprefix('sha256:')[:16]}.tflite"
    install(path, content, card)
    return path


def _keras() -> Any:
    try:
        with quiet_import(KERAS_BACKEND="tensorflow"):
            import keras  # pyright: ignore[reportMissingImports]
            import tensorflow  # noqa: F401  # pyright: ignore[reportMissingModuleSource]
    except ImportError:
        raise KerasImportError("Keras networks need TensorFlow and Keras: pip install 'lykeion[train]'") from None
    return keras


def _load(keras: Any, path: Path) -> Any:
    if not path.is_file():
        raise KerasImportError(f"{path}: no such file; give a .keras file or a name in keras.applications")
    try:
        # Safe mode: a saved lambda is code, and is refused.
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras passes on any exception of its layers
        raise KerasImportError(f"{path}: Keras cannot load it: {first_line(error)}") from None


def _network(keras: Any, name: str) -> Any:
    network = getattr(keras.applications, name, None)
    if not name[:1].isupper() or not callable(network):
        names = sorted(known for known in dir(keras.applications) if known[0].isupper())
        raise KerasImportError(f"{name!r} is neither a .keras file nor in keras.applications: {', '.join(names)}")
    return network


def _build(network: Any, name: str, weights: str | None) -> Any:
    try:
        _, height, width, _ = network(weights=None).input_shape
        size = (height or 224, width or 224)  # a few accept any size; their weights are for 224²
        return network(include_top=False, pooling="avg", weights=weights, input_shape=(*size, 3))
    except Exception as error:  # usually a failed download
        raise KerasImportError(
            f"{name}: Keras cannot build it with weights {weights!r}: {first_line(error)}"
        ) from None


def _normalisation(preprocess: Any) -> tuple[Any, tuple[float, ...], tuple[float, ...]]:
    """Channel order, mean and std of a ``preprocess_input``, determined from its effect on four pixels."""
    black_and_primaries = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
    black, *primaries = np.asarray(preprocess(black_and_primaries.reshape(1, 4, 1, 3).copy())).reshape(4, 3)
    gains = np.stack(primaries) - black  # row: channel in, column: channel out
    reverse = bool(gains[0, 2])
    std = 255 / np.diag(gains[::-1] if reverse else gains)
    mean = -black * std
    return "BGR" if reverse else "RGB", tuple(map(_rounded, mean)), tuple(map(_rounded, std))


def _photo_size(model: Any, spec: str) -> tuple[int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or None in shape[1:3]:
        raise KerasImportError(f"{spec}: its input is {shape}; it must be photos, (batch, height, width, 3)")
    return shape[1], shape[2]


def _dimension(model: Any, spec: str) -> int:
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise KerasImportError(f"{spec}: its output is {shape}; it must be one vector, (batch, dimension)")
    return shape[1]


def _export(model: Any, spec: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        try:
            model.export(path, format="litert", verbose=False)
        except Exception as error:  # the converter may raise anything
            raise KerasImportError(f"{spec}: cannot be exported to LiteRT: {first_line(error)}") from None
        return path.read_bytes()


def _output_name(content: bytes) -> str:
    from ai_edge_litert import schema_py_generated as tfl

    model: Any = tfl.ModelT.InitFromPackedBuf(content)
    return model.signatureDefs[0].outputs[0].name.decode()


def _rounded(value: np.floating) -> float:
    return round(float(value), 4) + 0.0  # no −0.0
