"""What pruning does to latency: channels taken away, against weights made zero.

``python benchmarks/structured.py`` writes docs/benchmarks/structured.md and its picture. No training: how long a
network takes does not depend on what its weights are, but for how many there are. Networks take turns.
"""

from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from measuring.machine import describe

from lykeion.compress import CompressedModel, litert_file, select
from lykeion.compress.methods.prune_channels import choose
from lykeion.compress.weights.channels import carried_over, without
from lykeion.compress.weights.masks import Structure, masks
from lykeion.engines.choosing import TimingJournal, litert_candidate, measure
from lykeion.engines.running import Plan
from lykeion.nets import count, find, random_weights

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
ZEROS = (0.5, 0.8, 0.9, 0.95)
PLAN = Plan(passes=15, most=60)
PAGE = Path("docs/benchmarks/structured.md")


@click.command()
@click.option("--network", default="mobilenet-v2@96", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/bench/structured"), show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(network: str, work: Path, page: Path) -> None:
    architecture = find(network, classes=10)
    model = CompressedModel(architecture, random_weights(architecture))
    channels = {f"{share:.0%} of MAdds": fewer_channels(model, share) for share in SHARES}
    zeros = {f"{share:.0%} zeros": with_zeros(model, share) for share in ZEROS}
    found = measure(
        {name: litert_candidate(litert_file(each)) for name, each in (channels | zeros).items()},
        reference=litert_candidate(litert_file(model)),
        journal=TimingJournal(work / "journal.jsonl", {"network": network, "shares": [*SHARES, *ZEROS]}),
        plan=PLAN,
    )
    madds = np.array([each.multiply_adds / 1e6 for each in channels.values()])
    ms = np.array([found[name].minimum_ms for name in channels])
    slope, offset = np.polyfit(madds, ms, 1)
    residuals = ms - (slope * madds + offset)
    fit = 1 - (residuals**2).sum() / ((ms - ms.mean()) ** 2).sum()
    sparse = np.array([found[name].minimum_ms for name in zeros])
    page.parent.mkdir(parents=True, exist_ok=True)
    draw(network, madds, ms, sparse, slope, offset, page.with_suffix(".png"))
    rows = [
        f"| {name} | {each.multiply_adds / 1e6:.1f} M | {count(each.architecture).parameters:,} | "
        f"{each.sparsity:.0%} | {found[name].minimum_ms:.3f} | {found[name].median_ms:.3f} |"
        for name, each in (channels | zeros).items()
    ]
    page.write_text(
        "\n".join(
            [
                "# Structured pruning and latency",
                "",
                f"{network}, LiteRT on one thread, {describe()}; the least and the median time of passes in turn.",
                "",
                "| network | MAdds | parameters | zeros | ms, least | ms, median |",
                "|---|---:|---:|---:|---:|---:|",
                *rows,
                "",
                f"Fewer channels, in multiples of 8: ms = {offset:.3f} + {slope:.4f} · MMAdds, R² = {fit:.4f}. "
                f"Zeros change the time by {100 * (sparse / ms[0] - 1).min():+.1f} % to "
                f"{100 * (sparse / ms[0] - 1).max():+.1f} %.",
                "",
                f"![latency by multiply-adds]({page.with_suffix('.png').name})",
                "",
                "`python benchmarks/structured.py` writes this page.",
                "",
            ]
        )
    )
    print(page)


def fewer_channels(model: CompressedModel, share: float) -> CompressedModel:
    if share == 1:
        return model
    kept = choose(model, share, 0.1)
    return CompressedModel(without(model.architecture, kept), carried_over(model.architecture, model.weights, kept))


def with_zeros(model: CompressedModel, share: float) -> CompressedModel:
    names = select(model.architecture, ("*",))
    keep = masks({name: model.kernels[name] for name in names}, dict.fromkeys(names, share), Structure(), "layer")
    zeroed = {f"{name}/kernel": model.kernels[name] * keep[name] for name in names}
    return CompressedModel(model.architecture, {**model.weights, **zeroed}, sparse=frozenset(names))


def draw(
    network: str, madds: np.ndarray, ms: np.ndarray, sparse: np.ndarray, slope: float, offset: float, path: Path
) -> None:
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(madds, slope * madds + offset, color="0.6", label=f"{offset:.3f} + {slope:.4f} · MMAdds")
    axes.scatter(madds, ms, label="channels taken away")
    axes.scatter(
        madds[0] * (1 - np.array(ZEROS)), sparse, marker="x", label="weights made zero (by MAdds that are not zero)"
    )
    axes.set(xlabel="multiply-adds, millions", ylabel="ms", title=network, xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
