"""Images, assembled from layers: base, wheels, model, source. No daemon, no root, no commands run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lykeion.core import CONSOLE, Reporter, Unavailable, writing
from lykeion.images.errors import ImageError
from lykeion.images.image_kinds import LABELS, MODEL_PATH
from lykeion.images.layers.entries import TarEntry, directory_entry, source_entries, with_directories
from lykeion.images.layers.image_layer import ImageLayer, pack
from lykeion.images.layers.layer_files import resolve
from lykeion.images.python.environment import ROOT
from lykeion.images.spec import ImageSpec
from lykeion.oci import Descriptor, ImageIndex, ImageManifest, Layout, Platform, media_types, with_ref

from .base import Base, load_base
from .build_cache import BuildCache
from .model_layer import model_entries, model_environment
from .platform_image import PlatformImage
from .python_layers import PythonLayers, python_layers
from .referrers import attach

EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class BuiltImage:
    """``descriptor`` is that of the manifest, or of an index of several."""

    ref: str
    descriptor: Descriptor
    parts: tuple[PlatformImage, ...]


def build(
    spec: ImageSpec,
    output: Layout,
    *,
    ref: str = "",
    cache: BuildCache | None = None,
    reporter: Reporter = CONSOLE,
) -> BuiltImage:
    """Build an image into ``output`` under ``ref`` (default NAME:latest), with bill of materials and provenance.

    The same inputs give the same digest. The output's index is updated last.
    Raises ImageError, ContentError, Unsupported, Unavailable, and StoreError or Refused for a base in a registry.
    """
    spec, cache, ref = spec.resolved, cache or BuildCache(), ref or f"{spec.name}:latest"
    room = writing(output.root, Unavailable, f"free disk space, also for the cache in {cache.directory}")
    with room, output.lock_content(), cache.in_use():
        parts = tuple(_part(spec, platform, output, cache, reporter) for platform in spec.platforms)
        descriptor = parts[0].manifest
        if len(parts) > 1:
            index = ImageIndex(tuple(replace(part.manifest, platform=part.platform) for part in parts))
            descriptor = output.put(index.to_bytes(), media_types.INDEX)
        output.update(lambda entries: with_ref(entries, descriptor, ref))
        for part in parts:
            attach(output, spec, part)
    return BuiltImage(ref, descriptor, parts)


def _part(
    spec: ImageSpec, platform: Platform, output: Layout, cache: BuildCache, reporter: Reporter
) -> PlatformImage:
    base = load_base(spec.base, platform, spec.compression, cache, reporter)
    python = PythonLayers((), ())
    if spec.python:
        python = python_layers(spec.python, base, spec.compression, cache, reporter)
    own = tuple(
        pack(output, entries, spec.compression, title)
        for title, entries in (("model", _model(spec, base)), ("source", _sources(spec, base)))
        if entries
    )
    for holder, layers in ((base.layout, base.layers), (cache.layout, python.layers)):
        for layer in layers:
            output.take(holder, layer.descriptor)
    layers = (*base.layers, *python.layers, *own)
    config = output.put(_encode(image_config(spec, platform, base, layers)), media_types.CONFIG)
    manifest = ImageManifest(
        config, tuple(layer.descriptor for layer in layers), annotations=_annotations(spec, base)
    )
    return PlatformImage(platform, base, python, own, output.put(manifest.to_bytes(), media_types.MANIFEST))


def image_config(spec: ImageSpec, platform: Platform, base: Base, layers: tuple[ImageLayer, ...]) -> dict[str, Any]:
    """The image's configuration (image-spec, config.md)."""
    environment = {**base.environment}
    if spec.python:
        environment["PATH"] = f"/{ROOT}/bin:{environment['PATH']}"
    if spec.model:
        environment |= model_environment(spec.model)
    environment |= spec.environment
    settings: dict[str, Any] = {
        **base.settings,
        "User": spec.user,
        "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
        "Entrypoint": list(spec.entrypoint),
        "Cmd": list(spec.command),
        "WorkingDir": spec.workdir,
        "Labels": dict(sorted({**base.labels, **_labels(spec), **spec.labels}.items())),
    }
    if spec.ports:
        settings["ExposedPorts"] = {f"{port}/tcp": {} for port in spec.ports}
    return {
        "created": EPOCH,
        "architecture": platform.architecture,
        "os": platform.os,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": EPOCH, "created_by": "lykeion images build", "comment": it.title} for it in layers],
    }


def _labels(spec: ImageSpec) -> dict[str, str]:
    labels = {
        "org.opencontainers.image.title": spec.name,
        f"{LABELS}kind": spec.kind,
        f"{LABELS}read-only-root": str(spec.read_only_root).lower(),
    }
    return labels | {f"{LABELS}probe.{name}": path for name, path in (spec.probes or {}).items()}


def _annotations(spec: ImageSpec, base: Base) -> dict[str, str]:
    annotations = {"org.opencontainers.image.base.digest": base.digest}
    if spec.base.registry:  # the path of a layout or directory belongs to this machine, not to the image
        annotations["org.opencontainers.image.base.name"] = spec.base.registry
    return annotations


def _model(spec: ImageSpec, base: Base) -> list[TarEntry]:
    if spec.model is None:
        return []
    return with_directories(model_entries(spec.model, MODEL_PATH), "", base.facts.directories)


def _sources(spec: ImageSpec, base: Base) -> list[TarEntry]:
    """Source files at their paths, following the base's links, and the working directory."""
    links = base.facts.links
    found: dict[str, TarEntry] = {}
    for source in spec.sources:
        for entry in source_entries(source.origin, resolve(source.to, links), source.exclude):
            other = found.get(entry.path)
            if other and (entry.kind, other.kind) != ("directory", "directory"):
                raise ImageError(f"two sources have /{entry.path}; change `to` or `exclude` of one")
            if entry.kind != "directory" or entry.path not in base.facts.directories:
                found[entry.path] = entry
    workdir = resolve(spec.workdir, links)
    if workdir not in base.facts.directories:
        found.setdefault(workdir, directory_entry(workdir))
    return with_directories(list(found.values()), "", base.facts.directories)


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
