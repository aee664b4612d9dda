"""examples/pasted_detector: what an anchor learns, how detections are scored, and a file that is what was trained."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from examples.fashion_mnist import CATEGORIES
from examples.fashion_mnist.dataset import read_sample
from examples.pasted_detector.network import ANCHORS, HEIGHT, SCALES, WIDTH
from examples.pasted_detector.scenes import Scene, random_scene
from examples.pasted_detector.scoring import average_precision, score
from examples.pasted_detector.training import batch_of, matched, overlaps, train
from lykeion.device import Detection
from lykeion.vision import Box

from .eager import eager

__all__ = ["eager"]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng, split = np.random.default_rng(0), read_sample().splits["train"]
    return [random_scene(rng, *split, HEIGHT, WIDTH) for _ in range(20)]


def seen(scene: Scene, *, sure: float = 0.9, right: bool = True) -> list[Detection]:
    """What a perfect detector finds; or one that takes each thing for another."""
    labels = scene.labels if right else (scene.labels + 1) % len(CATEGORIES)
    boxes = scene.boxes.astype(int).tolist()
    return [
        Detection(CATEGORIES[label], int(label), sure, Box(left, top, end, bottom))
        for label, (top, left, bottom, end) in zip(labels, boxes, strict=True)
    ]


def test_things_are_where_the_scene_says_and_do_not_overlap(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert 1 <= len(scene.boxes) == len(scene.labels)
        assert (scene.boxes >= 0).all()
        assert (scene.boxes[:, 2:] <= (HEIGHT, WIDTH)).all()
        assert np.array_equal(overlaps(scene.boxes, scene.boxes) > 0, np.eye(len(scene.boxes), dtype=bool))


def test_what_an_anchor_learns_is_decoded_to_the_box_that_it_is_of(scenes: list[Scene]) -> None:
    for scene in scenes:
        offsets, scores = matched(scene)
        learning = offsets[:, 4] > 0
        centres = ANCHORS[:, :2] + offsets[:, :2] / SCALES[0] * ANCHORS[:, 2:]
        halves = np.exp(offsets[:, 2:4] / SCALES[2]) * ANCHORS[:, 2:] / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)[learning] * ([HEIGHT, WIDTH] * 2)
        shares = overlaps(boxes, scene.boxes)
        assert (shares.max(axis=1) > 0.999).all(), "each is of one of the things"
        assert (shares.max(axis=0) > 0.999).all(), "each thing has an anchor"
        assert np.array_equal(scores[learning, :-1].argmax(axis=1), scene.labels[shares.argmax(axis=1)])
        assert not scores[~learning, :-1].any()
        assert scores[learning, -1].all()


def test_a_perfect_detector_scores_one_and_one_that_mixes_labels_up_only_locates(scenes: list[Scene]) -> None:
    perfect = score(scenes, [seen(scene) for scene in scenes])
    assert (perfect.precision, perfect.recall, perfect.located) == (1, 1, 1)
    assert perfect.things == sum(len(scene.labels) for scene in scenes)
    mixed = score(scenes, [seen(scene, right=False) for scene in scenes])
    assert (mixed.precision, mixed.recall, mixed.located) == (0, 0, 1)
    unsure = score(scenes, [seen(scene, sure=0.3) for scene in scenes])
    assert (unsure.precision, unsure.recall, unsure.located) == (1, 0, 0)
    twice = score(scenes, [seen(scene) * 2 for scene in scenes])
    assert twice.recall == 1, "a thing is found once"
    assert score(scenes, [[] for _ in scenes]).precision == 0


def test_average_precision_is_the_area_below_the_best_precision_at_each_recall() -> None:
    assert average_precision([(0.9, True), (0.8, False), (0.7, True)], 2) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision([(0.9, False), (0.8, True)], 4) == pytest.approx(0.5 / 4)
    assert average_precision([], 3) == 0


@pytest.mark.slow
def test_training_lowers_the_loss_and_the_file_is_what_was_trained(tmp_path: Path, scenes: list[Scene]) -> None:
    import tensorflow  # noqa: F401  (which exports the file)

    from examples.pasted_detector import write_detector
    from examples.pasted_detector.measuring import load, measure
    from examples.pasted_detector.training import train

    said: list[str] = []
    model = train(read_sample().splits["train"], 12, batch=4, say=said.append)
    first, last = (float(line.rpartition(" ")[2]) for line in said)
    assert last < first
    inputs, _, _ = batch_of(scenes[:1])
    path = write_detector(model, tmp_path)
    wanted = model.predict_on_batch(inputs)
    loaded = load(path)
    with closing(loaded.engine):
        found = loaded.engine.run(inputs)
        for name in ("boxes", "scores"):
            assert loaded.companion.boxes
            assert np.allclose(found[loaded.companion.boxes.outputs[name]], wanted[name], atol=1e-3)
    assert loaded.companion.labels == CATEGORIES
    assert 0 <= measure(path, read_sample().splits["train"], 3, np.random.default_rng(1)).precision <= 1


@pytest.mark.slow
def test_a_training_that_is_interrupted_goes_on_as_if_it_was_not(tmp_path: Path, eager: None) -> None:
    split, state = read_sample().splits["train"], tmp_path / "detector.training.npz"

    def stop(line: str) -> None:
        if line.startswith("step 4"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(split, 4, batch=2, say=stop, state=state, every=2)
    said: list[str] = []
    resumed = train(split, 4, batch=2, say=said.append, state=state, every=2)
    assert len(said) == 1  # not the first step again
    whole = train(split, 4, batch=2, say=said.append)
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
