import numpy as np
import pytest

from lykeion.compress import CompressedModel, CompressionError, litert_file
from lykeion.compress.methods.prune_channels import UNIT, choose, importance
from lykeion.compress.weights.channels import carried_over, channel_groups, without
from lykeion.nets import count, find, layers
from tests.nets.making import photos_for, run

from .making import ARCHITECTURE, dense, worst

NETWORKS = ["mobilenet-v1-0.25@32", "mobilenet-v2-0.35@32", "mobilenet-v3-small@32", "efficientnet-lite0@32"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_network_is_still_an_architecture(name: str) -> None:
    model = dense(find(name, classes=10))
    kept = choose(model, 0.6, 0.25)
    smaller = without(model.architecture, kept)
    weights = carried_over(model.architecture, model.weights, kept)
    assert {key: value.shape for key, value in weights.items()} == {
        key: shape for layer in layers(smaller) for key, shape in layer.weights().items()
    }
    assert 0.5 < count(smaller).multiply_adds / model.multiply_adds <= 0.6
    assert run(litert_file(CompressedModel(smaller, weights)), photos_for(smaller)).shape == (2, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_stay_multiples_of_8(name: str) -> None:
    model = dense(find(name, classes=10))
    whole = importance(model)
    for group, places in choose(model, 0.6, 0.25).items():
        assert len(places) % UNIT == 0 or len(places) == len(whole[group])
        assert len(places) >= 0.25 * len(whole[group]) - UNIT
        assert (np.diff(places) > 0).all()


def test_what_is_added_or_gated_shares_its_channels() -> None:
    groups = channel_groups(ARCHITECTURE)
    assert groups["1/project"] == groups["0/convolution"] == groups["1/add"]
    assert groups["3/project"] == groups["2/project"]
    assert groups["1/gate"] == groups["1/expand"] == groups["1/depthwise"] == groups["1/excite"]
    assert groups["1/reduce"] == "1/reduce"
    assert groups["image"] == groups["logits"] == ""


def test_channels_that_do_nothing_go_first_and_are_not_missed() -> None:
    """Dead channels of every group: without them the network computes what it did."""
    model = dense()
    dead, weights = {}, dict(model.weights)
    groups = channel_groups(ARCHITECTURE)
    random = np.random.default_rng(1)
    for group, score in importance(model).items():
        dead[group] = np.sort(random.choice(len(score), UNIT, replace=False))
    for layer in layers(ARCHITECTURE):
        if layer.kind in ("convolution", "depthwise", "dense"):
            for name in layer.weights():
                value = weights[name].copy()
                last = name.rpartition("/")[2]
                if groups[layer.name] in dead and last in ("kernel", "beta", "mean", "bias", "gamma"):
                    value[..., dead[groups[layer.name]]] = 0
                if groups[layer.inputs[0]] in dead and last == "kernel" and layer.kind != "depthwise":
                    value[..., dead[groups[layer.inputs[0]]], :] = 0
                weights[name] = value
    model = CompressedModel(ARCHITECTURE, weights)
    kept = {group: np.setdiff1d(np.arange(len(score)), dead[group]) for group, score in importance(model).items()}
    for group, score in importance(model).items():
        if len(score) > UNIT:
            assert set(np.argsort(score, kind="stable")[:UNIT]) == set(dead[group])
    kept = {group: places for group, places in kept.items() if len(places)}
    smaller = CompressedModel(without(ARCHITECTURE, kept), carried_over(ARCHITECTURE, weights, kept))
    photos = photos_for(ARCHITECTURE, 4)
    assert worst(run(litert_file(model), photos), run(litert_file(smaller), photos)) < 1e-5


def test_more_than_least_allows_is_refused() -> None:
    with pytest.raises(CompressionError, match="lower least, or raise multiply_adds"):
        choose(dense(), 0.1, 0.9)
