"""The datatypes of the Open Inference Protocol, and NumPy's."""

import numpy as np

from .errors import CannotServe

BYTES = "BYTES"
"""Strings of bytes of any length, which have no fixed size and no NumPy type here."""

DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""Little-endian, as tensors are sent."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def datatype_of(dtype: np.dtype, tensor: str) -> str:
    """The name of a dtype. Raises CannotServe, which names the tensor, if the protocol has none."""
    if dtype not in _NAMES:
        raise CannotServe(f"tensor {tensor!r} is {dtype}, which the Open Inference Protocol has no datatype for")
    return _NAMES[dtype]
