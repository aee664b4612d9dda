"""The config of a model artifact: CNCF ModelPack, ``application/vnd.cncf.model.config.v1+json``.

https://github.com/modelpack/model-spec, schema/config-schema.json. It allows no other keys, so metrics and
lineage are in a separate layer (``facts``).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, cast

from lykeion.core import parse_json
from lykeion.oci.distribution import is_digest
from lykeion.registry.errors import InvalidModel

ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
FILE_PATH = "org.cncf.model.filepath"
"""The annotation of a layer with the path of its file."""

MAX_CONFIG_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The fields that the specification defines; empty ones are omitted. ``parameters`` is their number.

    ``files`` are the digests of the uncompressed layers, in order.
    """

    name: str
    files: tuple[str, ...]
    family: str = ""
    title: str = ""
    description: str = ""
    authors: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    source_url: str = ""
    revision: str = ""
    architecture: str = ""
    format: str = ""
    parameters: int = 0
    precision: str = ""
    input_types: tuple[str, ...] = ()
    output_types: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Canonical: equal configs have equal bytes. Raises InvalidModel if it does not match the schema."""
        descriptor = {
            "name": self.name,
            "family": self.family,
            "title": self.title,
            "description": self.description,
            "authors": list(self.authors),
            "licenses": list(self.licences),
            "sourceURL": self.source_url,
            "revision": self.revision,
        }
        capabilities = {"inputTypes": list(self.input_types), "outputTypes": list(self.output_types)}
        config = {
            "architecture": self.architecture,
            "format": self.format,
            "paramSize": _param_size(self.parameters),
            "precision": self.precision,
            "capabilities": _filled(capabilities),
        }
        value = {
            "descriptor": _filled(descriptor),
            "config": _filled(config),
            "modelfs": {"type": "layers", "diffIds": list(self.files)},
        }
        check(value)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_config(data: bytes) -> Mapping[str, Any]:
    """The config as JSON, checked against the schema. Raises InvalidModel."""
    value = parse_json(data, InvalidModel, "model config", limit=MAX_CONFIG_BYTES)
    check(value)
    return value


# --- the schema, as data ---


@dataclass(frozen=True, slots=True)
class Text:
    choices: tuple[str, ...] = ()
    pattern: str = ""
    least: int = 0


@dataclass(frozen=True, slots=True)
class Time:
    """A date and time as RFC 3339 writes it."""


@dataclass(frozen=True, slots=True)
class Flag:
    pass


@dataclass(frozen=True, slots=True)
class Each:
    rule: "Rule"
    least: int = 0


@dataclass(frozen=True, slots=True)
class Object:
    fields: Mapping[str, "Rule"]
    required: tuple[str, ...] = field(default=())


Rule: TypeAlias = Text | Time | Flag | Each | Object

_MODALITIES = Each(Text(choices=("text", "image", "audio", "video", "embedding", "other")))
_TEXTS = Each(Text())
SCHEMA = Object(
    {
        "descriptor": Object(
            {
                "createdAt": Time(),
                "authors": _TEXTS,
                "family": Text(),
                "name": Text(least=1),
                "docURL": Text(),
                "sourceURL": Text(),
                "datasetsURL": _TEXTS,
                "version": Text(),
                "revision": Text(),
                "vendor": Text(),
                "licenses": _TEXTS,
                "title": Text(),
                "description": Text(),
            }
        ),
        "config": Object(
            {
                "architecture": Text(),
                "format": Text(),
                "paramSize": Text(),
                "precision": Text(),
                "quantization": Text(),
                "capabilities": Object(
                    {
                        "inputTypes": _MODALITIES,
                        "outputTypes": _MODALITIES,
                        "knowledgeCutoff": Time(),
                        "reasoning": Flag(),
                        "toolUsage": Flag(),
                        "reward": Flag(),
                        "languages": Each(Text(pattern="[a-z]{2}")),
                    }
                ),
            }
        ),
        "modelfs": Object(
            {"type": Text(choices=("layers",)), "diffIds": Each(Text(), least=1)}, required=("type", "diffIds")
        ),
    },
    required=("descriptor", "config", "modelfs"),
)

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def check(value: Any) -> None:
    """Raises InvalidModel, naming the first field that does not match the schema."""
    _check(value, SCHEMA, "")
    for digest in value["modelfs"]["diffIds"]:
        if not is_digest(digest):
            raise InvalidModel(f"model config: modelfs.diffIds holds {digest[:80]!r}, which is not a sha256 digest")


def _check(value: Any, rule: Rule, where: str) -> None:
    match rule:
        case Object():
            if not isinstance(value, dict):
                raise _wrong(where or "the whole", value, "an object")
            fields = cast(dict[str, Any], value)
            if missing := [name for name in rule.required if name not in fields]:
                raise InvalidModel(f"model config: {_join(where, missing[0])} is missing")
            for name, part in fields.items():
                if name not in rule.fields:
                    raise InvalidModel(f"model config: {_join(where, name)[:120]} is not in the ModelPack schema")
                _check(part, rule.fields[name], _join(where, name))
        case Each():
            if not isinstance(value, list) or len(cast(list[Any], value)) < rule.least:
                raise _wrong(where, value, f"a list of at least {rule.least}" if rule.least else "a list")
            for place, part in enumerate(cast(list[Any], value)):
                _check(part, rule.rule, f"{where}[{place}]")
        case Text():
            good = isinstance(value, str) and len(value) >= rule.least
            good = good and (not rule.choices or value in rule.choices)
            if not good or (rule.pattern and not re.fullmatch(rule.pattern, value)):
                raise _wrong(where, value, " or ".join(rule.choices) or rule.pattern or "text")
        case Time():
            if not isinstance(value, str) or not _is_time(value):
                raise _wrong(where, value, "a time as in 2026-01-31T12:00:00Z")
        case Flag():
            if not isinstance(value, bool):
                raise _wrong(where, value, "true or false")


def _is_time(text: str) -> bool:
    if not _RFC3339.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper().replace(" ", "T"))
    except ValueError:
        return False
    return True


def _wrong(where: str, value: Any, expected: str) -> InvalidModel:
    return InvalidModel(f"model config: {where} is {str(value)[:60]!r}; expected {expected}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _param_size(parameters: int) -> str:
    """``4.4m``: at most one digit after the point, and a letter for the scale; exact below a thousand."""
    scales: Iterable[tuple[float, str]] = ((1e15, "q"), (1e12, "t"), (1e9, "b"), (1e6, "m"), (1e3, "k"))
    for scale, letter in scales:
        if parameters >= scale:
            return f"{parameters / scale:.1f}{letter}"
    return f"{parameters / 1e3:.1f}k" if parameters >= 50 else ""
