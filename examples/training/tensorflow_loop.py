"""Train a small network on Fashion-MNIST with a loop of TensorFlow: one process, or one for each worker."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from examples.training.photos import Photos, batches, load, options
from examples.training.run_directory import RunDirectory
from lykeion.core import LykeionError, first_line


def worker_of() -> tuple[int, int]:
    """The number of this process and of how many, as the platform has set them."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    return (config["task"]["index"], len(config["cluster"]["worker"])) if config else (0, 1)


def first_parameters(seed: int) -> list[np.ndarray]:
    """Two convolutions and a dense layer; batch normalization would depend on the number of workers."""
    draw = np.random.default_rng(seed)
    shapes = [(3, 3, 1, 8), (3, 3, 8, 16), (7 * 7 * 16, 10)]
    kernels = [draw.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype(np.float32) for shape in shapes]
    return [each for kernel in kernels for each in (kernel, np.zeros(kernel.shape[-1], np.float32))]


def logits(parameters: Sequence[tf.Variable], photos: tf.Tensor) -> tf.Tensor:
    first, first_bias, second, second_bias, dense, bias = parameters
    hidden = tf.nn.relu(tf.nn.conv2d(photos, first, 2, "SAME") + first_bias)
    hidden = tf.nn.relu(tf.nn.conv2d(hidden, second, 2, "SAME") + second_bias)
    return tf.reshape(hidden, (-1, 7 * 7 * 16)) @ dense + bias


class Net(tf.Module):
    """What is published: photos (n, 28, 28, 1) from 0 to 1 to logits (n, 10)."""

    def __init__(self, parameters: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.parameters = [tf.Variable(tf.constant(each)) for each in parameters]

    def take(self, parameters: Sequence[tf.Variable]) -> None:
        for mine, parameter in zip(self.parameters, parameters, strict=True):
            mine.assign(parameter.numpy())

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32)])
    def __call__(self, photos: tf.Tensor) -> tf.Tensor:
        return logits(self.parameters, photos)

    def top1(self, photos: Photos) -> float:
        return float(np.mean(self(tf.constant(photos.images)).numpy().argmax(-1) == photos.labels))


def main(chosen: argparse.Namespace) -> None:
    tf.config.experimental.enable_op_determinism()
    worker, workers = worker_of()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    train, validation = load(sample=chosen.sample)
    size = chosen.batch * workers

    # The first worker alone reads and writes the run directory; variables begin everywhere with what they are there.
    run = RunDirectory({"batch": size, "rate": chosen.learning_rate, "seed": chosen.seed}) if worker == 0 else None
    parameters = first_parameters(chosen.seed)
    saved = run.load() if run else None
    step, state = saved or (0, [*parameters, *map(np.zeros_like, parameters)])
    with strategy.scope():
        start = tf.Variable(tf.constant(step))
        variables = [tf.Variable(tf.constant(each)) for each in state]
    weights, momenta = variables[: len(parameters)], variables[len(parameters) :]
    net = Net(parameters)

    def gradients(photos: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss over all workers, and its gradients."""
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(weights, photos))
            loss = tf.reduce_sum(losses) / size
        return tf.distribute.get_replica_context().all_reduce("sum", [loss, tape.gradient(loss, weights)])

    @tf.function
    def update(photos: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        loss, slopes = strategy.run(gradients, args=(photos, labels))
        for weight, momentum, slope in zip(weights, momenta, slopes, strict=True):
            momentum.assign(0.9 * momentum + slope)
            weight.assign_sub(chosen.learning_rate * momentum)
        return loss

    for batch in batches(len(train.labels), size, epochs=chosen.epochs, seed=chosen.seed, after=int(start.numpy())):
        part = train[batch.part(worker, workers)]
        loss = update(tf.constant(part.images), tf.constant(part.labels))
        if run is None:
            continue
        values = {"step": batch.step, "epoch": batch.epoch, "loss": float(loss)}
        if batch.ends_epoch:
            net.take(weights)
            values["validation_top1"] = net.top1(validation)
        run.record(**values)
        if batch.ends_epoch or batch.step % chosen.checkpoint_steps == 0:
            run.save(batch.step, [each.numpy() for each in variables])
    if run:
        net.take(weights)
        write_litert(net, run.model(validation_top1=net.top1(validation)) / "model.tflite")


def write_litert(net: Net, path: Path) -> None:
    function = net.__call__.get_concrete_function()  # pyright: ignore[reportAttributeAccessIssue]
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], net).convert())


if __name__ == "__main__":
    try:
        main(options(__doc__ or ""))
    except (LykeionError, OSError) as error:
        sys.exit(f"error: {first_line(error)}")
    except tf.errors.OpError as error:  # its message has many lines
        sys.exit(f"error: a step failed with {type(error).__name__}: another worker may have ended")
