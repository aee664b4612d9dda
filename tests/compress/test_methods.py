"""Methods on a network that has learnt something, with short trainings."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.compress import (
    CompressedModel,
    CompressionError,
    Sensitivity,
    draw_sensitivity,
    litert_file,
    open_model,
    pack,
    save,
    scan_sensitivity,
)
from lykeion.compress.methods import cluster, distill, dsd, prune, qat, quantize
from lykeion.compress.methods import prune_channels as channels
from lykeion.compress.predictions import correct_litert, predict_litert
from lykeion.core import SILENT
from lykeion.litert.packed import unpack
from lykeion.nets import Architecture, Convolution, FullyConnected, InvertedResidual, random_weights
from lykeion.nets.training import Dataset, Recipe, predict
from tests.nets.making import lively_weights
from tests.nets.training.tiny import load_tiny
from tests.recorder import Recorder

keras = pytest.importorskip("keras")

ARCHITECTURE = Architecture(
    "tiny",
    8,
    8,
    (
        Convolution(16, 3, stride=2, activation="hard-swish"),
        InvertedResidual(32, 16, 3, squeeze=8, activation="hard-swish"),
    ),
    classes=4,
    channels=1,
    head=(FullyConnected(32, "hard-swish"),),
)
SHORT = Recipe(epochs=2, batch=40, learning_rate=0.005)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def dense(data: Dataset) -> CompressedModel:
    from lykeion.compress.trainable.keras_network import fit

    model = CompressedModel(ARCHITECTURE, random_weights(ARCHITECTURE))
    return fit(model, data, replace(SHORT, epochs=12, learning_rate=0.02), None, reporter=SILENT)[0]


@pytest.fixture(scope="module")
def pruned(dense: CompressedModel, data: Dataset) -> CompressedModel:
    return prune.apply(dense, data, prune.Prune(sparsity=0.6, training=SHORT), reporter=SILENT)[0]


@pytest.fixture(scope="module")
def clustered(pruned: CompressedModel, data: Dataset) -> CompressedModel:
    return cluster.apply(pruned, data, cluster.Cluster(clusters=8, training=SHORT), reporter=SILENT)[0]


@pytest.fixture(scope="module")
def int8(clustered: CompressedModel, data: Dataset) -> tuple[CompressedModel, Any]:
    return qat.apply(clustered, data, qat.Qat(training=replace(SHORT, learning_rate=0.001)), reporter=SILENT)


def accuracy(model: CompressedModel, data: Dataset) -> float:
    return float(correct_litert(litert_file(model), data.test).mean())


def zeros(model: CompressedModel) -> dict[str, np.ndarray]:
    return {name: model.kernels[name] == 0 for name in sorted(model.sparse)}


def test_what_is_trained_on_is_what_the_file_computes(dense: CompressedModel, data: Dataset) -> None:
    from lykeion.compress.trainable.keras_network import build

    expected = predict_litert(litert_file(dense), data.validation)
    np.testing.assert_allclose(predict(build(dense), data.validation), expected, atol=1e-4)
    assert accuracy(dense, data) > 0.9


def test_pruning_reaches_its_share_and_the_network_lives(pruned: CompressedModel, data: Dataset) -> None:
    for name in pruned.sparse:
        assert (pruned.kernels[name] == 0).mean() == pytest.approx(0.6, abs=0.02), name
    assert not {"0/convolution", "1/depthwise"} & pruned.sparse
    assert accuracy(pruned, data) > 0.8


def test_what_is_zero_stays_zero_when_a_network_is_pruned_again(pruned: CompressedModel, data: Dataset) -> None:
    again = prune.Prune(sparsity=0.3, training=replace(SHORT, epochs=1))
    found, _ = prune.apply(pruned, data, again, reporter=SILENT)
    assert all((zero <= zeros(found)[name]).all() for name, zero in zeros(pruned).items())


def test_pruning_without_training_changes_nothing_else(dense: CompressedModel, data: Dataset) -> None:
    found, report = prune.apply(dense, data, prune.Prune(structure="2:4"), reporter=SILENT)
    kept = {name: found.kernels[name] != 0 for name in found.sparse}
    assert all(np.array_equal(found.kernels[name][keep], dense.kernels[name][keep]) for name, keep in kept.items())
    assert set(report["sparsity"]) == found.sparse


def test_clustering_keeps_zeros_and_few_values(
    pruned: CompressedModel, clustered: CompressedModel, data: Dataset
) -> None:
    assert all(np.array_equal(zeros(clustered)[name], zero) for name, zero in zeros(pruned).items())
    assert all(len(np.unique(clustered.kernels[name])) <= 8 for name in clustered.clustered)
    assert accuracy(clustered, data) > 0.8


def test_values_of_a_codebook_are_trained(pruned: CompressedModel, clustered: CompressedModel, data: Dataset) -> None:
    untrained, _ = cluster.apply(pruned, data, cluster.Cluster(clusters=8), reporter=SILENT)
    assert any(not np.array_equal(untrained.kernels[name], clustered.kernels[name]) for name in clustered.clustered)
    assert untrained.kernels.keys() == clustered.kernels.keys()


def test_a_shared_weight_s_gradient_is_the_sum_of_its_places() -> None:
    from lykeion.compress.trainable.simulated_operators import looked_up

    tensorflow = pytest.importorskip("tensorflow")
    places = np.array([[0, 2, 2], [1, 2, 0]], np.int32)
    upstream = np.arange(6, dtype=np.float32).reshape(2, 3)
    values = tensorflow.Variable([1.0, 2.0, 3.0])
    with tensorflow.GradientTape() as tape:
        loss = tensorflow.reduce_sum(looked_up(values, places) * upstream)
    np.testing.assert_array_equal(tape.gradient(loss, values), [0 + 5, 3, 1 + 2 + 4])


def test_weights_change_their_value_in_training_only_where_they_may(pruned: CompressedModel, data: Dataset) -> None:
    def places(settings: cluster.Cluster) -> list[np.ndarray]:
        made, _ = cluster.apply(pruned, data, settings, reporter=SILENT)
        return [np.unique(made.kernels[name], return_inverse=True)[1] for name in sorted(made.clustered)]

    before = places(cluster.Cluster(clusters=8))
    stay = places(cluster.Cluster(clusters=8, moving=False, training=SHORT))
    move = places(cluster.Cluster(clusters=8, moving=True, training=SHORT))
    assert all(np.array_equal(one, other) for one, other in zip(before, stay, strict=True))
    assert any(not np.array_equal(one, other) for one, other in zip(before, move, strict=True))


def test_int8_keeps_zeros_and_codebooks(clustered: CompressedModel, int8: tuple[CompressedModel, Any]) -> None:
    model, _ = int8
    assert all(np.array_equal(zeros(model)[name], zero) for name, zero in zeros(clustered).items())
    assert all(len(np.unique(model.kernels[name])) <= 8 for name in model.clustered)
    package, file = pack(model)
    assert unpack(package) == file
    assert len(package) < len(pack(clustered)[0])


def test_the_int8_file_agrees_with_the_simulation(int8: tuple[CompressedModel, Any], data: Dataset) -> None:
    model, report = int8
    assert report == {"agreement": 1, "difference": 0}
    assert accuracy(model, data) > 0.8


@pytest.mark.parametrize("seed", [0, 1])
def test_int8_is_simulated_to_the_last_bit(seed: int, data: Dataset) -> None:
    blocks = (
        Convolution(16, 3, activation="hard-swish"),
        InvertedResidual(48, 16, 3),
        InvertedResidual(48, 16, 5, squeeze=8, activation="hard-swish"),
        InvertedResidual(64, 24, 3),
    )
    network = Architecture("each kind", 8, 8, (*blocks, Convolution(64, 1)), classes=4, channels=1)
    _, report = qat.apply(CompressedModel(network, lively_weights(network, seed)), data, qat.Qat(), reporter=SILENT)
    assert report == {"agreement": 1, "difference": 0}


def test_int8_trains_networks_that_keep_nothing(dense: CompressedModel, data: Dataset) -> None:
    model, report = qat.apply(
        dense, data, qat.Qat(training=replace(SHORT, epochs=1, learning_rate=0.001)), reporter=SILENT
    )
    assert report["agreement"] >= 0.97
    assert accuracy(model, data) > 0.9


def test_fewer_channels_and_the_network_lives(dense: CompressedModel, data: Dataset) -> None:
    settings = channels.PruneChannels(multiply_adds=0.7, training=replace(SHORT, epochs=4))
    model, _ = channels.apply(dense, data, settings, reporter=SILENT)
    assert model.multiply_adds <= 0.7 * dense.multiply_adds
    assert accuracy(model, data) > 0.7
    assert len(litert_file(model)) < len(litert_file(dense))


def test_dsd_ends_dense_and_says_what_it_gained(dense: CompressedModel, data: Dataset, tmp_path: Path) -> None:
    settings = dsd.Dsd(training=replace(SHORT, epochs=1), control=True)
    model, report = dsd.apply(dense, data, settings, tmp_path, reporter=SILENT)
    assert not model.sparse
    assert model.sparsity < 0.05, "but for weights that no photo moves"
    assert report["gain"] == pytest.approx(report["validation_accuracy"] - report["control_accuracy"])
    phases = sorted(path.name for path in tmp_path.iterdir())
    assert phases == ["control-dense", "control-sparse", "dense", "sparse"]


def test_a_pruned_network_learns_from_a_teacher_and_stays_pruned(
    dense: CompressedModel, pruned: CompressedModel, data: Dataset, tmp_path: Path
) -> None:
    save(dense, tmp_path)
    settings = distill.Distill(training=replace(SHORT, teacher=str(tmp_path), alpha=0.1))
    model, _ = distill.apply(pruned, data, settings, reporter=SILENT)
    assert all(np.array_equal(zeros(model)[name], zero) for name, zero in zeros(pruned).items())
    assert accuracy(model, data) > 0.8


def test_a_teacher_s_loss_is_the_divergence_of_softened_classes(dense: CompressedModel, tmp_path: Path) -> None:
    from lykeion.compress.trainable.keras_network import build
    from lykeion.nets.training import distiller

    save(dense, tmp_path)
    recipe = replace(SHORT, teacher=str(tmp_path), temperature=3.0)
    (loss,) = distiller(build(dense), tmp_path, recipe).distillation_losses
    random = np.random.default_rng(0)
    theirs, ours = random.standard_normal((2, 5, 4)).astype(np.float32)
    wanted, found = (np.exp(logits / 3) / np.exp(logits / 3).sum(axis=1, keepdims=True) for logits in (theirs, ours))
    divergence = (wanted * np.log(wanted / found)).sum(axis=1).mean()
    assert float(loss.compute_loss(theirs, ours)) == pytest.approx(9 * divergence, rel=1e-4)


@pytest.mark.parametrize("mode", ["dynamic", "weight-only", "int8", "int16"])
def test_post_training_quantization_is_close(mode: Any, dense: CompressedModel, data: Dataset) -> None:
    pytest.importorskip("ai_edge_quantizer")
    settings = quantize.Quantize(mode=mode, skip=("0/*",), calibration=32)
    model, report = quantize.apply(dense, data, settings, reporter=SILENT)
    assert report["float32"] == ["0/convolution"]
    assert len(litert_file(model)) < len(litert_file(dense))
    assert accuracy(model, data) > 0.9
    with pytest.raises(CompressionError, match="make quantize the last step"):
        prune.apply(model, data, prune.Prune(sparsity=0.5), reporter=SILENT)


def test_a_scan_says_which_layers_can_lose_what(
    dense: CompressedModel, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, journal = tmp_path / "scan.json", tmp_path / "scan.json.part"
    with monkeypatch.context() as killed:
        killed.setattr(Sensitivity, "write", lambda scan, path: 1 / 0)  # all is measured, and nothing written
        with pytest.raises(ZeroDivisionError):
            scan_sensitivity(dense, data, output=file, reporter=SILENT)
    journal.write_bytes(journal.read_bytes() + b'["cut sho')
    with monkeypatch.context() as nothing_runs:
        nothing_runs.setattr("lykeion.compress.sensitivity.correct_litert", None)
        found = scan_sensitivity(dense, data, output=file, reporter=SILENT)
        assert scan_sensitivity(dense, data, output=file, reporter=SILENT) == found
    assert not journal.exists()
    assert found.baseline == pytest.approx(correct_litert(litert_file(dense), data.validation).mean())
    assert set(found.accuracy["bits"]) == set(dense.kernels)
    assert Sensitivity.read(tmp_path / "scan.json", dense.architecture.name) == found
    with pytest.raises(CompressionError, match=r"scan\.json: .*it is of tiny, not of another"):
        Sensitivity.read(tmp_path / "scan.json", "another")
    plain = found.to_json()
    for broken in (
        plain | {"baseline": float("nan")},
        plain | {"levels": {"sparsity": [1.5] * 6, "bits": [8, 6, 4, 3]}},
    ):
        (tmp_path / "broken.json").write_text(json.dumps(broken))
        with pytest.raises(CompressionError, match=r"a share is not from 0 to 1|NaN is not a JSON number"):
            Sensitivity.read(tmp_path / "broken.json", dense.architecture.name)
    draw_sensitivity(found, tmp_path / "scan.png")
    assert (tmp_path / "scan.png").stat().st_size > 10_000
    settings = prune.Prune(sensitivity=tmp_path / "scan.json", loss=0.05)
    model, _ = prune.apply(dense, data, settings, reporter=SILENT)
    for name in model.sparse:
        assert (model.kernels[name] == 0).mean() == pytest.approx(found.most("sparsity", name, 0.05), abs=0.03)


def test_a_scan_of_another_model_is_not_overwritten(dense: CompressedModel, data: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "scan.json"
    first = scan_sensitivity(dense, data, layers=("logits",), photos=8, output=file, reporter=SILENT)
    bias = {"logits/bias": dense.weights["logits/bias"] + 1}
    other = replace(dense, weights={**dense.weights, **bias})
    for model, layers, photos in ((other, "logits", 8), (dense, "dense", 8), (dense, "logits", 9)):
        with pytest.raises(
            CompressionError, match=r"scan\.json: a scan of other weights, photos or layers; give another"
        ):
            scan_sensitivity(model, data, layers=(layers,), photos=photos, output=file, reporter=SILENT)
    assert Sensitivity.read(file, dense.architecture.name) == first
    file.write_text("my notes")
    with pytest.raises(CompressionError, match=r"scan\.json: "):
        scan_sensitivity(dense, data, layers=("logits",), photos=8, output=file, reporter=SILENT)
    assert file.read_text() == "my notes"


def test_layers_that_a_structure_leaves_alone_are_named(dense: CompressedModel, data: Dataset) -> None:
    """Groups of 32 inputs, which small layers do not have."""
    heard = Recorder()
    found, report = prune.apply(dense, data, prune.Prune(structure="1:32"), reporter=heard)
    assert found.sparse
    assert report["spared"] == [name for name in found.kernels if name in report["spared"]]
    assert set(report["spared"]).isdisjoint(found.sparse)
    assert heard.notices == [f"notice: prune: nothing becomes zero in {', '.join(report['spared'])}"]


@pytest.mark.parametrize("moving", [True, False])
def test_two_values_a_layer_are_two_after_training(moving: bool, dense: CompressedModel, data: Dataset) -> None:
    settings = cluster.Cluster(clusters=2, layers=("*",), moving=moving, training=replace(SHORT, epochs=1))
    found, report = cluster.apply(dense, data, settings, reporter=SILENT)
    assert set(report["values"].values()) == {2}
    assert set(report["values"]) == set(found.kernels)


def test_what_was_saved_is_the_same_model(int8: tuple[CompressedModel, Any], tmp_path: Path) -> None:
    save(int8[0], tmp_path)
    found = open_model(tmp_path)
    assert litert_file(found) == litert_file(int8[0])
    assert (found.sparse, found.clustered, found.ranges) == (int8[0].sparse, int8[0].clustered, int8[0].ranges)


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (lambda model, data: prune.apply(model, data, prune.Prune(sparsity=0.5)), "is clustered already"),
        (lambda model, data: dsd.apply(model, data, dsd.Dsd(training=SHORT)), "is clustered already"),
        (lambda *_: prune.Prune(structure="2:4", scope="global"), "scope global goes with sparsity"),
        (
            lambda model, data: channels.apply(model, data, channels.PruneChannels(multiply_adds=0.5)),
            "take channels away first",
        ),
        (lambda model, data: cluster.apply(model, data, cluster.Cluster(layers=("nothing",))), "names no layer"),
        (
            lambda model, data: cluster.apply(replace(model, ranges={}), data, cluster.Cluster(training=SHORT)),
            "moving: false",
        ),
    ],
)
def test_steps_in_an_order_that_makes_no_sense_are_refused(
    attempt: Callable[[CompressedModel, Dataset], Any], reason: str, clustered: CompressedModel, data: Dataset
) -> None:
    with pytest.raises(CompressionError, match=reason):
        attempt(clustered, data)
