"""Training: each anchor that covers a thing learns its category and its offsets, all others that nothing is there."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from examples.fashion_mnist import CATEGORIES
from examples.fashion_mnist.dataset import Split
from lykeion.core import write_atomically

from .network import ANCHORS, HEIGHT, SCALES, WIDTH, build_detector
from .scenes import Scene, random_scene

COVERED, APART = 0.5, 0.4
"""An anchor is of a thing from this share of intersection over union, and of nothing below that one."""


def train(
    split: Split,
    steps: int,
    *,
    batch: int = 32,
    seed: int = 0,
    say: Callable[[str], object] = print,
    state: Path | None = None,
    every: int = 100,
) -> Any:
    """A Keras model as ``build_detector`` makes it. With a file ``state``, it is kept there after ``every`` so many
    steps, and a training of the same settings that was interrupted goes on from there."""
    import keras

    keras.utils.set_random_seed(seed)
    model = build_detector(seed)
    decay: Any = keras.optimizers.schedules.CosineDecay(2e-3, steps, warmup_target=4e-3, warmup_steps=steps // 20)
    model.compile(keras.optimizers.Adam(decay, clipnorm=10.0), loss={"boxes": box_loss, "scores": score_loss})
    rng = np.random.default_rng(seed)
    model.optimizer.build(model.trainable_variables)
    settings = {"steps": steps, "batch": batch, "seed": seed}
    begun = restored(model, rng, state, settings) if state else 0
    for step in range(begun + 1, steps + 1):
        scenes = [random_scene(rng, *split, HEIGHT, WIDTH) for _ in range(batch)]
        inputs, boxes, scores = batch_of(scenes)
        losses = model.train_on_batch(inputs, {"boxes": boxes, "scores": scores}, return_dict=True)
        if step in (1, steps) or step % 100 == 0:
            say(f"step {step:,} of {steps:,}: loss {float(losses['loss']):.3f}")
        if state and step % every == 0:
            keep(model, rng, state, settings, step)
    return model


def keep(model: Any, rng: np.random.Generator, state: Path, settings: dict[str, int], step: int) -> None:
    """Weights, the optimizer's state and that of the random numbers after a step."""
    values = [variable.numpy() for variable in variables_of(model)]
    where = json.dumps({"settings": settings, "step": step, "rng": rng.bit_generator.state})
    file = io.BytesIO()
    np.savez(file, where=np.array(where), **{str(number): value for number, value in enumerate(values)})
    write_atomically(state, file.getvalue())


def restored(model: Any, rng: np.random.Generator, state: Path, settings: dict[str, int]) -> int:
    """The step after which it goes on: 0 where nothing is kept of a training of such settings."""
    if not state.exists():
        return 0
    with np.load(state, allow_pickle=False) as kept:
        where = json.loads(str(kept["where"]))
        if where["settings"] != settings:
            return 0
        for number, variable in enumerate(variables_of(model)):
            variable.assign(kept[str(number)])
    rng.bit_generator.state = where["rng"]
    return where["step"]


def variables_of(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def batch_of(scenes: list[Scene]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs as a card normalises them; offsets and a fifth number, 1 where they count; scores of each category and
    a last number, 1 where they count."""
    inputs = (np.stack([scene.pixels for scene in scenes]).astype(np.float32)[..., None] - 127.5) / 127.5
    targets = [matched(scene) for scene in scenes]
    return inputs, np.stack([boxes for boxes, _ in targets]), np.stack([scores for _, scores in targets])


def matched(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """What each anchor learns of a scene; the best anchor of each thing is of it in any case."""
    boxes = scene.boxes / np.array([HEIGHT, WIDTH] * 2, np.float32)
    centres, sides = ANCHORS[:, :2], ANCHORS[:, 2:]
    shares = overlaps(np.concatenate([centres - sides / 2, centres + sides / 2], axis=1), boxes)
    best, share = shares.argmax(axis=1), shares.max(axis=1)
    best[shares.argmax(axis=0)], share[shares.argmax(axis=0)] = np.arange(len(boxes)), 1.0
    of_a_thing = share >= COVERED
    middle, extent = (boxes[best, :2] + boxes[best, 2:]) / 2, boxes[best, 2:] - boxes[best, :2]
    offsets = np.concatenate([(middle - centres) / sides, np.log(extent / sides)], axis=1) * np.array(SCALES)
    scores = np.zeros((len(ANCHORS), len(CATEGORIES) + 1), np.float32)
    scores[of_a_thing, scene.labels[best[of_a_thing]]] = 1
    scores[:, -1] = of_a_thing | (share < APART)
    return np.concatenate([offsets, of_a_thing[:, None]], axis=1).astype(np.float32), scores


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of (n, 4) and (m, 4) boxes: (n, m)."""
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = (np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - top_left).clip(0).prod(axis=-1)
    areas = [np.prod(each[:, 2:] - each[:, :2], axis=-1) for each in (boxes, others)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def box_loss(true: Any, found: Any) -> Any:
    """Huber's loss of the offsets that count, a thing's share of an anchor."""
    import keras

    ops: Any = keras.ops
    wrong = ops.abs(true[..., :4] - found)
    losses = ops.where(wrong < 1, 0.5 * wrong * wrong, wrong - 0.5)
    return ops.sum(losses * true[..., 4:]) / ops.maximum(ops.sum(true[..., 4]), 1.0)


def score_loss(true: Any, found: Any) -> Any:
    """Focal loss (α .25, γ 2) of all scores that count, over the number of anchors of things."""
    import keras

    ops: Any = keras.ops
    wanted, counts = true[..., :-1], true[..., -1:]
    chance = ops.sigmoid(found)
    right = wanted * chance + (1 - wanted) * (1 - chance)
    weight = (wanted * 0.25 + (1 - wanted) * 0.75) * (1 - right) ** 2
    losses = weight * (ops.softplus(found) - wanted * found)
    return ops.sum(losses * counts) / ops.maximum(ops.sum(wanted), 1.0)
