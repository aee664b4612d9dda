"""What the benchmarks of compression train, and how long: one plan, for every seed and every competitor."""

from dataclasses import dataclass, replace
from pathlib import Path

from lykeion.compress import Cluster, Distill, Prune, Qat, Step
from lykeion.nas import find_space
from lykeion.nas.runs.baselines import adapt
from lykeion.nets import Architecture, find
from lykeion.nets.training import Recipe


def network(name: str) -> Architecture:
    """A MobileNetV2 or V3 with strides for photos of 32²; with ImageNet's its maps would end at 1×1."""
    return adapt(find(name), find_space("mobilenetv3-32" if "-v3-" in name else "single-path-32"))


@dataclass(frozen=True)
class Plan:
    """Epochs of each phase. ``sparsity`` and ``clusters`` are of all kernels but the first and the depthwise ones;
    those are only rounded to int8."""

    dense: int = 3
    prune: int = 2
    cluster: int = 2
    sparsity: float = 0.4
    clusters: int = 16
    bit_price: float = 0.5


def base(seed: int, epochs: int) -> Recipe:
    return Recipe(epochs=epochs, learning_rate=0.003, flip=True, shift=2, seed=seed)


def phases(plan: Plan, seed: int, teacher: Path) -> tuple[Recipe, Recipe]:
    """Recipes of pruning and clustering, taught by the dense network."""
    taught = replace(base(seed, plan.prune), learning_rate=0.002, teacher=str(teacher), alpha=0.5)
    return taught, replace(taught, epochs=plan.cluster)


def compressed(plan: Plan, seed: int, teacher: Path) -> list[Step]:
    """Int8 needs no training behind this: it costs the clustered network nothing that more epochs would not give."""
    first, second = phases(plan, seed, teacher)
    return [
        Step("prune", Prune(sparsity=plan.sparsity, training=first)),
        Step("cluster", Cluster(clusters=plan.clusters, bit_price=plan.bit_price, training=second)),
        Step("qat", Qat()),
    ]


def only_longer(plan: Plan, seed: int, teacher: Path) -> list[Step]:
    """The same steps, the same teacher, nothing compressed."""
    return [Step("distill", Distill(training=recipe)) for recipe in phases(plan, seed, teacher)]


def small_int8(plan: Plan, seed: int, teacher: Path) -> list[Step]:
    """A smaller network, trained as long, with the same teacher; the last epoch in int8."""
    taught = phases(plan, seed, teacher)[0]
    return [
        Step("distill", Distill(training=replace(taught, epochs=plan.prune + plan.cluster - 1))),
        Step("qat", Qat(training=replace(taught, epochs=1, learning_rate=0.0005))),
    ]
