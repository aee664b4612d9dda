"""An image with the files of one directory, for Kubernetes' image volumes.

Container runtimes mount ordinary tar layers, not those of a model artifact, so this is a second image beside it.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lykeion.core import Unavailable, writing
from lykeion.images.errors import ImageError
from lykeion.images.image_kinds import LABELS
from lykeion.images.layers.compression import Compression
from lykeion.images.layers.entries import source_entries
from lykeion.images.layers.image_layer import ImageLayer, pack
from lykeion.images.python.interpreter import MACHINES
from lykeion.images.spec import EXCLUDED
from lykeion.oci import Descriptor, ImageIndex, ImageManifest, Layout, Platform, media_types, with_ref


@dataclass(frozen=True)
class VolumeImage:
    ref: str
    descriptor: Descriptor
    layer: ImageLayer


def build_volume(
    directory: Path, output: Layout, ref: str, *, compression: Compression = "zstd", exclude: tuple[str, ...] = ()
) -> VolumeImage:
    """The directory's files at the image's root, under ``ref``: one layer, for every platform.

    Raises ImageError, Unavailable.
    """
    if not directory.is_dir():
        raise ImageError(f"{directory} is not a directory; give the directory of the volume's files")
    with writing(output.root, Unavailable, "free disk space"), output.lock_content():
        layer = pack(output, source_entries(directory, "", (*EXCLUDED, *exclude)), compression, "files")
        manifests: list[Descriptor] = []
        for architecture in sorted(MACHINES):
            platform = Platform("linux", architecture)
            config = output.put(json.dumps(_config(platform, layer)).encode(), media_types.CONFIG)
            manifest = ImageManifest(config, (layer.descriptor,))
            manifests.append(replace(output.put(manifest.to_bytes(), manifest.media_type), platform=platform))
        descriptor = output.put(ImageIndex(tuple(manifests)).to_bytes(), media_types.INDEX)
        output.update(lambda entries: with_ref(entries, descriptor, ref))
    return VolumeImage(ref, descriptor, layer)


def _config(platform: Platform, layer: ImageLayer) -> dict[str, Any]:
    return {
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {"Labels": {f"{LABELS}kind": "volume"}},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
