"""Post-training quantization by ai-edge-quantizer: the last step of a compression, as its result cannot be trained.

For int8 that keeps codebooks, and for training in int8, use ``qat``.
"""

import contextlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from lykeion.compress.compressed_model import CompressedModel, select
from lykeion.compress.errors import CompressionError
from lykeion.compress.network_files import litert_file
from lykeion.compress.sensitivity import Sensitivity
from lykeion.compress.settings import Between, Needs
from lykeion.core import CONSOLE, Reporter, first_line
from lykeion.nets import INPUT
from lykeion.nets.training import Dataset, normalise, some

_LACKS = "quantize needs ai-edge-quantizer: pip install 'lykeion[compress]'"

Mode: TypeAlias = Literal["dynamic", "weight-only", "int8", "int16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize:
    mode: Annotated[
        Mode,
        "dynamic: int8 weights, activations rounded as they come; weight-only: int8 weights, computed in float32; "
        "int8 and int16: activations rounded to ranges seen in calibration, weights int8.",
    ] = "int8"
    skip: Annotated[tuple[str, ...], "Layers that stay float32, by name or kind."] = ()
    sensitivity: Annotated[Path | None, "A scan by `lykeion compress sensitivity`: skip what 8 bits harm."] = None
    loss: Annotated[
        float, "Of accuracy, alone, above which the scan has a layer skipped.", Between(0, 1), Needs("sensitivity")
    ] = 0.01
    calibration: Annotated[
        int, "Training photos that ranges are taken from.", Between(1, 100_000), Needs("mode", ("int8", "int16"))
    ] = 256


def plan(model: CompressedModel, settings: Quantize) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be quantized."""
    _skipped(model, settings)
    if find_spec("ai_edge_quantizer") is None:
        raise CompressionError(_LACKS)
    return replace(model, converted=b"")


def _skipped(model: CompressedModel, settings: Quantize) -> set[str]:
    """Layers that stay float32. Raises CompressionError if the model cannot be quantized."""
    model.check_trainable()
    if model.ranges is not None:
        raise CompressionError("quantize: the network is int8 already, by qat")
    skipped = set(select(model.architecture, settings.skip)) if settings.skip else set[str]()
    if settings.sensitivity is not None:
        scan = Sensitivity.read(settings.sensitivity, model.architecture.name)
        skipped |= {name for name in model.kernels if scan.loss("bits", name, 8) > settings.loss}
    return skipped


def apply(
    model: CompressedModel, data: Dataset, settings: Quantize, run: Path | None = None, reporter: Reporter = CONSOLE
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The converted model, and the layers that stayed float32. Raises CompressionError."""
    skipped = _skipped(model, settings)
    seen = some(data.train, settings.calibration)
    photos = normalise(seen.read(np.arange(len(seen))))
    converted = convert(litert_file(model), settings.mode, sorted(skipped), photos)
    return replace(model, converted=converted), {"float32": sorted(skipped)}


def convert(file: bytes, mode: Mode, skipped: list[str], photos: np.ndarray) -> bytes:
    """A quantized LiteRT file from one of ``nets``; ``photos`` are float32 (n, height, width, channels).

    Raises CompressionError.
    """
    try:
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer.qtyping import TFLOperationName
    except ImportError:
        raise CompressionError(_LACKS) from None
    work, everything = quantizer.Quantizer(bytearray(file)), TFLOperationName.ALL_SUPPORTED
    try:
        match mode:
            case "dynamic":
                work.add_dynamic_config(".*", everything, 8)
            case "weight-only":
                work.add_weight_only_config(".*", everything, 8)
            case "int8" | "int16":
                work.add_static_config(".*", everything, 8 if mode == "int8" else 16, 8)
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):  # photos and logits stay float32
            work.update_quantization_recipe(".*", end, algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE)
        for name in skipped:
            scope = rf"^{re.escape(name)}(/linear|/relu6)?;?$"
            work.update_quantization_recipe(scope, everything, algorithm_key=quantizer.AlgorithmName.NO_QUANTIZE)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            seen = None
            if work.need_calibration:
                seen = work.calibrate({"serving_default": [{INPUT: photo[None]} for photo in photos]}, num_threads=1)
            result = work.quantize(seen, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise CompressionError(f"quantize: {mode} cannot be done: {first_line(error)}") from None
    return bytes(result.quantized_model or b"")
