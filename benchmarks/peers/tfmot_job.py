"""Prune and cluster a network with TensorFlow Model Optimization. Runs in an environment of its own::

    uv venv build/tfmot
    uv pip install -p build/tfmot tensorflow-cpu==2.21.0 dm-tree six
    uv pip install -p build/tfmot --no-deps tf-keras==2.21.0 tensorflow-model-optimization==0.8.1

(tf-keras asks for the package tensorflow, whose files would mix with those of tensorflow-cpu.)
Same first weights, batches, teacher, optimizer and steps as ours; its own schedule of sparsity, with our numbers, and
its own clustering with preserved sparsity.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster

from lykeion.nets import Architecture, layers
from lykeion.nets.training import InMemory, Photos, Recipe
from lykeion.nets.training.batches import training_batch

RAMP, UPDATES = 0.5, 50
"""As ``prune`` has them by default."""
_NORM = {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}


def main(job: Mapping[str, Any]) -> None:
    teacher, work = Path(job["teacher"]), Path(job["work"])
    architecture = Architecture.from_json((teacher / "architecture.json").read_bytes())
    with np.load(work / "train.npz") as arrays:
        photos = InMemory(arrays["images"], arrays["labels"])
    with np.load(teacher / "weights.npz") as arrays:
        weights = dict(arrays)
    prune, share = (Recipe.from_json(recipe) for recipe in job["recipes"])
    taught = build(architecture, prune, photos, weights)
    wanted = {name.replace("/", "_") for name in job["layers"]}

    if not (work / "pruned.npz").exists():
        total = prune.total_steps(len(photos))
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            0.0, job["plan"]["sparsity"], 0, round(RAMP * total), frequency=max(1, round(RAMP * total) // UPDATES)
        )
        wrapped = tf_keras.models.clone_model(
            build(architecture, prune, photos, weights),
            clone_function=lambda layer: (
                tfmot.sparsity.keras.prune_low_magnitude(layer, schedule) if layer.name in wanted else layer
            ),
        )
        fit(wrapped, taught, photos, prune, [tfmot.sparsity.keras.UpdatePruningStep()])
        weights = weights_of(tfmot.sparsity.keras.strip_pruning(wrapped))
        write(work / "pruned.npz", weights)
    with np.load(work / "pruned.npz") as arrays:
        weights = dict(arrays)
    settings = {
        "number_of_clusters": job["plan"]["clusters"],
        "cluster_centroids_init": tfmot.clustering.keras.CentroidInitialization.LINEAR,
        "preserve_sparsity": True,
    }
    wrapped = tf_keras.models.clone_model(
        build(architecture, share, photos, weights),
        clone_function=lambda layer: cluster.cluster_weights(layer, **settings) if layer.name in wanted else layer,
    )
    fit(wrapped, taught, photos, share, [])
    write(work / "clustered.npz", weights_of(tfmot.clustering.keras.strip_clustering(wrapped)))


def build(architecture: Architecture, recipe: Recipe, photos: Photos, weights: Mapping[str, np.ndarray]) -> Any:
    """The network with ReLU6 or linear layers, without squeeze-and-excitation, in tf_keras."""
    momentum = recipe.norm_momentum(recipe.total_steps(len(photos)))
    image = tf_keras.Input((architecture.height, architecture.width, architecture.channels))
    tensors: dict[str, Any] = {"image": image}
    for layer in layers(architecture):
        name, inputs = layer.name.replace("/", "_"), [tensors[source] for source in layer.inputs]
        size = {"strides": layer.stride, "padding": "same", "use_bias": False, "name": name}
        match layer.kind:
            case "convolution":
                made = tf_keras.layers.Conv2D(layer.channels, layer.kernel, **size)(inputs[0])
            case "depthwise":
                made = tf_keras.layers.DepthwiseConv2D(layer.kernel, **size)(inputs[0])
            case "dense":
                made = tf_keras.layers.Dense(layer.channels, name=name)(inputs[0])
            case "pool":
                made = tf_keras.layers.GlobalAveragePooling2D(name=name)(inputs[0])
            case "add":
                made = tf_keras.layers.Add(name=name)(inputs)
            case kind:
                raise SystemExit(f"the peer's network has no {kind}")
        if layer.kind in ("convolution", "depthwise"):
            norm = tf_keras.layers.BatchNormalization(
                epsilon=architecture.epsilon, momentum=momentum, name=f"{name}_norm"
            )
            made = norm(made)
        if layer.activation != "linear":
            made = tf_keras.layers.ReLU({"relu6": 6.0, "relu": None}[layer.activation])(made)
        tensors[layer.name] = made
    model = tf_keras.Model(image, tensors["logits"])
    for name, layer, variable in _variables(model):
        layer.trainable = True
        variable.assign(weights[name].reshape(variable.shape))
    return model


def weights_of(model: Any) -> dict[str, np.ndarray]:
    return {
        name: variable.numpy()[..., 0] if "Depthwise" in type(layer).__name__ else variable.numpy()
        for name, layer, variable in _variables(model)
    }


def _variables(model: Any) -> Iterator[tuple[str, Any, Any]]:
    for layer in model.layers:
        owner = layer.name.removesuffix("_norm").replace("_", "/")
        for variable in layer.weights:
            last = variable.name.rpartition("/")[2].partition(":")[0]
            yield f"{owner}/{'kernel' if last == 'depthwise_kernel' else _NORM.get(last, last)}", layer, variable


def fit(model: Any, teacher: Any, photos: Photos, recipe: Recipe, callbacks: list[Any]) -> None:
    total, classes = recipe.total_steps(len(photos)), model.output_shape[1]

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for step in range(total):
            images, targets = training_batch(photos, classes, recipe, step)
            yield images, np.concatenate([targets, teacher.predict_on_batch(images)], axis=1)

    def loss(targets: Any, logits: Any) -> Any:
        labels, taught = targets[:, :classes], targets[:, classes:] / recipe.temperature
        hard = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
        log_odds = tf.nn.log_softmax(logits / recipe.temperature)
        odds = tf.nn.softmax(taught)
        soft = tf.reduce_sum(odds * (tf.nn.log_softmax(taught) - log_odds), axis=1)
        return recipe.alpha * hard + (1 - recipe.alpha) * recipe.temperature**2 * soft

    warmup = min(recipe.warmup_steps if recipe.warmup_steps is not None else total // 20, total - 1)
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else recipe.learning_rate,
        total - warmup,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = tf_keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    spared = [variable for variable in model.trainable_variables if len(variable.shape) < 2]
    optimizer.exclude_from_weight_decay(var_list=spared)
    model.compile(optimizer, loss)
    spec = (
        tf.TensorSpec((None, *model.input_shape[1:]), tf.float32),
        tf.TensorSpec((None, 2 * classes), tf.float32),
    )
    stream = tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(2)
    model.fit(stream, epochs=1, steps_per_epoch=total, callbacks=callbacks, verbose=2)


def write(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, **weights)  # pyright: ignore[reportArgumentType]
    temporary.replace(path)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
