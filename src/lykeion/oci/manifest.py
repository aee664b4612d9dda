"""Manifests and indexes, as data and as the bytes whose digest names them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lykeion.core import digest_bytes, parse_json

from . import media_types
from .descriptor import Descriptor
from .errors import ContentError

LIMIT_BYTES = 4 << 20
"""Maximum size of a manifest, which is also the usual limit of registries."""

EMPTY_BLOB = b"{}"
EMPTY = Descriptor(media_types.EMPTY, digest_bytes(EMPTY_BLOB), len(EMPTY_BLOB))
"""The config of an artifact without one."""


@dataclass(frozen=True)
class ImageManifest:
    """An image, or with ``artifact_type`` any other artifact. ``subject`` makes it a referrer of that manifest."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    media_type: str = media_types.MANIFEST

    def to_bytes(self) -> bytes:
        """The same manifest always gives the same bytes; the bytes that a manifest was read from may differ."""
        value: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        value["config"] = self.config.to_json()
        value["layers"] = [layer.to_json() for layer in self.layers]
        return _encode(value, self.subject, self.annotations)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return (self.config, *self.layers)


@dataclass(frozen=True)
class ImageIndex:
    """Several manifests under one digest, such as one image for each platform."""

    manifests: tuple[Descriptor, ...]
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    media_type: str = media_types.INDEX

    def to_bytes(self) -> bytes:
        """The same index always gives the same bytes."""
        value: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        value["manifests"] = [manifest.to_json() for manifest in self.manifests]
        return _encode(value, self.subject, self.annotations)


def read_manifest(data: bytes) -> ImageManifest | ImageIndex:
    """Raises ContentError for anything but an OCI or Docker manifest or index."""
    value = parse_json(data, ContentError, "manifest", limit=LIMIT_BYTES)
    if "manifests" in value:
        return _index(value)
    media_type, artifact_type, subject, annotations = _shared(value, media_types.MANIFESTS)
    config = Descriptor.from_json(value.get("config"))
    return ImageManifest(config, _descriptors(value, "layers"), artifact_type, subject, annotations, media_type)


def read_index(data: bytes, *, limit: int = LIMIT_BYTES) -> ImageIndex:
    """Raises ContentError for anything but an index."""
    return _index(parse_json(data, ContentError, "index", limit=limit))


def _index(value: dict[str, Any]) -> ImageIndex:
    media_type, artifact_type, subject, annotations = _shared(value, media_types.INDEXES)
    return ImageIndex(_descriptors(value, "manifests"), artifact_type, subject, annotations, media_type)


def _shared(value: dict[str, Any], media_types: frozenset[str]) -> tuple[str, str, Descriptor | None, dict[str, str]]:
    """Media type, artifact type, subject and annotations."""
    media_type = value.get("mediaType") or next(
        name for name in media_types if name.startswith("application/vnd.oci")
    )
    artifact_type: Any = value.get("artifactType") or ""
    annotations: Any = value.get("annotations") or {}
    if value.get("schemaVersion") != 2 or media_type not in media_types:
        raise ContentError(f"{str(media_type)[:100]!r}, schemaVersion {value.get('schemaVersion')}: no OCI manifest")
    if not isinstance(artifact_type, str) or not isinstance(annotations, dict):
        raise ContentError("not an OCI manifest: artifactType or annotations have the wrong type")
    subject = Descriptor.from_json(value["subject"]) if value.get("subject") else None
    return media_type, artifact_type, subject, {str(name): str(text) for name, text in annotations.items()}  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]


def _descriptors(value: dict[str, Any], name: str) -> tuple[Descriptor, ...]:
    items: Any = value.get(name) or []
    if not isinstance(items, list):
        raise ContentError(f"not an OCI manifest: {name!r} is not a list")
    return tuple(map(Descriptor.from_json, cast(list[Any], items)))


def _encode(value: dict[str, Any], subject: Descriptor | None, annotations: Mapping[str, str]) -> bytes:
    if subject:
        value["subject"] = subject.to_json()
    if annotations:
        value["annotations"] = dict(sorted(annotations.items()))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
