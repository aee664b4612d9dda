"""Which share of a population an id belongs to: GrowthBook's bucketing, so that its clients decide as we do.

https://docs.growthbook.io/lib/build-your-own. The hash is FNV-1a of 32 bits over UTF-16 code units, as in JavaScript.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, TypeAlias

HashVersion: TypeAlias = Literal[1, 2]
BucketRange: TypeAlias = tuple[float, float]
"""From a bucket to another, which is not included."""

_OFFSET, _PRIME = 0x811C9DC5, 0x01000193


def bucket_of(seed: str, unit: str, version: HashVersion = 2) -> float:
    """The bucket of a unit, uniform in [0, 1): in steps of 1/10,000, or of 1/1,000 in version 1.

    Each object that divides a population needs a seed of its own: with one seed for two, they divide it alike.
    """
    if version == 1:
        return fnv1a(unit + seed) % 1_000 / 1_000
    return fnv1a(str(fnv1a(seed + unit))) % 10_000 / 10_000


def bucket_ranges(count: int, coverage: float = 1.0, weights: Sequence[float] | None = None) -> list[BucketRange]:
    """The buckets of each of ``count`` variations, of which the share ``coverage`` is used.

    More coverage moves no unit to another variation; other weights do. Weights count as equal unless there is one for
    each variation and they add up to 1.
    """
    shares = list(weights or ())
    if len(shares) != count or not 0.99 <= sum(shares) <= 1.01:
        shares = [1 / count] * count
    coverage = min(max(coverage, 0.0), 1.0)
    starts = [0.0, *accumulate(shares[:-1])]  # not sum(), which rounds otherwise since Python 3.12
    return [(start, start + coverage * share) for start, share in zip(starts, shares, strict=True)]


def choose_variation(bucket: float, ranges: Sequence[BucketRange]) -> int | None:
    """The first variation whose range has the bucket, or None."""
    return next((index for index, (start, end) in enumerate(ranges) if start <= bucket < end), None)


def in_namespace(unit: str, name: str, share: BucketRange) -> bool:
    """Whether a unit is in a share of a namespace, in which experiments with other shares have other units."""
    start, end = share
    return start <= bucket_of(f"__{name}", unit, version=1) < end


def fnv1a(text: str) -> int:
    """https://datatracker.ietf.org/doc/html/rfc9923, 32 bits, with a UTF-16 code unit in place of an octet."""
    value = _OFFSET
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = ((value ^ (high << 8 | low)) * _PRIME) & 0xFFFFFFFF
    return value
