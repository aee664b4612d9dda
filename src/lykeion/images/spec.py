"""The description of an image, ``image.yaml``, with the defaults of its kind.

Paths are relative to the file. docs/images.md lists the fields.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import cast

from lykeion.core import read_yaml
from lykeion.core.fields import Field, Fields, SpecError
from lykeion.oci import ContentError, Platform

from .image_kinds import KINDS, Kind
from .layers.compression import Compression
from .python.interpreter import MACHINES

SCHEMA = 1
EXCLUDED = ("__pycache__", "*.pyc", ".git", ".DS_Store")

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*")
_USER = re.compile(r"[0-9]{1,10}(?::[0-9]{1,10})?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class BaseSpec:
    """One of ``layout`` (with ``ref``), ``registry`` and ``rootfs`` is given.

    ``{architecture}`` in ``rootfs`` is replaced by the platform's, such as amd64.
    """

    layout: Path | None = None
    ref: str | None = None
    registry: str | None = None
    rootfs: Path | None = None


@dataclass(frozen=True)
class PythonSpec:
    """``wheels`` are directories; ``index`` lets pip download missing wheels."""

    requirements: Path
    wheels: tuple[Path, ...] = ()
    index: bool = True


@dataclass(frozen=True)
class Source:
    """``to`` is absolute in the image."""

    origin: Path
    to: str
    exclude: tuple[str, ...] = EXCLUDED


@dataclass(frozen=True)
class ImageSpec:
    """Fields that are None or empty have the kind's value."""

    name: str
    kind: Kind
    base: BaseSpec
    platforms: tuple[Platform, ...] = (Platform("linux", "amd64"),)
    python: PythonSpec | None = None
    sources: tuple[Source, ...] = ()
    model: Path | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: tuple[int, ...] | None = None
    probes: Mapping[str, str] | None = None
    read_only_root: bool = True
    compression: Compression = "zstd"

    @property
    def resolved(self) -> "ImageSpec":
        """With the kind's values for missing fields."""
        preset = KINDS[self.kind]
        own_program = bool(self.entrypoint)
        return replace(
            self,
            entrypoint=self.entrypoint or preset.entrypoint,
            command=self.command if own_program else self.command or preset.command,
            user=self.user or preset.user,
            workdir=self.workdir or preset.workdir,
            environment={**preset.environment, **self.environment},
            ports=preset.ports if self.ports is None else self.ports,
            probes=preset.probes if self.probes is None else self.probes,
        )


def read_spec(path: Path) -> ImageSpec:
    """Raises SpecError with the file, the field, and the expected value."""
    fields = read_yaml(path)
    fields.only(
        *("schema", "name", "kind", "base", "platforms", "python", "sources", "model", "entrypoint", "command"),
        *("user", "workdir", "environment", "labels", "ports", "probes", "read_only_root", "compression"),
    )
    schema = fields.required("schema", lambda found: found.number(1, 1_000))
    if schema != SCHEMA:
        raise SpecError(f"{path}: unknown schema {schema}; this version reads schema {SCHEMA}")
    here = path.parent
    return ImageSpec(
        name=fields.required("name", _name),
        kind=cast(Kind, fields.required("kind", lambda found: found.one_of(list(KINDS)))),
        base=_base(fields.required("base", Field.fields), here),
        platforms=fields.optional("platforms", _platforms, ImageSpec.platforms),
        python=_python(fields.required("python", Field.fields), here) if "python" in fields else None,
        sources=tuple(
            _source(item.fields(), here) for item in fields.optional("sources", Field.items, list[Field]())
        ),
        model=fields.optional("model", lambda found: here / found.text(), None),
        entrypoint=fields.optional("entrypoint", Field.texts, ()),
        command=fields.optional("command", Field.texts, ()),
        user=fields.optional("user", _user, ""),
        workdir=fields.optional("workdir", absolute, ""),
        environment=fields.optional("environment", _environment, dict[str, str]()),
        labels=fields.optional("labels", Field.text_by_name, dict[str, str]()),
        ports=fields.optional("ports", _ports, None),
        probes=fields.optional("probes", _probes, None),
        read_only_root=fields.optional("read_only_root", Field.truth, True),
        compression=cast(Compression, fields.optional("compression", lambda it: it.one_of(["zstd", "none"]), "zstd")),
    )


def _name(found: Field) -> str:
    if not _NAME.fullmatch(found.text()):
        raise found.wrong("a name of lower-case letters, digits and ._-/, such as shop-search")
    return found.text()


def _base(fields: Fields, here: Path) -> BaseSpec:
    fields.only("layout", "ref", "registry", "rootfs")
    given = [name for name in ("layout", "registry", "rootfs") if name in fields]
    if len(given) != 1:
        raise SpecError(f"{fields.where} must have one of layout, registry, rootfs; it has {len(given)}")
    registry = fields.optional("registry", Field.text, None)
    if registry is not None and not re.fullmatch(r".+@sha256:[0-9a-f]{64}", registry):
        raise SpecError(f"{fields.where}: registry must end in @sha256:…; a tag may move to another base")
    return BaseSpec(
        layout=fields.optional("layout", lambda found: here / found.text(), None),
        ref=fields.optional("ref", Field.text, None),
        registry=registry,
        rootfs=fields.optional("rootfs", lambda found: here / found.text(), None),
    )


def _platforms(found: Field) -> tuple[Platform, ...]:
    platforms: list[Platform] = []
    for item in found.items():
        try:
            platform = Platform.parse(item.text())
        except ContentError:
            platform = None
        if platform is None or platform.os != "linux" or platform.architecture not in MACHINES or platform.variant:
            raise item.wrong(" or ".join(f"linux/{architecture}" for architecture in MACHINES))
        platforms.append(platform)
    if not platforms or len(set(platforms)) != len(platforms):
        raise found.wrong("a list of platforms, each once")
    return tuple(sorted(platforms, key=str))


def _python(fields: Fields, here: Path) -> PythonSpec:
    fields.only("requirements", "wheels", "index")
    return PythonSpec(
        requirements=fields.required("requirements", lambda found: here / found.text()),
        wheels=tuple(here / name for name in fields.optional("wheels", Field.texts, ())),
        index=fields.optional("index", Field.truth, True),
    )


def _source(fields: Fields, here: Path) -> Source:
    fields.only("from", "to", "exclude")
    origin = fields.required("from", lambda found: here / found.text())
    if not origin.exists():
        raise SpecError(f"{fields.where}: from: {origin} does not exist")
    exclude = fields.optional("exclude", Field.texts, ())
    return Source(origin, fields.required("to", absolute), (*EXCLUDED, *exclude))


def absolute(found: Field) -> str:
    path = PurePosixPath(found.text())
    if not path.is_absolute() or ".." in path.parts or str(path) == "/":
        raise found.wrong("an absolute path in the image, such as /srv/app")
    return str(path)


def _user(found: Field) -> str:
    text = str(found.value) if type(found.value) is int else found.text()
    if not _USER.fullmatch(text):
        raise found.wrong("a numeric UID or UID:GID, such as 65532:65532")
    return text if ":" in text else f"{text}:{text}"


def _environment(found: Field) -> dict[str, str]:
    fields = found.fields()
    for name in fields.values:
        if not _VARIABLE.fullmatch(name):
            raise SpecError(f"{found.where}: {name[:60]!r} is not a variable name")
    return {
        name: fields.required(name, lambda item: "" if item.value == "" else item.text()) for name in fields.values
    }


def _ports(found: Field) -> tuple[int, ...]:
    return tuple(sorted(item.number(1, 65535) for item in found.items()))


def _probes(found: Field) -> dict[str, str]:
    fields = found.fields()
    fields.only("live", "ready")
    return {name: fields.required(name, absolute) for name in sorted(fields.values)}
