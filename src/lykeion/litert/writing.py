"""Writing LiteRT files: tensors, constants and operators of one subgraph, and a signature; adding metadata."""

import struct
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import first_line

from .errors import ModelError
from .graph import Quantization
from .reading import MARK, content_of, parse, text_of

Constant: TypeAlias = "np.ndarray | tuple[np.ndarray, Quantization]"
"""Float32, int32, or quantized int8 and int32."""

_TYPES = {"float32": tfl.TensorType.FLOAT32, "int32": tfl.TensorType.INT32, "int8": tfl.TensorType.INT8}


class GraphWriter:
    """Collects tensors, buffers and operators, and builds the model."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}
        self._tensors: list[tfl.TensorT] = []
        self._buffers: list[tfl.BufferT] = [tfl.BufferT()]  # the first is the empty one, by the schema
        self._weight_bytes = 0
        self._codes: list[tfl.OperatorCodeT] = []
        self._operators: list[tfl.OperatorT] = []

    def tensor(self, name: str, shape: Sequence[int], quantization: Quantization | None = None) -> None:
        """A computed tensor of ``shape`` for one photo; the batch is its first axis. Float32, or int8."""
        self._add(
            name,
            tfl.TensorT(
                shape=[1, *shape],
                shapeSignature=[-1, *shape],
                type=_TYPES["int8" if quantization else "float32"],
                name=name,
                quantization=_parameters(quantization),
                hasRank=True,
            ),
        )

    def operator(
        self,
        builtin: int,
        options: Any,
        inputs: Sequence[str],
        constants: Sequence[Constant],
        output: str,
        shape: Sequence[int],
        quantization: Quantization | None = None,
        version: int = 1,
    ) -> None:
        """An operator on ``inputs``, then ``constants``, to the new tensor ``output`` of ``shape``."""
        self.tensor(output, shape, quantization)
        indices = [self._indices[name] for name in inputs]
        indices += [self._constant(f"{output}/{place}", value) for place, value in enumerate(constants)]
        self._operators.append(
            tfl.OperatorT(
                opcodeIndex=self._code(builtin, version),
                inputs=indices,
                outputs=[self._indices[output]],
                builtinOptionsType=getattr(tfl.BuiltinOptions, type(options).__name__.removesuffix("T")),
                builtinOptions=options,
            )
        )

    def finish(self, name: str, source: str, output: str) -> bytes:
        subgraph = tfl.SubGraphT(
            name="main",
            tensors=self._tensors,
            operators=self._operators,
            inputs=[self._indices[source]],
            outputs=[self._indices[output]],
        )
        signature = tfl.SignatureDefT(
            signatureKey="serving_default",
            inputs=[tfl.TensorMapT(name=source, tensorIndex=self._indices[source])],
            outputs=[tfl.TensorMapT(name=output, tensorIndex=self._indices[output])],
        )
        model = tfl.ModelT(
            version=3,
            description=name,
            operatorCodes=self._codes,
            subgraphs=[subgraph],
            buffers=self._buffers,
            signatureDefs=[signature],
        )
        return _finished(model, self._weight_bytes)

    def _add(self, name: str, tensor: tfl.TensorT) -> int:
        self._tensors.append(tensor)
        self._indices[name] = len(self._tensors) - 1
        return self._indices[name]

    def _constant(self, name: str, constant: Constant) -> int:
        value, quantization = constant if isinstance(constant, tuple) else (constant, None)
        data = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        self._buffers.append(tfl.BufferT(data=cast(Any, data.reshape(-1).view(np.uint8))))
        self._weight_bytes += data.nbytes
        tensor = tfl.TensorT(
            shape=list(value.shape),
            type=_TYPES[value.dtype.name],
            name=name,
            buffer=len(self._buffers) - 1,
            quantization=_parameters(quantization),
            hasRank=True,
        )
        return self._add(name, tensor)

    def _code(self, builtin: int, version: int) -> int:
        for place, code in enumerate(self._codes):
            if (code.builtinCode, code.version) == (builtin, version):
                return place
        # Readers that predate the wide code field use the deprecated one, whose maximum is 127.
        self._codes.append(
            tfl.OperatorCodeT(builtinCode=builtin, deprecatedBuiltinCode=min(builtin, 127), version=version)
        )
        return len(self._codes) - 1


def with_metadata(model: bytes, entries: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """The same model with all constants inside the flatbuffer, as most readers expect them, and with these named
    metadata, which replace any of the same name. Raises ModelError."""
    try:
        parsed = parse(model)
        for buffer in parsed.buffers:
            buffer.data, buffer.offset, buffer.size = cast(Any, content_of(model, buffer)), 0, 0
        replaced = {name for name, _ in entries}
        kept = [entry for entry in parsed.metadata or [] if text_of(entry.name) not in replaced]
        for name, content in entries:
            parsed.buffers.append(tfl.BufferT(data=cast(Any, np.frombuffer(content, np.uint8))))
            kept.append(tfl.MetadataT(name=name, buffer=len(parsed.buffers) - 1))
        parsed.metadata = kept
        return _finished(parsed, len(model))
    except (struct.error, ValueError, TypeError, IndexError, AttributeError, MemoryError) as error:
        raise ModelError(f"model: not a valid LiteRT model: {first_line(error)}") from None


def _parameters(quantization: Quantization | None) -> tfl.QuantizationParametersT | None:
    if quantization is None:
        return None
    zero_points = list(quantization.zero_points)
    if len(zero_points) == 1:
        zero_points *= len(quantization.scales)
    return tfl.QuantizationParametersT(
        scale=list(quantization.scales), zeroPoint=zero_points, quantizedDimension=quantization.axis
    )


class AlignedBuilder(flatbuffers.Builder):
    """Aligns every vector to 16 bytes, as LiteRT's schema requires of buffers but its generated code does not do."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(alignment, 16))


def _finished(model: tfl.ModelT, weight_bytes: int) -> bytes:
    builder = AlignedBuilder(weight_bytes + (1 << 16))
    builder.Finish(model.Pack(builder), MARK)
    return bytes(builder.Output())
