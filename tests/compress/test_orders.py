"""Every order of two and three steps that a recipe may have is carried out."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lykeion.compress import (
    Cluster,
    CompressedModel,
    CompressionError,
    Distill,
    Dsd,
    Prune,
    PruneChannels,
    Qat,
    Quantize,
    Step,
    litert_file,
    save,
)
from lykeion.compress.predictions import predict_litert
from lykeion.core import SILENT
from lykeion.nets import Architecture, Convolution
from lykeion.nets.training import Dataset, Recipe
from tests.nets.making import lively_weights
from tests.nets.training.tiny import load_tiny

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_quantizer")

ARCHITECTURE = Architecture("least", 8, 8, (Convolution(16, 3, stride=4), Convolution(16, 1)), classes=4, channels=1)
ONE = Recipe(steps=1, batch=8)
CLUSTERS = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("orders")
    save(CompressedModel(ARCHITECTURE, lively_weights(ARCHITECTURE)), place / "model")
    return place


@pytest.fixture(scope="module")
def data(place: Path) -> Dataset:
    return load_tiny(place, 40)


def steps(teacher: Path) -> dict[str, Step]:
    distilled = Recipe(steps=1, batch=8, teacher=str(teacher))
    return {
        "prune": Step("prune", Prune(sparsity=0.5, training=ONE)),
        "prune-channels": Step("prune-channels", PruneChannels(multiply_adds=0.9, training=ONE)),
        "dsd": Step("dsd", Dsd(training=ONE)),
        "distill": Step("distill", Distill(training=distilled)),
        "cluster": Step("cluster", Cluster(clusters=CLUSTERS, training=ONE)),
        "cluster, values alone": Step("cluster", Cluster(clusters=CLUSTERS, moving=False, training=ONE)),
        "qat": Step("qat", Qat(calibration=8, training=ONE)),
        "quantize": Step("quantize", Quantize(calibration=8)),
    }


def allowed(step: Step, model: CompressedModel) -> bool:
    try:
        step.plan(model)
    except CompressionError:
        return False
    return True


def check(model: CompressedModel, data: Dataset, order: tuple[str, ...]) -> None:
    assert np.isfinite(predict_litert(litert_file(model), data.validation)).all(), order
    assert model.converted is not None or (model.ranges is None) == ("qat" not in order), order
    for name in model.clustered:
        assert 2 <= len(np.unique(model.kernels[name])) <= CLUSTERS, order
    for name in model.sparse:
        assert (model.kernels[name] == 0).mean() >= 0.4, order


def state(model: CompressedModel) -> tuple[object, ...]:
    """All of a model that a step's behaviour depends on, but for its numbers."""
    return model.sparse, model.clustered, model.ranges is None, model.converted is None


@pytest.mark.slow
def test_every_order_of_three_steps_that_is_not_refused_can_be_carried_out(place: Path, data: Dataset) -> None:
    """Of two, too: each begins orders of three. A step sees nothing of those before it but the state that they left,
    so each is carried out once from every state."""
    known = steps(place / "model")
    models = {(): CompressedModel(ARCHITECTURE, lively_weights(ARCHITECTURE))}
    done: dict[object, CompressedModel] = {}
    for length in (1, 2, 3):
        for order in product(known, repeat=length):
            before, name = models.get(order[:-1]), order[-1]
            if before is None or not allowed(known[name], before):
                continue
            way = (state(before), name)
            if way not in done:
                done[way], _ = known[name].apply(before, data, place / "-".join(order), reporter=SILENT)
                check(done[way], data, order)
            models[order] = done[way]
    assert ("prune", "cluster", "qat") in models
    assert ("cluster", "qat", "distill") in models
    assert ("qat", "quantize") not in models
    assert len(models) > 200
