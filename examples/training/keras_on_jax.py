"""Train a small network on Fashion-MNIST with Keras on JAX: one process, or one for each worker."""

import argparse
import os
import sys
import traceback
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from examples.training.photos import Photos, batches, load, options
from examples.training.run_directory import RunDirectory
from lykeion.core import LykeionError, first_line


def join_the_others() -> tuple[int, int]:
    """The number of this process and of how many, as the platform has set them."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # or SIGTERM would not end this process
    if workers := int(os.environ.get("JAX_NUM_PROCESSES", 0)):
        address, number = os.environ["JAX_COORDINATOR_ADDRESS"], int(os.environ["JAX_PROCESS_ID"])
        jax.distributed.initialize(address, workers, number)
    return jax.process_index(), jax.process_count()


def make_model(seed: int) -> keras.Model:
    """Two convolutions and a dense layer; batch normalization would depend on the number of workers."""
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Conv2D(8, 3, 2, activation="relu"),
        keras.layers.Conv2D(16, 3, 2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
    return keras.Sequential([keras.Input((28, 28, 1)), *layers])


def main(chosen: argparse.Namespace) -> None:
    worker, workers = join_the_others()
    train, validation = load(sample=chosen.sample)
    model, size = make_model(chosen.seed), chosen.batch * workers
    optimizer = keras.optimizers.SGD(chosen.learning_rate, momentum=0.9)
    optimizer.build(model.trainable_variables)
    variables = [*model.trainable_variables, *optimizer.variables]
    weights = len(model.trainable_variables)

    # The first worker alone reads and writes the run directory, and tells the others.
    run = RunDirectory({"batch": size, "rate": chosen.learning_rate, "seed": chosen.seed}) if worker == 0 else None
    saved = run.load() if run else None
    step, state = saved or (0, [np.asarray(each) for each in variables])
    step, state = broadcast_one_to_all((np.asarray(step), state))

    mesh = Mesh(jax.devices(), ("batch",))
    split, whole = NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())
    state = [jax.make_array_from_process_local_data(whole, np.asarray(each)) for each in state]

    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss_of(parameters: list[Any], photos: jax.Array, labels: jax.Array) -> Any:
        logits = model.stateless_call(parameters, [], photos)[0]
        return cross_entropy(labels, logits)

    @jax.jit
    def update(state: list[Any], photos: jax.Array, labels: jax.Array) -> tuple[Any, list[Any]]:
        loss, gradients = jax.value_and_grad(loss_of)(state[:weights], photos, labels)
        parameters, slots = optimizer.stateless_apply(state[weights:], gradients, state[:weights])
        return loss, [*parameters, *slots]

    for batch in batches(len(train.labels), size, epochs=chosen.epochs, seed=chosen.seed, after=int(step)):
        part = train[batch.part(worker, workers)]
        photos, labels = (jax.make_array_from_process_local_data(split, each) for each in (part.images, part.labels))
        loss, state = update(state, photos, labels)
        if run is None:
            continue
        values = {"step": batch.step, "epoch": batch.epoch, "loss": float(loss)}
        if batch.ends_epoch:
            assign(variables, state)
            values["validation_top1"] = top1(model, validation)
        run.record(**values)
        if batch.ends_epoch or batch.step % chosen.checkpoint_steps == 0:
            run.save(batch.step, [np.asarray(each) for each in state])
    if run:
        assign(variables, state)
        model.save(run.model(validation_top1=top1(model, validation)) / "model.keras")


def assign(variables: list[keras.Variable], state: list[jax.Array]) -> None:
    for variable, value in zip(variables, state, strict=True):
        variable.assign(np.asarray(value))


def top1(model: keras.Model, photos: Photos) -> float:
    return float(np.mean(np.asarray(model(photos.images)).argmax(-1) == photos.labels))


if __name__ == "__main__":
    try:
        main(options(__doc__ or ""))
    except Exception as error:
        known = isinstance(error, LykeionError | OSError | jax.errors.JaxRuntimeError)
        print(f"error: {first_line(error)}" if known else traceback.format_exc(), file=sys.stderr, flush=True)
        os._exit(1)  # sys.exit would wait until the other workers end, and they wait for this one
