"""Model files that commands are given, the engines and threads to run them with, and photos to judge them by."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lykeion.cli.options import FIT, PICTURE

if TYPE_CHECKING:
    from lykeion.engines.choosing import Case, Labelled, ModelFile
    from lykeion.engines.running import Kind

engine_option = click.option(
    "--engine", "engines", multiple=True, metavar="NAME", help="As in lykeion engines list; default: all usual ones."
)
threads_option = click.option(
    "--threads", multiple=True, type=click.IntRange(1, 256), default=(1,), show_default=True, help="May be repeated."
)
data_option = click.option(
    "--data", type=click.Path(path_type=Path), metavar="PATH", help="Labelled photos, as lykeion train reads them."
)
fit_option = click.option(
    "--fit",
    type=FIT,
    help="How photos are fitted to the network's size, as in lykeion train.",
)
photos_option = click.option(
    "--photos", type=click.IntRange(1), default=2000, show_default=True, help="At most this many of them."
)
png_option = click.option("--png", type=PICTURE, metavar="FILE", help="Draw the results.")
journal_option = click.option(
    "--journal", type=click.Path(path_type=Path), metavar="PATH", help="Keep timings there, and resume from them."
)


def open_models(names: Sequence[str]) -> "list[ModelFile]":
    """From files, directories of trainings, and names of networks."""
    from lykeion.engines.choosing import ModelFile
    from lykeion.engines.running import read_model

    found = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found.append(ModelFile(name.rstrip("/"), _trained(path)))
        elif path.suffix == ".tflite":
            found.append(ModelFile(path.stem, read_model(path), path))
        else:
            found.append(ModelFile(name, _random(name)))
    if len({model.name for model in found}) < len(found):  # files of one name: by their paths
        found = [ModelFile(name, model.content, model.source) for name, model in zip(names, found, strict=True)]
    return list({model.name: model for model in found}.values())


def _trained(run: Path) -> bytes:
    """The logits of a network that ``lykeion train`` trained, or the file that a step of a compression made."""
    from lykeion.engines.running import read_model
    from lykeion.nets import Architecture, ArchitectureError, write_litert
    from lykeion.nets.training import read_arrays

    if (run / "compression.json").exists():
        return read_model(run / "model.tflite")
    file = run / "architecture.json"
    try:
        architecture = Architecture.from_json(file.read_bytes())
    except OSError as error:
        raise ArchitectureError(f"{file}: {error.strerror or error}; is {run} a finished training?") from None
    except ArchitectureError as error:
        raise ArchitectureError(f"{file}: {error}") from None
    weights = read_arrays(run / "weights.npz")
    output = "logits" if "logits/kernel" in weights else "embedding"
    return write_litert(architecture, weights, output=output)


def _random(name: str) -> bytes:
    from lykeion.nets import find, random_weights, write_litert

    architecture = find(name)
    return write_litert(architecture, random_weights(architecture), output="logits")


def engine_kinds(names: Sequence[str]) -> "tuple[Kind, ...]":
    from lykeion.engines.running import find_kind, usual_kinds

    return tuple(find_kind(name) for name in dict.fromkeys(names)) if names else usual_kinds()


def all_cases(models: Sequence[str], engines: Sequence[str], threads: Sequence[int]) -> "list[Case]":
    from lykeion.engines.choosing import cases

    return cases(open_models(models), engine_kinds(engines), threads)


def labelled(path: Path | None, cases: "Sequence[Case]", photos: int, fit: Any, quiet: bool) -> "Labelled | None":
    """The test photos, or else those of validation, in the size of the first model that takes photos, normalised as
    the models' cards say, or as networks trained here are."""
    if path is None:
        return None
    import numpy as np

    from lykeion.compress import check_classes
    from lykeion.engines.choosing import Labelled
    from lykeion.nets.training import load_data, some

    models = list({case.model.name: case.model for case in cases}.values())
    height, width, channels = _photo_size(models)
    mean, std = _normalisation(models)
    data = load_data(path, height=height, width=width, channels=channels, fit=fit, quiet=quiet)
    for model in models:
        check_classes(Path(model.name), data)
    chosen = some(data.test if len(data.test) else data.validation, photos)
    return Labelled(chosen.read(np.arange(len(chosen))), chosen.labels, mean, std, classes=len(data.classes))


def _photo_size(models: "Sequence[ModelFile]") -> tuple[int, int, int]:
    """Height, width and channels of the first that takes photos. Raises ModelError where none does."""
    from lykeion.core import LykeionError
    from lykeion.engines import ModelError
    from lykeion.engines.running import specs, try_model

    reasons: list[str] = []
    for model in models:
        try:
            try_model(model.content, model.name)
            shape = specs(model.graph)[0][0].shape
        except LykeionError as error:
            reasons.append(str(error))
            continue
        if len(shape) == 4 and shape[3] in (1, 3) and min(shape[1:]) > 0:
            return shape[1], shape[2], shape[3]
        reasons.append(f"{model.name}: takes no photos of one size, so --data cannot judge it")
    raise ModelError(reasons[0])


def _normalisation(models: "Sequence[ModelFile]") -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std, by the cards of files that have one. Raises ModelError where they differ."""
    from lykeion.engines import ModelError
    from lykeion.nets.training import PHOTO_MEAN, PHOTO_STD
    from lykeion.vision import CardError, ModelCard

    found: dict[tuple[tuple[float, ...], tuple[float, ...]], str] = {}
    for model in models:
        pair = ((PHOTO_MEAN,), (PHOTO_STD,))
        if model.source is not None:
            try:
                card = ModelCard.for_model(model.source)
            except CardError:
                pass
            else:
                same = len({*card.mean}) == len({*card.std}) == 1
                pair = (card.mean[:1], card.std[:1]) if same else (card.mean, card.std)
        found.setdefault(pair, model.name)
    if len(found) > 1:
        names = " and ".join(list(found.values())[:2])
        raise ModelError(f"{names} normalise photos in different ways; measure their accuracy one by one")
    return next(iter(found))
