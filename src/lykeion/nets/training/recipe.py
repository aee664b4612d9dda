"""Training settings as plain data: the options of ``lykeion train``, kept in the run directory."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from lykeion.core import Invalid, parse_json, read_json_as

RECIPE_SCHEMA = "lykeion.recipe"
RECIPE_VERSION = 1
MAX_BYTES = 2**16

Optimizer: TypeAlias = Literal["adamw", "sgd", "rmsprop"]
Schedule: TypeAlias = Literal["cosine", "constant"]
Head: TypeAlias = Literal["softmax", "arcface", "proxy-anchor"]
Precision: TypeAlias = Literal["float32", "bfloat16"]


class RecipeError(Invalid):
    """An invalid recipe; the message names the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All settings; each is validated, and an invalid one raises RecipeError."""

    epochs: Annotated[int, "Passes over the training photos."] = 10
    steps: Annotated[int | None, "Train this many steps instead."] = None
    batch: Annotated[int, "Photos per step."] = 128
    optimizer: Annotated[Optimizer, "The optimizer."] = "adamw"
    learning_rate: Annotated[float, "At its highest."] = 0.003
    schedule: Annotated[Schedule, "How the learning rate falls after the warm-up."] = "cosine"
    warmup_steps: Annotated[int | None, "Steps in which the learning rate rises; default: a twentieth of all."] = None
    momentum: Annotated[float, "Of SGD and RMSprop."] = 0.9
    weight_decay: Annotated[float, "Times the learning rate, per step; kernels only, not norms or biases."] = 0.02
    label_smoothing: Annotated[float, "Label smoothing: share of the target that is spread over all classes."] = 0.0
    dropout: Annotated[float, "Dropout rate between embedding and classes."] = 0.0
    batch_norm_momentum: Annotated[float | None, "Default: by the number of steps."] = None
    ema: Annotated[float, "Momentum of the weights' moving average, which is then what is evaluated; 0: none."] = 0.0
    flip: Annotated[bool, "Mirror half of the photos."] = False
    shift: Annotated[int, "Shift photos by up to this many pixels."] = 0
    colour: Annotated[float, "Change brightness and contrast by up to this share."] = 0.0
    erase: Annotated[float, "Share of photos in which a rectangle is erased."] = 0.0
    mixup: Annotated[float, "Blend pairs of photos by a share drawn from Beta(x, x); 0: off."] = 0.0
    head: Annotated[Head, "What the embedding is trained for: classes, or distances (the other two)."] = "softmax"
    prefixes: Annotated[tuple[int, ...], "Make the first N numbers of the embedding usable alone; repeatable."] = ()
    teacher: Annotated[str | None, "A run directory or .keras file of logits, to learn from (distillation)."] = None
    temperature: Annotated[float, "Of the teacher's and the network's softmax in distillation."] = 3.0
    alpha: Annotated[float, "Share of the labels in the loss of distillation; the teacher has the rest."] = 0.5
    precision: Annotated[Precision, "bfloat16: faster on GPUs that support it, slower elsewhere."] = "float32"
    seed: Annotated[int, "Of initial weights, order of photos, augmentation and dropout."] = 0
    deterministic: Annotated[bool, "Bit-identical results, also when resumed; may be slower."] = False

    def __post_init__(self) -> None:
        for name, (expected, is_good) in _RULES.items():
            value = getattr(self, name)
            optional = value is None and _DEFAULTS[name] is None
            if not optional and not is_good(value):
                raise RecipeError(f"recipe: {name} is {str(value)[:60]!r}; give {expected}")
        if self.prefixes and self.head == "softmax":
            raise RecipeError("recipe: prefixes need head arcface or proxy-anchor; the softmax head has none")
        if self.mixup and self.head != "softmax":
            raise RecipeError(f"recipe: mixup does not work with head {self.head}; remove one of them")
        if self.teacher and self.head != "softmax":
            raise RecipeError(f"recipe: a teacher needs logits, but head {self.head} has none; remove one of them")

    def check_given(self, names: Collection[str]) -> None:
        """Raises RecipeError where one of these settings, which somebody gave, has no effect beside the others."""
        for name in names:
            needs, has_effect = _EFFECTS.get(name, ("", lambda recipe: True))
            if not has_effect(self):
                raise RecipeError(f"recipe: {name} has no effect {needs}; leave it out")
        if "epochs" in names and "steps" in names:
            raise RecipeError("recipe: epochs and steps both say how long to train; give one")

    def steps_per_epoch(self, photos: int) -> int:
        return max(1, round(photos / self.batch))

    def total_steps(self, photos: int) -> int:
        """Steps of the whole training on this many photos."""
        return self.steps or self.epochs * self.steps_per_epoch(photos)

    def norm_momentum(self, total_steps: int) -> float:
        """Batch norm's momentum: as set, else chosen so that the statistics forget the beginning of a short training.

        Statistics reach back 1 / (1 − momentum) steps: here a fortieth of all, within 10 to 100.
        """
        if self.batch_norm_momentum is not None:
            return self.batch_norm_momentum
        return min(0.99, max(0.9, 1 - 40 / total_steps))

    def to_json(self) -> dict[str, Any]:
        """A JSON value, read again by ``from_json``."""
        return {"schema": RECIPE_SCHEMA, "version": RECIPE_VERSION, **asdict(self), "prefixes": list(self.prefixes)}

    @classmethod
    def from_json(cls, value: str | bytes | dict[str, Any]) -> "Recipe":
        """Read JSON text or a JSON value; missing settings have their defaults. Raises RecipeError."""
        plain = dict(value) if isinstance(value, dict) else parse_json(value, RecipeError, "recipe", limit=MAX_BYTES)
        schema, version = plain.pop("schema", None), plain.pop("version", None)
        if (schema, version) != (RECIPE_SCHEMA, RECIPE_VERSION):
            raise RecipeError(f"not a recipe of this release: schema {schema!r}, version {version!r}")
        if unknown := sorted(plain.keys() - _DEFAULTS.keys()):
            raise RecipeError(f"recipe: setting {unknown[0][:60]!r} is unknown (a newer recipe?)")
        if isinstance(prefixes := plain.get("prefixes"), list):
            plain["prefixes"] = tuple(prefixes)
        return cls(**plain)

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Raises RecipeError if the file is missing or not a recipe."""
        return read_json_as(cls.from_json, path, RecipeError, "recipe", limit=MAX_BYTES)


_DEFAULTS = {setting.name: setting.default for setting in fields(Recipe)}

_EFFECTS: dict[str, tuple[str, Callable[[Recipe], bool]]] = {
    "momentum": ("with optimizer adamw", lambda recipe: recipe.optimizer != "adamw"),
    "label_smoothing": ("unless head is softmax", lambda recipe: recipe.head == "softmax"),
    "dropout": ("unless head is softmax", lambda recipe: recipe.head == "softmax"),
    "temperature": ("without teacher", lambda recipe: recipe.teacher is not None),
    "alpha": ("without teacher", lambda recipe: recipe.teacher is not None),
}
"""What other settings a setting needs, in words, and whether they are there."""

_Rule: TypeAlias = tuple[str, Callable[[Any], bool]]


def _whole(least: int, most: int) -> _Rule:
    return f"a whole number from {least:,} to {most:,}", lambda value: type(value) is int and least <= value <= most


def _number(least: float, most: float, *, below: bool = False) -> _Rule:
    def is_good(value: Any) -> bool:
        return type(value) in (int, float) and least <= value <= most and not (below and value == most)

    return f"a number from {least:g} to {'below ' if below else ''}{most:g}", is_good


def _one_of(choices: object) -> _Rule:
    names = get_args(choices)
    return f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names


def _flag() -> _Rule:
    return "true or false", lambda value: isinstance(value, bool)


def _are_prefixes(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(n) is int and 1 <= n <= 65_536 for n in value)


_RULES: dict[str, _Rule] = {
    "epochs": _whole(1, 100_000),
    "steps": _whole(1, 10**9),
    "batch": _whole(1, 65_536),
    "optimizer": _one_of(Optimizer),
    "learning_rate": _number(1e-12, 1e3),
    "schedule": _one_of(Schedule),
    "warmup_steps": _whole(0, 10**9),
    "momentum": _number(0, 1, below=True),
    "weight_decay": _number(0, 1e3),
    "label_smoothing": _number(0, 1, below=True),
    "dropout": _number(0, 1, below=True),
    "batch_norm_momentum": _number(0, 1, below=True),
    "ema": _number(0, 1, below=True),
    "flip": _flag(),
    "shift": _whole(0, 4_096),
    "colour": _number(0, 1),
    "erase": _number(0, 1),
    "mixup": _number(0, 100),
    "head": _one_of(Head),
    "prefixes": ("whole numbers from 1 to 65,536", _are_prefixes),
    "teacher": ("the path of a run directory or .keras file", lambda value: isinstance(value, str) and bool(value)),
    "temperature": _number(1e-3, 1e3),
    "alpha": _number(0, 1),
    "precision": _one_of(Precision),
    "seed": _whole(0, 2**63 - 1),
    "deterministic": _flag(),
}
