"""Which arm a unit is in: by GrowthBook's bucketing.

The seed is the uid of the experiment, which no other object has: with one seed for two objects that divide units, one
would divide them as the other does.
"""

from collections.abc import Mapping

from lykeion.core.bucketing import bucket_of, bucket_ranges, choose_variation, in_namespace

from .experiment_resource import ExperimentSpec

HOLDOUT = "holdout"


def assigned_arm(spec: ExperimentSpec, seed: str, unit: str) -> str | None:
    """The name of the arm, None if the unit does not take part. More coverage moves nobody.

    Of a switchback ``unit`` is the period, by ``period_of``.
    """
    if spec.holdout and in_namespace(unit, HOLDOUT, (0.0, spec.holdout)):
        return None
    ranges = bucket_ranges(len(spec.arms), spec.coverage, [arm.share for arm in spec.arms])
    number = choose_variation(bucket_of(seed, unit), ranges)
    return None if number is None else spec.arms[number].name


def period_of(spec: ExperimentSpec, at: float) -> str:
    """The unit of a switchback at a time."""
    return str(int(at // spec.period_seconds))


def space_lines(spaces: Mapping[str, frozenset[str]]) -> list[str]:
    """By arm, the embedding spaces that its version searches in: what has to be built, if they differ."""
    distinct = frozenset[str]().union(*spaces.values())
    if len(distinct) < 2:
        return []
    return [
        *(f"arm {name} searches in {', '.join(sorted(each)) or 'no index'}" for name, each in spaces.items()),
        f"each of these {len(distinct)} spaces needs an index, which you build with its embedder beforehand:"
        " lykeion index add PHOTOS --index INDEX --embedder FILE",
        f"together they take {len(distinct)} times the time, disk and memory of one",
    ]
