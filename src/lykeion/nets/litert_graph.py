"""The flatbuffer of a LiteRT file: tensors, constants and operators of one subgraph, and a signature."""

from collections.abc import Sequence
from typing import Any, cast

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl


class Graph:
    """Tensors, buffers and operators as they come, and the model made of them."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}
        self._tensors: list[tfl.TensorT] = []
        self._buffers: list[tfl.BufferT] = [tfl.BufferT()]  # the first is the empty one, by the schema
        self._weight_bytes = 0
        self._codes: list[tfl.OperatorCodeT] = []
        self._operators: list[tfl.OperatorT] = []

    def tensor(self, name: str, shape: Sequence[int]) -> None:
        """A tensor that is computed, of ``shape`` for one photo; the batch is its first axis."""
        self._add(
            name,
            tfl.TensorT(
                shape=[1, *shape],
                shapeSignature=[-1, *shape],
                type=tfl.TensorType.FLOAT32,
                name=name,
                hasRank=True,
            ),
        )

    def operator(
        self,
        builtin: int,
        options: Any,
        inputs: Sequence[str],
        constants: Sequence[np.ndarray],
        output: str,
        shape: Sequence[int],
    ) -> None:
        """An operator of version 1 on ``inputs``, then ``constants``, to the new tensor ``output`` of ``shape``."""
        self.tensor(output, shape)
        indices = [self._indices[name] for name in inputs]
        indices += [self._constant(f"{output}/{place}", value) for place, value in enumerate(constants)]
        self._operators.append(
            tfl.OperatorT(
                opcodeIndex=self._code(builtin),
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
        builder = AlignedBuilder(self._weight_bytes + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _add(self, name: str, tensor: tfl.TensorT) -> int:
        self._tensors.append(tensor)
        self._indices[name] = len(self._tensors) - 1
        return self._indices[name]

    def _constant(self, name: str, value: np.ndarray) -> int:
        data = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        self._buffers.append(tfl.BufferT(data=cast(Any, data.reshape(-1).view(np.uint8))))
        self._weight_bytes += data.nbytes
        kind = tfl.TensorType.INT32 if value.dtype == np.int32 else tfl.TensorType.FLOAT32
        return self._add(
            name,
            tfl.TensorT(shape=list(value.shape), type=kind, name=name, buffer=len(self._buffers) - 1, hasRank=True),
        )

    def _code(self, builtin: int) -> int:
        for place, code in enumerate(self._codes):
            if code.builtinCode == builtin:
                return place
        # Readers older than the wide code field look at the deprecated one, which ends at 127.
        self._codes.append(tfl.OperatorCodeT(builtinCode=builtin, deprecatedBuiltinCode=min(builtin, 127), version=1))
        return len(self._codes) - 1


class AlignedBuilder(flatbuffers.Builder):
    """Starts every vector on 16 bytes, as the schema demands of buffers and the generated code forgets."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(alignment, 16))
