"""GrowthBook's gbstats on the tables that our statistics get. Runs in an environment of its own::

uv venv -p 3.11 build/gbstats
uv pip install -p build/gbstats gbstats==0.8.0 setuptools
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ALPHA, TUNING, TABLES = 0.05, 5000.0, 400


def greatest_difference(python: Path) -> float:
    """Of any number that both define, relative to 1 or to the number itself where that is greater."""
    tables = made()
    asked = json.dumps([{key: value for key, value in each.items() if key != "ours"} for each in tables])
    ran = subprocess.run([python, __file__], input=asked, capture_output=True, text=True, check=True)
    worst = 0.0
    for table, theirs in zip(tables, json.loads(ran.stdout), strict=True):
        for one, other in zip(table["ours"], theirs, strict=True):
            worst = max(worst, abs(one - other) / max(1.0, abs(other)))
    return worst


def made() -> list[dict[str, Any]]:
    """Random tables, and estimate, both ends of the interval, p and the standard error by our statistics."""
    from lykeion.delivery.experiments.statistics import difference, half_width, p_value, running_sums

    rng = np.random.default_rng(7)
    tables: list[dict[str, Any]] = []
    for number in range(TABLES):
        kind = ("Mean", "Proportion", "Ratio", "Covariate")[number % 4]
        count, relative = int(rng.integers(200, 4000)), bool(number // 4 % 2)
        treated = rng.random(count) < rng.uniform(0.05, 0.6)
        habit = rng.gamma(2.0, 1.5, count)
        y = rng.poisson(habit * np.where(treated, rng.uniform(0.9, 1.2), 1.0)).astype(float)
        d = 1.0 + rng.poisson(habit)
        x = rng.poisson(habit).astype(float)
        if kind == "Proportion":
            y = (y > 2).astype(float)
        arms = [running_sums(arm, y, d, x).at(-1) for arm in (~treated, treated)]
        metric = "Mean" if kind == "Covariate" else kind
        found = difference(metric, *arms, covariate=kind == "Covariate", relative=relative)
        width = float(half_width(found, ALPHA, TUNING))
        estimate = float(found.estimate)
        tables.append(
            {
                "kind": kind,
                "relative": relative,
                "arms": [{name: float(getattr(arm, name)) for name in arm.__dataclass_fields__} for arm in arms],
                "ours": [
                    estimate,
                    estimate - width,
                    estimate + width,
                    float(p_value(found, ALPHA, TUNING)),
                    float(np.sqrt(found.variance)),
                ],
            }
        )
    return tables


def theirs(table: dict[str, Any]) -> list[float]:
    from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
    from gbstats.models.statistics import (
        ProportionStatistic,
        RatioStatistic,
        RegressionAdjustedStatistic,
        SampleMeanStatistic,
    )

    def statistic(arm: dict[str, float]) -> Any:
        n = int(arm["n"])
        y = SampleMeanStatistic(n, arm["y"], arm["yy"])
        if table["kind"] == "Proportion":
            return ProportionStatistic(n, arm["y"])
        if table["kind"] == "Ratio":
            return RatioStatistic(n, y, SampleMeanStatistic(n, arm["d"], arm["dd"]), arm["yd"])
        if table["kind"] == "Covariate":
            before = SampleMeanStatistic(n, arm["x"], arm["xx"])
            return RegressionAdjustedStatistic(n, y, before, arm["xy"], 0.0)
        return y

    kind = "relative" if table["relative"] else "absolute"
    config = SequentialConfig(difference_type=kind, alpha=ALPHA, sequential_tuning_parameter=TUNING)
    result = SequentialTwoSidedTTest(*map(statistic, table["arms"]), config).compute_result()
    return [float(each) for each in (result.expected, *result.ci, result.p_value, result.uplift.stddev)]


if __name__ == "__main__":
    json.dump([theirs(each) for each in json.load(sys.stdin)], sys.stdout)
