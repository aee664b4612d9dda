"""Settings of a method as a frozen dataclass, read strictly from a user's document.

A setting is ``Annotated[type, "What it means.", rule]``; the type is float, int, bool, str, Path, a Literal, a tuple
of str, or the Recipe of a training. Each may also be None if that is its default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lykeion.core import digest_file, digest_json
from lykeion.core.fields import Field, Fields
from lykeion.nets.training import RECIPE_SCHEMA, RECIPE_VERSION, Recipe, RecipeError

from .errors import CompressionError

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class Between:
    """A rule: a number from ``least`` to ``most``, or strictly between them if ``inside``."""

    least: float
    most: float
    inside: bool = False

    def holds(self, value: float) -> bool:
        if self.inside:
            return self.least < value < self.most
        return self.least <= value <= self.most

    def __str__(self) -> str:
        return f"{'between' if self.inside else 'from'} {self.least:g} {'and' if self.inside else 'to'} {self.most:g}"


@dataclass(frozen=True, slots=True)
class Needs:
    """A rule: the setting has an effect only if another is given and, if ``among`` is not empty, is one of those."""

    setting: str
    among: tuple[str, ...] = ()

    def check(self, name: str, where: str, values: Mapping[str, Any]) -> None:
        """Raises CompressionError."""
        value = values.get(self.setting)
        if value is None or (self.among and value not in self.among):
            of = f" {' or '.join(self.among)}" if self.among else ""
            raise CompressionError(f"{where}: {name} has no effect without {self.setting}{of}; leave it out")


def read_settings(kind: type[Settings], given: Fields, directory: Path) -> Settings:
    """Paths are relative to ``directory``. Raises SpecError, CompressionError, which name the setting."""
    hints = get_type_hints(kind, include_extras=True)
    known = fields(kind)  # pyright: ignore[reportArgumentType]
    given.only(*(setting.name for setting in known))
    for setting in known:
        if setting.default is MISSING and setting.name not in given:
            raise CompressionError(f"{given.where} lacks the setting {setting.name!r}")
    values = {
        setting.name: given.required(
            setting.name, lambda field, name=setting.name: _read(hints[name], field, directory)
        )
        for setting in known
        if setting.name in given and not (given.values[setting.name] is None and setting.default is None)
    }
    made = kind(**values)
    present = {setting.name: getattr(made, setting.name) for setting in known}
    for name in values:
        for rule in get_args(hints[name])[2:]:
            if isinstance(rule, Needs):
                rule.check(name, given.where, present)
    return made


def check_training(recipe: Recipe, name: str = "training") -> None:
    """Raises CompressionError if a network under compression cannot be trained by this recipe."""
    if recipe.head != "softmax":
        raise CompressionError(f"{name}: head {recipe.head} is not for compression, which trains logits")
    if recipe.precision != "float32":
        raise CompressionError(f"{name}: precision {recipe.precision} is not for compression; leave it out")
    if recipe.teacher and not Path(recipe.teacher).exists():
        raise CompressionError(f"{name}: there is no teacher {recipe.teacher}")


def digest_of_input(path: Path) -> str:
    """Digest of a file, or of the network in a run directory. Raises CompressionError."""
    files = [path / "architecture.json", path / "weights.npz"] if path.is_dir() else [path]
    try:
        return digest_json([digest_file(file) for file in files])
    except OSError as error:
        raise CompressionError(f"{error.filename or path}: {error.strerror or error}") from None


def plain(settings: Any) -> dict[str, Any]:
    """The settings as a JSON value, without the training, which is recorded by its own run."""
    values = {setting.name: getattr(settings, setting.name) for setting in fields(settings)}
    return {
        name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if not isinstance(value, Recipe)
    }


def _read(hint: Any, field: Field, directory: Path) -> Any:
    annotated, _, *rules = get_args(hint)
    wanted = next(part for part in (*get_args(annotated), annotated) if part is not NoneType)
    if get_origin(annotated) is Literal:
        return field.one_of(get_args(annotated))
    if get_origin(annotated) is tuple:
        return field.texts()
    if wanted is Recipe:
        return _recipe(field, directory)
    if wanted is Path:
        return (directory / field.text()).resolve()
    if wanted in (int, float):
        return _number(field, wanted, [rule for rule in rules if isinstance(rule, Between)])
    return field.truth() if wanted is bool else field.text()


def _number(field: Field, wanted: type, rules: Sequence[Between]) -> float:
    allowed = (int,) if wanted is int else (int, float)
    if type(field.value) not in allowed or not all(rule.holds(field.value) for rule in rules):
        kind = "a whole number" if wanted is int else "a number"
        raise field.wrong(" ".join([kind, *map(str, rules)]))
    return wanted(field.value)


def _recipe(field: Field, directory: Path) -> Recipe:
    values = dict(field.fields().values)
    if isinstance(teacher := values.get("teacher"), str):
        values["teacher"] = str((directory / teacher).resolve())
    try:
        recipe = Recipe.from_json({"schema": RECIPE_SCHEMA, "version": RECIPE_VERSION, **values})
        recipe.check_given(values)
        return recipe
    except RecipeError as error:
        raise CompressionError(f"{field.where}: {str(error).removeprefix('recipe: ')}") from None
