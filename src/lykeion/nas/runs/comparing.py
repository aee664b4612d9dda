"""Compares strategies: equal budgets, equal final training, measured latency, a test set that is read once.

Every strategy searches with every seed, in a separate process. The networks found and the baselines are trained from
scratch by one recipe with an equal sweep of learning rates, evaluated on the validation set. The test set is read
after that; the correct predictions on it are kept and never computed again. A network is better than the rival if it
is at or below the target and a paired bootstrap over photos and trainings shows that it is more accurate.
"""

import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lykeion.core import (
    CONSOLE,
    STOPPED,
    Interrupted,
    Reporter,
    claim_run,
    digest_json,
    stop_signals,
    working_in,
    write_atomically,
    writing,
)
from lykeion.engines.choosing import REFERENCE
from lykeion.nas.design_space.space import Space
from lykeion.nas.devices.latency import LatencyTable
from lykeion.nas.strategies import FoundNetwork, SearchCost, SearchError
from lykeion.nets import Architecture
from lykeion.nets.training import Dataset

from .baselines import baselines
from .comparison import ComparedNetwork, ComparisonReport, SearchComparison
from .final import Trained, correct_on_test, time_networks, train_final
from .searching import RESULT, NasRequest, begin, open_space, read_result
from .significance import PairedDifference, compare_paired

_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Contender:
    """Networks that are trained and evaluated together, one per seed; a baseline has the same one for every seed."""

    name: str
    kind: str
    networks: tuple[Architecture, ...]
    found: tuple[FoundNetwork, ...] = ()


def compare(
    comparison: SearchComparison,
    run: Path,
    *,
    data: Dataset | None = None,
    trainings: Path | None = None,
    reporter: Reporter = CONSOLE,
) -> ComparisonReport:
    """Run a comparison in a directory, or resume it there.

    ``data`` is the content of the comparison's path, if it is loaded already. Comparisons with one recipe may share a
    directory of ``trainings``: networks in it are not trained again. Raises SearchError and what its parts raise.
    """
    space, data = open_space(comparison.space, comparison.data, reporter, data, skip_bad=comparison.skip_bad)
    if not isinstance(comparison.target, str):
        LatencyTable(space, comparison.profile).check_target(comparison.aim * comparison.target)
    claim_run(run / "comparison.json", "comparison", comparison.to_json(), SearchError)
    with working_in(run, SearchError):
        return _compare(comparison, run, space, data, trainings or run / "trainings", reporter)


def _compare(
    comparison: SearchComparison, run: Path, space: Space, data: Dataset, shelf: Path, reporter: Reporter
) -> ComparisonReport:
    if not len(data.test):
        raise SearchError(f"{data.name} has no test photos, on which a comparison ends; add some")
    fixed = [
        Contender(name, "baseline", (network,) * comparison.seeds)
        for name, network in zip(comparison.baselines, baselines(space, comparison.baselines), strict=True)
    ]
    known_ms = _baseline_ms(comparison, fixed, run, reporter)
    target_ms = known_ms[comparison.target] if isinstance(comparison.target, str) else comparison.target
    searched, not_found = _search(comparison, space, target_ms, run, reporter)
    contenders = [*searched, *fixed]
    latencies_ms, noise = _latencies_ms(comparison, space, contenders, known_ms, run, reporter)
    if isinstance(comparison.target, str):
        target_ms = latencies_ms[comparison.target][0]  # measured together with the networks compared to it
    trained = {each.name: _train(each, comparison, data, shelf, reporter) for each in contenders}
    rival = _rival(comparison, fixed, trained, known_ms, target_ms)
    correct = {each.name: _correct(test_answers(run, each.name), trained[each.name], data) for each in contenders}
    entries = [
        _entry(each, trained[each.name], correct, latencies_ms[each.name], target_ms, rival) for each in contenders
    ]
    report = ComparisonReport(target_ms, rival, tuple(entries), not_found, noise)
    _keep(report, comparison, run)
    return report


@dataclass(frozen=True, slots=True)
class Training:
    """A contender's training: the learning rate chosen by the sweep, and the result and directory for each seed."""

    learning_rate: float
    trained: tuple[Trained, ...]
    runs: tuple[Path, ...]


def test_answers(run: Path, name: str) -> Path:
    """The file of a comparison that tells which test photos a contender gets right: bool (seeds, photos), as .npy."""
    return run / "test" / f"{name}.npy"


def search_run(run: Path, strategy: str, seed: int) -> Path:
    """The directory in which a comparison keeps a search."""
    return run / "searches" / f"{strategy}-{seed}"


def run_search(request: NasRequest, run: Path, *, reporter: Reporter = CONSOLE) -> FoundNetwork:
    """Run a search in a separate process, so that its peak memory is measured alone. Raises SearchError."""
    begin(request, run)
    if not (run / RESULT).exists():
        command = [sys.executable, "-m", "lykeion.nas.runs.searching", str(run)]
        code, last = _finish(command, reporter)
        if code == STOPPED:
            raise Interrupted(f"stopped: the search in {run} is kept; run the same command again to resume")
        if code:
            raise SearchError(f"the search in {run} ended with code {code}: {last.removeprefix('error: ')}")
    return read_result(run)


def _finish(command: Sequence[str], reporter: Reporter) -> tuple[int, str]:
    """The exit code of a program, which is terminated when this one is, and the last line that it reported."""
    # In a separate session: Ctrl-C would reach it twice, and the second signal stops it immediately.
    with (
        stop_signals() as stop,
        subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        last = pool.submit(_forward, process, reporter)
        try:
            while not (stop.is_set() or wait([last], _LOOK_S).done):
                pass
            if stop.is_set():
                process.terminate()
            return process.wait(), last.result()
        except BaseException:
            process.kill()
            raise


def _forward(process: "subprocess.Popen[str]", reporter: Reporter) -> str:
    line = ""
    for line in process.stderr or ():
        reporter.notice(line.rstrip())
    return line.rstrip()


def _baseline_ms(
    comparison: SearchComparison, fixed: Sequence[Contender], run: Path, reporter: Reporter
) -> dict[str, float]:
    if comparison.cited_ms is not None:
        return dict(comparison.cited_ms)
    networks = {each.name: each.networks[0] for each in fixed}
    timings = time_networks(networks, comparison.profile.threads, run / "baseline-latency.jsonl", reporter=reporter)
    # A search uses the table's milliseconds, those of a machine as fast as it was when the profile was measured.
    noise = comparison.profile.noise
    slower = timings[REFERENCE].minimum_ms / noise.reference_ms if noise else 1.0
    return {name: timings[name].minimum_ms / slower for name in networks}


def _search(
    comparison: SearchComparison, space: Space, target_ms: float, run: Path, reporter: Reporter
) -> tuple[list[Contender], dict[str, int]]:
    contenders, not_found = [], dict.fromkeys(comparison.strategies, 0)
    for strategy in comparison.strategies:
        found: list[FoundNetwork] = []
        for seed in range(comparison.seeds):
            request = NasRequest(
                strategy,
                comparison.space,
                comparison.profile,
                comparison.aim * target_ms,
                comparison.data,
                comparison.search_recipe,
                comparison.budget,
                seed,
                skip_bad=comparison.skip_bad,
            )
            one = run_search(request, search_run(run, strategy, seed), reporter=reporter)
            found.append(one)
            not_found[strategy] += one.genotype is None
        if not not_found[strategy]:
            genotypes = [one.genotype for one in found if one.genotype is not None]
            networks = tuple(space.architecture(genotype) for genotype in genotypes)
            contenders.append(Contender(strategy, "searched", networks, tuple(found)))
    return contenders, not_found


def _latencies_ms(
    comparison: SearchComparison,
    space: Space,
    contenders: Sequence[Contender],
    known_ms: Mapping[str, float],
    run: Path,
    reporter: Reporter,
) -> tuple[dict[str, list[float]], float | None]:
    """Latencies of each contender's networks: measured, all in turns, with the noise; or from the table and cited."""
    if comparison.cited_ms is not None:
        table = LatencyTable(space, comparison.profile)
        by_table = {
            each.name: [table.total(one.genotype) for one in each.found if one.genotype is not None]
            or [known_ms[each.name]] * comparison.seeds
            for each in contenders
        }
        return by_table, None
    networks = {network.name: network for each in contenders for network in each.networks}
    journal = run / f"latency-{digest_json(sorted(networks))[7:15]}.jsonl"
    timings = time_networks(networks, comparison.profile.threads, journal, reporter=reporter)
    measured = {each.name: [timings[network.name].minimum_ms for network in each.networks] for each in contenders}
    return measured, timings[REFERENCE].busy


def _train(
    contender: Contender, comparison: SearchComparison, data: Dataset, shelf: Path, reporter: Reporter
) -> Training:
    """Sweep the learning rate with the first seed, then train the other seeds with the best."""

    def train(seed: int, rate: float) -> tuple[Trained, Path]:
        recipe = replace(comparison.recipe, seed=seed, learning_rate=comparison.recipe.learning_rate * rate)
        network = contender.networks[seed]
        directory = shelf / f"{contender.name}-{digest_json(network.to_json())[7:15]}-{seed}-{rate:g}"
        return train_final(network, data, recipe, directory, reporter=reporter), directory

    sweep = {rate: train(0, rate) for rate in comparison.rates}
    best = max(sweep, key=lambda rate: sweep[rate][0].accuracy)
    trainings = [sweep[best], *(train(seed, best) for seed in range(1, comparison.seeds))]
    return Training(
        comparison.recipe.learning_rate * best,
        tuple(trained for trained, _ in trainings),
        tuple(directory for _, directory in trainings),
    )


def _rival(
    comparison: SearchComparison,
    fixed: Sequence[Contender],
    trained: Mapping[str, Training],
    known_ms: Mapping[str, float],
    target_ms: float,
) -> str:
    if isinstance(comparison.target, str):
        return comparison.target
    within = [each.name for each in fixed if known_ms[each.name] <= target_ms]
    if not within:
        raise SearchError(f"no baseline takes {target_ms:.4g} ms or less, so there is no rival; add a narrower one")
    return max(within, key=lambda name: _mean([each.accuracy for each in trained[name].trained]))


def _correct(path: Path, training: Training, data: Dataset) -> np.ndarray:
    """bool (seeds, photos), computed from the test set once and kept."""
    if not path.exists():
        file = io.BytesIO()
        np.save(file, np.stack([correct_on_test(data, directory) for directory in training.runs]))
        write_atomically(path, file.getvalue())
    return np.load(path, allow_pickle=False)


def _entry(
    contender: Contender,
    training: Training,
    correct: Mapping[str, np.ndarray],
    latencies_ms: Sequence[float],
    target_ms: float,
    rival: str,
) -> ComparedNetwork:
    right, is_rival = correct[contender.name], contender.name == rival
    difference = None if is_rival else compare_paired(right, correct[rival])
    accuracies = right.mean(axis=1)
    return ComparedNetwork(
        name=contender.name,
        kind=contender.kind,
        networks=tuple(dict.fromkeys(network.name for network in contender.networks)),
        latency_ms=_mean(latencies_ms),
        worst_latency_ms=max(latencies_ms),
        predicted_ms=_mean([one.usage for one in contender.found if one.usage]) if contender.found else None,
        validation_accuracy=_mean([each.accuracy for each in training.trained]),
        test_accuracy=float(accuracies.mean()),
        test_spread=float(np.ptp(accuracies)),
        learning_rate=training.learning_rate,
        search_cost=_mean_cost([one.cost for one in contender.found]) if contender.found else None,
        difference=difference,
        verdict=_verdict(difference, max(latencies_ms), target_ms),
    )


def _verdict(difference: PairedDifference | None, latency_ms: float, target_ms: float) -> str:
    if difference is None:
        return "rival"
    return difference.verdict if latency_ms <= target_ms else f"over the target; {difference.verdict}"


def _keep(report: ComparisonReport, comparison: SearchComparison, run: Path) -> None:
    from .search_pictures import draw_pareto

    with writing(run / "report.json", SearchError):
        write_atomically(run / "report.json", json.dumps(report.to_json(), indent=1).encode())
    points = [
        {
            "group": entry.name if entry.kind == "searched" else entry.name.rpartition("-")[0],
            "latency_ms": entry.latency_ms,
            "accuracy": entry.test_accuracy,
            "ours": entry.kind == "searched",
        }
        for entry in report.entries
    ]
    draw_pareto(points, report.target_ms, f"{comparison.space} on {comparison.profile.name}", run / "pareto.png")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_cost(costs: Sequence[SearchCost]) -> SearchCost:
    return SearchCost(
        round(_mean([cost.steps for cost in costs])),
        _mean([cost.seconds for cost in costs]),
        max(cost.peak_bytes for cost in costs),
    )
