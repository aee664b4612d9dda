"""What is known about a model version besides its files: metrics and lineage.

One JSON document in a separate layer, the file ``lykeion.json`` in a pulled directory. The metrics are repeated as
annotations of the manifest, so that listing needs only manifests; ``agree`` compares both.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from lykeion.core import json_value
from lykeion.oci.distribution import InvalidReference, is_digest
from lykeion.registry.errors import InvalidModel
from lykeion.registry.model_names import parse

FACTS = "application/vnd.lykeion.model.facts.v1+json"
FILE = "lykeion.json"
ANNOTATION = "io.github.lykeion."
METRIC = ANNOTATION + "metric."

MAX_BYTES = 2**20
MAX_METRICS = 256
MAX_TEXT = 1_024
MAX_PARENTS = 64

Figure: TypeAlias = float | int | bool | str
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Lineage:
    """``run`` names the training run; ``data`` is the digest of its data's manifest; ``code`` the revision of the
    code; ``image`` the digest of the image that it ran in; ``parents`` the models that it was derived from, each by
    digest."""

    run: str = ""
    data: str = ""
    code: str = ""
    image: str = ""
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("run", "code"):
            if len(getattr(self, name)) > MAX_TEXT:
                raise InvalidModel(f"lineage: {name} has more than {MAX_TEXT:,} characters")
        for name in ("data", "image"):
            if getattr(self, name) and not is_digest(getattr(self, name)):
                raise InvalidModel(f"lineage: {name} is {getattr(self, name)[:80]!r}; expected sha256:…")
        if len(self.parents) > MAX_PARENTS:
            raise InvalidModel(f"lineage: {len(self.parents)} parents; at most {MAX_PARENTS} are allowed")
        for parent in self.parents:
            try:
                digest = parse(parent).digest
            except InvalidReference as error:
                raise InvalidModel(f"lineage: parent {error}") from None
            if digest is None:
                raise InvalidModel(f"lineage: parent {parent!r} has no digest; write it like shoes@sha256:…")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Every value is validated on creation; an invalid one raises InvalidModel."""

    metrics: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))
    lineage: Lineage = Lineage()

    def __post_init__(self) -> None:
        if len(self.metrics) > MAX_METRICS:
            raise InvalidModel(f"{len(self.metrics)} metrics; at most {MAX_METRICS} are allowed")
        for name, value in self.metrics.items():
            if len(name) > 64 or not _NAME.fullmatch(name):
                raise InvalidModel(f"metric {name[:80]!r}: use lower-case letters, digits, _ and .")
            if isinstance(value, float) and not math.isfinite(value):
                raise InvalidModel(f"metric {name}: {value} is not a finite number")
            if isinstance(value, str) and len(value) > MAX_TEXT:
                raise InvalidModel(f"metric {name}: more than {MAX_TEXT:,} characters")

    def __bool__(self) -> bool:
        return bool(self.metrics) or self.lineage != Lineage()

    def to_json(self) -> bytes:
        """Canonical: equal facts have equal bytes."""
        lineage: dict[str, Any] = {
            name: getattr(self.lineage, name)
            for name in ("run", "data", "code", "image")
            if getattr(self.lineage, name)
        }
        if self.lineage.parents:
            lineage["parents"] = list(self.lineage.parents)
        value = {"schema": 1, "metrics": dict(self.metrics), "lineage": lineage}
        return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()

    def annotations(self) -> dict[str, str]:
        """The metrics as a manifest repeats them: JSON values under ``io.github.lykeion.metric.``"""
        return {METRIC + name: json.dumps(value, ensure_ascii=False) for name, value in self.metrics.items()}

    def agree(self, annotations: Mapping[str, str]) -> bool:
        """Whether a manifest's annotations have exactly these metrics."""
        return metrics_of(annotations) == dict(self.metrics)


def metrics_of(annotations: Mapping[str, str]) -> dict[str, Figure]:
    """The metrics in a manifest's annotations. Raises InvalidModel as ModelFacts does."""
    found: dict[str, Figure] = {}
    for key, text in annotations.items():
        if not key.startswith(METRIC):
            continue
        value = json_value(text, InvalidModel, "metric", where=f"annotation {key}: ", limit=MAX_BYTES)
        if not isinstance(value, float | int | bool | str):
            raise InvalidModel(f"annotation {key}: not a number, string or boolean")
        found[key.removeprefix(METRIC)] = value
    return dict(ModelFacts(found).metrics)


def read_facts(data: bytes) -> ModelFacts:
    """Raises InvalidModel, naming the field."""
    value = json_value(data, InvalidModel, "model's facts", where=f"{FILE}: ", limit=MAX_BYTES)
    fields = _object(value, "", {"schema", "metrics", "lineage"})
    if fields.get("schema") != 1:
        raise InvalidModel(f"{FILE}: schema {str(fields.get('schema'))[:20]!r}; this release reads 1")
    metrics = _object(fields.get("metrics", {}), "metrics", None)
    for name, figure in metrics.items():
        if not isinstance(figure, float | int | bool | str):
            raise InvalidModel(f"{FILE}: metric {name[:64]} is not a number, string or boolean")
    lineage = _object(fields.get("lineage", {}), "lineage", {"run", "data", "code", "image", "parents"})
    parents: Any = lineage.pop("parents", [])
    texts = [*lineage.values(), *cast(list[Any], parents)] if isinstance(parents, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidModel(f"{FILE}: lineage must hold strings, and parents a list of strings")
    return ModelFacts(metrics, Lineage(**lineage, parents=tuple(cast(list[str], parents))))


def _object(value: Any, name: str, known: set[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidModel(f"{FILE}: {name or 'the whole'} is not a JSON object")
    fields = cast(dict[str, Any], value)
    if known is not None and (unknown := sorted(fields.keys() - known)):
        raise InvalidModel(f"{FILE}: unknown field {unknown[0][:60]!r} (written by a newer release?)")
    return dict(fields)
