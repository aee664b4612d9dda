"""Reading images from a layout: the manifest for a platform, and its configuration."""

import os
from pathlib import Path
from typing import Any

from lykeion.core import kept_directory, parse_json
from lykeion.oci import Descriptor, ImageIndex, ImageManifest, Layout, Platform, media_types, ref_of

from .errors import ImageError, NoSuchImage
from .layers.image_layer import ImageLayer

LIMIT_CONFIG_BYTES = 4 << 20
LIMIT_PLATFORMS = 256


def open_image_layout(directory: Path | None = None, *, create: bool = False) -> Layout:
    """The layout in ``directory``; by default, that of $LYKEION_IMAGES or this user's. Raises ContentError."""
    if directory is None and (named := os.environ.get("LYKEION_IMAGES")):
        directory = Path(named)
    if directory is None:
        return Layout.open(kept_directory("images/store"), create=True)
    return Layout.open(directory, create=create)


def find_image(layout: Layout, ref: str | None) -> Descriptor:
    """The image of ``ref``; without it, the only image in the layout. Raises NoSuchImage, ImageError.

    ``ref`` is NAME:TAG, by default with the tag latest, a digest, or NAME@DIGEST.
    """
    if ref:
        found = layout.resolve(ref.rpartition("@")[2]) or layout.resolve(f"{ref}:latest")
        if found is None:
            raise NoSuchImage(f"{layout.root} has no image {ref}; `lykeion images list` shows what there is")
        return found
    named = {entry.digest: entry for entry in layout.entries() if ref_of(entry) and not entry.artifact_type}
    if len(named) != 1:
        raise ImageError(f"{layout.root} has {len(named)} named images; name one of them")
    return next(iter(named.values()))


def manifests(layout: Layout, descriptor: Descriptor) -> list[tuple[Descriptor, ImageManifest]]:
    """The image itself, or one for each platform of an index. Raises ImageError, ContentError."""
    document = layout.manifest(descriptor)
    if isinstance(document, ImageManifest):
        return [(descriptor, document)]
    found: list[tuple[Descriptor, ImageManifest]] = []
    for entry in platform_entries(document):
        inner = layout.manifest(entry)
        if isinstance(inner, ImageIndex):
            raise ImageError(f"{descriptor.digest} is an index of indexes; name one that it lists")
        found.append((entry, inner))
    return found


def platform_entries(index: ImageIndex) -> tuple[Descriptor, ...]:
    """The entries of an index. Raises ImageError if there are too many."""
    if len(index.manifests) > LIMIT_PLATFORMS:
        raise ImageError(f"an index of {len(index.manifests):,} images; at most {LIMIT_PLATFORMS} are allowed")
    return index.manifests


def manifest_for(layout: Layout, descriptor: Descriptor, platform: Platform) -> tuple[Descriptor, ImageManifest]:
    """The manifest for the platform, preferably for its exact variant. Raises ImageError, ContentError."""
    found = [
        (entry.platform == platform, entry, manifest)
        for entry, manifest in manifests(layout, descriptor)
        if _matches(entry.platform or config_platform(layout, manifest), platform)
    ]
    if not found:
        raise ImageError(f"{descriptor.digest} is not for {platform}; build it, or name an image, for that platform")
    _, entry, manifest = max(found, key=lambda candidate: candidate[0])
    return entry, manifest


def config_platform(layout: Layout, manifest: ImageManifest) -> Platform:
    config = read_config(layout, manifest)
    return Platform(str(config.get("os")), str(config.get("architecture")), str(config.get("variant") or ""))


def image_layers(layout: Layout, manifest: ImageManifest) -> tuple[ImageLayer, ...]:
    """The layers with the expected digests of their tars. Raises ImageError, ContentError."""
    diff_ids = read_config(layout, manifest)["rootfs"].get("diff_ids") or []
    if len(diff_ids) != len(manifest.layers):
        raise ImageError(f"the configuration names {len(diff_ids)} layers, the manifest {len(manifest.layers)}")
    return tuple(ImageLayer(blob, diff_id, "base") for blob, diff_id in zip(manifest.layers, diff_ids, strict=True))


def read_config(layout: Layout, manifest: ImageManifest) -> dict[str, Any]:
    """An image's configuration, with ``config`` present and the types of image-spec checked.

    Raises ImageError if the manifest is not an image's or the configuration is invalid.
    """
    if manifest.config.media_type not in (media_types.CONFIG, media_types.DOCKER_CONFIG):
        kind = manifest.artifact_type or manifest.config.media_type
        raise ImageError(f"an artifact of type {kind} is not an image")
    where, data = f"{manifest.config.digest}: ", layout.read(manifest.config, limit=LIMIT_CONFIG_BYTES)
    value = parse_json(data, ImageError, "image's configuration", where=where, limit=LIMIT_CONFIG_BYTES)
    settings = value["config"] = value.get("config") or {}
    rootfs = value["rootfs"] = value.get("rootfs") or {}
    if not isinstance(settings, dict) or not isinstance(rootfs, dict):
        raise ImageError(
            f"{manifest.config.digest} is not an image's configuration: config or rootfs has the wrong type"
        )
    for holder, name, fits in (
        *((settings, name, _is_texts) for name in ("Entrypoint", "Cmd", "Env")),
        *((settings, name, _is_text) for name in ("User", "WorkingDir")),
        (settings, "StopSignal", _is_text),
        (settings, "Shell", _is_texts),
        *((settings, name, _is_object) for name in ("ExposedPorts", "Volumes", "Healthcheck")),
        (settings, "Labels", _is_text_by_name),
        (rootfs, "diff_ids", _is_texts),
    ):
        if holder.get(name) is not None and not fits(holder[name]):
            raise ImageError(f"{manifest.config.digest} is not an image's configuration: {name} has the wrong type")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _matches(offered: Platform, wanted: Platform) -> bool:
    return (offered.os, offered.architecture) == (wanted.os, wanted.architecture)
