"""MediaPipe Tasks: the ImageEmbedder, on unprocessed photos.

MediaPipe's wheel reports its use to Google and has no setting to disable that (docs/decisions/engines.md): nothing
here is imported unless a user names this engine.
"""
# pyright: reportMissingImports=false
# It is not in the development dependencies.

import sys
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np

from lykeion.core import Unsupported, first_line
from lykeion.engines.running.tensor_specs import TensorSpec, check_values, specs
from lykeion.litert import ModelError, read_graph, with_metadata

if "tensorflow" in sys.modules:
    import mediapipe
else:
    # MediaPipe imports TensorFlow if installed, for annotations in its documentation: this takes seconds and 500 MB.
    sys.modules["tensorflow"] = None  # pyright: ignore[reportArgumentType]
    try:
        import mediapipe
    finally:
        del sys.modules["tensorflow"]

from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions, vision

METADATA = "TFLITE_METADATA"


class MediaPipeEngine:
    """The bytes of a ``.tflite`` file that maps RGB photos to one vector. Raises ModelError, Unsupported.

    MediaPipe takes pixels and normalises them by (x − mean) / std itself: the input is uint8, and its quantization
    gives the real numbers of the pixels. Photos are run one by one. MediaPipe decides the number of threads.
    """

    def __init__(
        self, model: bytes, *, threads: int = 1, name: str = "model", mean: float = 127.5, std: float = 127.5
    ) -> None:
        if threads != 1:
            raise Unsupported(f"{name}: MediaPipe's Python package cannot be told the number of threads")
        self._name = name
        inputs, outputs = specs(read_graph(model, name))
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].shape[3:] != (3,):
            raise Unsupported(f"{name}: MediaPipe's ImageEmbedder wants one RGB input and one output")
        self.inputs = (TensorSpec(inputs[0].name, inputs[0].shape, np.dtype(np.uint8), (1 / std, mean)),)
        self.outputs = (TensorSpec(outputs[0].name, outputs[0].shape, np.dtype(np.float32)),)
        described = with_metadata(model, [(METADATA, metadata(name, inputs[0], outputs[0], mean, std))])
        try:
            self._embedder: Any = vision.ImageEmbedder.create_from_options(
                vision.ImageEmbedderOptions(base_options=BaseOptions(model_asset_buffer=described))
            )
        except (RuntimeError, ValueError, FileNotFoundError) as error:
            raise ModelError(f"{name}: MediaPipe cannot load it: {first_line(error)}") from None

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        check_values(values, self.inputs, self._name)
        (batch,) = values
        vectors = [self._embed(_image(photo)) for photo in batch]
        return {self.outputs[0].name: np.stack(vectors).reshape(len(batch), *self.outputs[0].shape[1:])}

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        self.run(*values)
        images = [_image(photo) for photo in values[0]]
        return lambda: [self._embedder.embed(image) for image in images]

    def close(self) -> None:
        self._embedder.close()

    def _embed(self, image: Any) -> np.ndarray:
        try:
            return np.asarray(self._embedder.embed(image).embeddings[0].embedding, np.float32)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._name}: MediaPipe cannot run it: {first_line(error)}") from None


def metadata(name: str, given: TensorSpec, made: TensorSpec, mean: float, std: float) -> bytes:
    """The metadata that MediaPipe and LiteRT's own libraries read from a file: a photo in RGB, its normalisation, and
    the names of inputs and outputs."""
    normalisation = schema.NormalizationOptionsT()
    normalisation.mean, normalisation.std = [mean], [std]
    step = schema.ProcessUnitT()
    step.optionsType, step.options = schema.ProcessUnitOptions.NormalizationOptions, normalisation
    picture = schema.ImagePropertiesT()
    picture.colorSpace = schema.ColorSpaceType.RGB
    content = schema.ContentT()
    content.contentPropertiesType, content.contentProperties = schema.ContentProperties.ImageProperties, picture
    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = _described([given])
    graph.inputTensorMetadata[0].content = content
    graph.inputTensorMetadata[0].processUnits = [step]
    graph.outputTensorMetadata = _described([made])
    model = schema.ModelMetadataT()
    model.name, model.subgraphMetadata = name, [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"M001")
    return bytes(builder.Output())


def _described(tensors: Sequence[TensorSpec]) -> list[Any]:
    found = [schema.TensorMetadataT() for _ in tensors]
    for described, spec in zip(found, tensors, strict=True):
        described.name = spec.name
    return found


def _image(photo: np.ndarray) -> Any:
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(photo))
