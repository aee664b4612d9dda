"""Small LiteRT files of single operators, and of quantized networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.litert.writing import AlignedBuilder


def one_operator(
    builtin: int,
    options: Any,
    given: Sequence[int],
    made: Sequence[int],
    constants: Sequence[np.ndarray] = (),
    *,
    besides: Sequence[Sequence[int]] = (),
    fixed: bool = False,
) -> bytes:
    """A float model from ``x``, and inputs of the shapes ``besides``, to ``y`` through one operator. Shapes are for a
    batch of one, which is open, or ``fixed``; other sizes may be open, too."""
    tensors = [
        tfl.TensorT(
            shape=[max(size, 1) for size in shape],
            shapeSignature=list(shape) if fixed else [-1, *shape[1:]],
            type=tfl.TensorType.FLOAT32,
            name=name,
        )
        for name, shape in (("x", given), ("y", made), *((f"x{place}", shape) for place, shape in enumerate(besides)))
    ]
    inputs = [0, *range(2, 2 + len(besides))]
    buffers = [tfl.BufferT()]
    for number, value in enumerate(constants):
        buffers.append(tfl.BufferT(data=np.ascontiguousarray(value).reshape(-1).view(np.uint8)))
        kind = tfl.TensorType.INT32 if value.dtype == np.int32 else tfl.TensorType.FLOAT32
        tensors.append(
            tfl.TensorT(shape=list(value.shape), type=kind, name=f"c{number}", buffer=number + 1, hasRank=True)
        )
    kind = 0 if options is None else getattr(tfl.BuiltinOptions, type(options).__name__.removesuffix("T"))
    operator = tfl.OperatorT(
        opcodeIndex=0,
        inputs=[*inputs, *range(2 + len(besides), len(tensors))],
        outputs=[1],
        builtinOptionsType=kind,
        builtinOptions=options,
    )
    code = tfl.OperatorCodeT(builtinCode=builtin, deprecatedBuiltinCode=min(builtin, 127), version=1)
    graph = tfl.SubGraphT(name="main", tensors=tensors, operators=[operator], inputs=inputs, outputs=[1])
    model = tfl.ModelT(version=3, operatorCodes=[code], subgraphs=[graph], buffers=buffers)
    return packed(model)


def quantized(model: bytes, recipe_name: str, shape: Sequence[int]) -> bytes:
    """By ai-edge-quantizer."""
    from ai_edge_quantizer import quantizer, recipe

    made = quantizer.Quantizer(model)
    made.load_quantization_recipe(getattr(recipe, recipe_name)())
    rng, calibration = np.random.default_rng(0), None
    if made.need_calibration:
        photos = [{"image": rng.uniform(-1, 1, (1, *shape)).astype(np.float32)} for _ in range(8)]
        calibration = made.calibrate({"serving_default": photos})
    return bytes(made.quantize(calibration).quantized_model)


def with_constants_behind(model: bytes, least: int = 32) -> bytes:
    """The same model, its constants of so many bytes or more behind the flatbuffer, where ai-edge-quantizer puts
    those of large models."""
    parsed = tfl.ModelT.InitFromPackedBuf(model)
    moved = [buffer for buffer in parsed.buffers if buffer.data is not None and len(buffer.data) >= least]
    contents = [bytes(buffer.data) for buffer in moved]
    assert moved
    for buffer, content in zip(moved, contents, strict=True):
        buffer.data, buffer.offset, buffer.size = None, 2, len(content)  # numbers take as many bytes as others
    end = -(-len(packed(parsed)) // 16) * 16
    for buffer, content in zip(moved, contents, strict=True):
        buffer.offset, end = end, end + -(-len(content) // 16) * 16
    made = bytearray(packed(parsed))
    for buffer, content in zip(moved, contents, strict=True):
        made += bytes(buffer.offset - len(made)) + content
    return bytes(made)


def packed(model: Any) -> bytes:
    builder = AlignedBuilder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
