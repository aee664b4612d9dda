"""From the results of benchmarks/ann.py to its page, tables of ratios and the plot."""

import json
import math
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engines import engine

from measuring.machine import describe
from measuring.vector_sets import VECTOR_SETS

LEVELS = (0.90, 0.95, 0.99, 0.995)
COMPARED = ("lykeion", "lykeion hnsw", "lykeion, AVX2")
"""Of our kernels, those put over each peer."""
_DISTRIBUTIONS = (
    "faiss-cpu",
    "hnswlib",
    "usearch",
    "pyglass-portable",
    "pyvsag",
    "ngt",
    "zvec",
    "lancedb",
    "qdrant-edge-py",
)
_TICKS = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
_Figures = dict[str, tuple[float, float]]


def write_report(results: dict[str, dict[str, Any]], clock: str, out: Path) -> None:
    """``results``: for each set of vectors and engine its builds and passes, as measuring.ann_job gives them."""
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(_page(results, clock))
    (out / "ann.md").write_text(page)
    _plot(
        {
            data: {name: _best(result["search"], clock) for name, result in found.items()}
            for data, found in results.items()
        },
        out / "ann.png",
    )
    print(page)


def _best(passes: list[dict[str, Any]], clock: str, scenario: str | None = None) -> _Figures:
    """(recall, queries a second) of each setting, in its quickest pass."""
    best: _Figures = {}
    for each in passes:
        for setting, figures in (each["settings"] if scenario is None else each["filters"][scenario]).items():
            speed = max(1 / figures[clock], best.get(setting, (0.0, 0.0))[1])
            best[setting] = (figures["recall"], speed)
    return best


def _quickest(figures: _Figures, recall: float) -> tuple[float, str] | None:
    """Queries a second at this recall or better, and the setting."""
    enough = [(speed, setting) for setting, (reached, speed) in figures.items() if reached >= recall]
    return max(enough, default=None)


def _page(results: dict[str, dict[str, Any]], clock: str) -> Iterator[str]:
    passes = min(len(result["search"]) for found in results.values() for result in found.values())
    yield "# Nearest neighbours"
    yield ""
    yield (
        "k = 10, one query a call, one core an engine, ids and scores returned. Quickest of "
        f"{passes} passes that go round the engines; seconds by the "
        f"{'wall' if clock == 'wall' else 'processor'} clock. {describe()}. {_versions()}"
    )
    yield ""
    yield (
        "Ours is the whole index: durable (its log and checksums on), attributes stored, 1 % of its rows deleted "
        "since it was compacted, opened as `lykeion serve` opens it. The libraries hold vectors in memory only."
    )
    yield ""
    yield from _standing(results, clock)
    for data, found in results.items():
        vectors = VECTOR_SETS[data](None)
        yield f"## {data}"
        yield ""
        yield f"{len(vectors.rows):,} rows × {vectors.dimension}: {vectors.about}."
        yield ""
        yield from _speed_table(found, clock)
        yield from _ratio_table(found, clock)
        yield from _filter_table(found, clock)
        yield from _settings_table(found, clock)
    yield "`python benchmarks/ann.py` writes this page."
    yield ""


def _standing(results: dict[str, dict[str, Any]], clock: str) -> Iterator[str]:
    """Where we are ahead and where not: the default over the quickest peer of each level."""
    yield "## Where we stand"
    yield ""
    yield (
        "What a user gets by default (`lykeion`), over the quickest peer of each level, which is named; below 1 that "
        "peer is ahead."
    )
    yield ""
    yield _row("vectors", *(f"≥ {level:g}" for level in LEVELS))
    yield _rule(len(LEVELS) + 1)
    for data, found in results.items():
        peers = {name: _best(each["search"], clock) for name, each in found.items() if not name.startswith("lykeion")}
        mine, cells = _best(found["lykeion"]["search"], clock), []
        for level in LEVELS:
            ours = _quickest(mine, level)
            speeds = {name: reached[0] for name, each in peers.items() if (reached := _quickest(each, level))}
            best = max(speeds, key=speeds.__getitem__, default=None)
            cells.append(f"{ours[0] / speeds[best]:.2f} × {best}" if ours and best else "–")
        yield _row(data, *cells)
    yield ""
    yield "![](ann.png)"
    yield ""


def _versions() -> str:
    found = []
    for name in _DISTRIBUTIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) + "."


def _speed_table(results: dict[str, Any], clock: str) -> Iterator[str]:
    yield "### Queries a second at recall@10"
    yield ""
    levels = [f"≥ {level:g}" for level in LEVELS]
    yield _row("engine", *levels, "build, s", "on disk, MB", "heap, MB", "mapped, MB", "while building, MB")
    yield _rule(10)
    for name, result in results.items():
        figures = _best(result["search"], clock)
        speeds = [f"{found[0]:,.0f}" if (found := _quickest(figures, level)) else "–" for level in LEVELS]
        built, opened = result["build"], result["search"]
        yield _row(
            name,
            *speeds,
            f"{min(each[clock] for each in built):.1f}",
            f"{built[-1]['disk_bytes'] / 1e6:.0f}",
            f"{min(each['heap_bytes'] for each in opened) / 1e6:.0f}",
            f"{min(each['mapped_bytes'] for each in opened) / 1e6:.0f}",
            f"{min(each['peak_bytes'] for each in built) / 1e6:.0f}",
        )
    yield ""


def _ratio_table(results: dict[str, Any], clock: str) -> Iterator[str]:
    yield "### Ours over each peer"
    yield ""
    yield "Queries a second divided by the peer's at the same recall; build time divided by the peer's."
    yield ""
    yield _row("ours", "peer", *(f"≥ {level:g}" for level in LEVELS), "build")
    yield _rule(7)
    for ours in (name for name in COMPARED if name in results):
        mine = _best(results[ours]["search"], clock)
        for peer in (name for name in results if not name.startswith("lykeion")):
            theirs = _best(results[peer]["search"], clock)
            pairs = [(_quickest(mine, level), _quickest(theirs, level)) for level in LEVELS]
            ratios = [f"{first[0] / second[0]:.2f}" if first and second else "–" for first, second in pairs]
            built = [min(each[clock] for each in results[name]["build"]) for name in (ours, peer)]
            yield _row(ours, peer, *ratios, f"{built[0] / built[1]:.2f}")
    yield ""


def _filter_table(results: dict[str, Any], clock: str) -> Iterator[str]:
    filtering = {name: result["search"] for name, result in results.items() if result["search"][0]["filters"]}
    if not filtering:
        return
    yield "### With filters"
    yield ""
    yield (
        "Recall@10, and queries a second, of the quickest setting with a recall of .99 or more; where there is none, "
        "of the setting with the best recall. A label filter excludes the label of the query itself."
    )
    yield ""
    yield _row("rows that match", *filtering)
    yield _rule(len(filtering) + 1)
    scenarios = next(iter(filtering.values()))[0]["filters"]
    for scenario in scenarios:
        cells = []
        for passes in filtering.values():
            figures = _best(passes, clock, scenario)
            found = _quickest(figures, 0.99)
            recall, speed = figures[found[1]] if found else max(figures.values())
            cells.append(f"{recall:.3f} · {speed:,.0f}/s")
        yield _row(scenario, *cells)
    yield ""


def _settings_table(results: dict[str, Any], clock: str) -> Iterator[str]:
    yield "### Settings"
    yield ""
    yield _row("engine", "built with", "searched at ≥ 0.99 with")
    yield _rule(3)
    for name, result in results.items():
        found = _quickest(_best(result["search"], clock), 0.99)
        setting = json.loads(found[1]) if found else {}
        yield _row(name, engine(name).about, ", ".join(f"{key} {value}" for key, value in setting.items()) or "–")
    yield ""


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"


def _plot(results: dict[str, dict[str, _Figures]], path: Path) -> None:
    """Queries a second over recall, a panel a set: only settings that no other of the engine beats in both."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.2 + 4.4 * (len(results) > 1) + 1), layout="constrained")
    panels = figure.subplots((len(results) + 1) // 2, min(len(results), 2), squeeze=False).flat
    names = list(dict.fromkeys(name for found in results.values() for name in found))
    for axes, (data, found) in zip(panels, results.items(), strict=False):
        for name, settings in found.items():
            _draw(axes, settings, name, f"C{names.index(name)}")
        axes.set_title(data)
        axes.set_xticks([-math.log10(1 - recall) for recall in _TICKS], [f"{recall:g}" for recall in _TICKS])
        axes.set_yscale("log")
        axes.set_xlabel("recall@10")
        axes.set_ylabel("queries a second, one core")
        axes.grid(which="both", alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    handles = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    figure.legend(list(handles.values()), list(handles), frameon=False, fontsize="small", loc="outside right upper")
    figure.savefig(path, dpi=150)


def _draw(axes: Any, settings: _Figures, name: str, color: str) -> None:
    front = [
        (recall, speed)
        for recall, speed in sorted(settings.values())
        if recall >= 0.85 and not any(r >= recall and s > speed for r, s in settings.values())
    ]
    if not front:
        return
    ours = name.startswith("lykeion")
    axes.plot(
        [-math.log10(1 - min(recall, 0.9997)) for recall, _ in front],
        [speed for _, speed in front],
        "o-" if ours else "s--",
        label=name,
        color="#c2410c" if name == "lykeion" else color,
        linewidth=2 if ours else 1,
        markersize=4,
    )
