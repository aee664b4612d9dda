"""Contents of a layout as plain data."""

from typing import Any

from lykeion.core import json_value
from lykeion.oci import Descriptor, ImageManifest, Layout, ref_of

from .building.referrers import BILL, PROVENANCE
from .errors import ImageError
from .image import config_platform, manifests, read_config

LIMIT_DOCUMENT_BYTES = 64 << 20
ATTACHED = {"bill": BILL, "provenance": PROVENANCE}


def image_list(layout: Layout) -> list[dict[str, Any]]:
    """Named images, by name. Other artifacts are skipped."""
    found: list[dict[str, Any]] = []
    for entry in sorted(layout.entries(), key=lambda entry: ref_of(entry) or ""):
        if not ref_of(entry) or entry.artifact_type:
            continue
        parts = [manifest for _, manifest in manifests(layout, entry)]
        blobs = {blob.digest: blob.size for manifest in parts for blob in manifest.blobs}
        found.append(
            {
                "ref": ref_of(entry),
                "digest": entry.digest,
                "platforms": [str(config_platform(layout, manifest)) for manifest in parts],
                "size_bytes": sum(blobs.values()),
            }
        )
    return found


def describe_image(layout: Layout, image: Descriptor) -> dict[str, Any]:
    """Digest, and for each platform configuration, layers and attached documents."""
    parts = [_part(layout, descriptor, manifest) for descriptor, manifest in manifests(layout, image)]
    return {"digest": image.digest, "platforms": parts}


def read_attached(layout: Layout, image: Descriptor, kind: str) -> Any:
    """The ``bill`` or ``provenance`` of an image, that of its first platform. Raises ImageError."""
    descriptor, _ = manifests(layout, image)[0]
    for referrer in layout.referrers(descriptor.digest, ATTACHED[kind]):
        manifest = layout.manifest(referrer)
        if isinstance(manifest, ImageManifest) and len(manifest.layers) == 1:
            return json_value(layout.read(manifest.layers[0]), ImageError, kind, limit=LIMIT_DOCUMENT_BYTES)
    raise ImageError(f"{image.digest} has no {kind} attached")


def _part(layout: Layout, descriptor: Descriptor, manifest: ImageManifest) -> dict[str, Any]:
    config = read_config(layout, manifest)
    titles = _titles(config.get("history"), len(manifest.layers))
    return {
        "platform": str(config_platform(layout, manifest)),
        "digest": descriptor.digest,
        "config": config["config"],
        "layers": [
            {"title": title, "digest": layer.digest, "size_bytes": layer.size, "media_type": layer.media_type}
            for title, layer in zip(titles, manifest.layers, strict=True)
        ],
        "attached": [
            {"type": referrer.artifact_type, "digest": referrer.digest}
            for referrer in layout.referrers(descriptor.digest)
        ],
    }


def _titles(history: Any, count: int) -> list[str]:
    """The history's text for each layer; empty if the number of layers differs."""
    items = [item for item in history if isinstance(item, dict)] if isinstance(history, list) else []
    titles = [
        str(item.get("comment") or item.get("created_by") or "") for item in items if not item.get("empty_layer")
    ]
    return titles if len(titles) == count else [""] * count
