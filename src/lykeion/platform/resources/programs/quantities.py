"""Quantities as Kubernetes writes them: ``500m`` of a core, ``2Gi`` of memory."""

import re
from typing import Annotated

from msgspec import Meta

Quantity = Annotated[
    Annotated[str, Meta(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?\Z")]
    | Annotated[int, Meta(ge=0, le=1 << 53)],
    Meta(extra={"must be": "a number with or without a suffix, such as 500m, 2, 512Mi or 4G"}),
]
"""https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/, without exponents."""

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS = {
    "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def quantity(value: str | int) -> float:
    """The value of a Quantity: cores, or bytes."""
    found = _QUANTITY.fullmatch(str(value))
    assert found
    return float(found[1]) * _FACTORS.get(found[2] or "", 1)
