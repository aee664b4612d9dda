"""The base of an image: in an OCI layout, in a registry, or a root file system."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lykeion.core import Reporter
from lykeion.images.errors import BaseError
from lykeion.images.image import find_image, image_layers, manifest_for, read_config
from lykeion.images.layers.compression import Compression
from lykeion.images.layers.entries import rootfs_entries
from lykeion.images.layers.image_layer import ImageLayer, pack
from lykeion.images.layers.layer_files import Files
from lykeion.images.python.interpreter import Interpreter, find_interpreter
from lykeion.images.registries import image_reference, pull_image
from lykeion.images.spec import BaseSpec
from lykeion.oci import Descriptor, Layout, Platform, media_types

from .build_cache import BuildCache
from .packages import DEBIAN_STATUS, Package, debian_packages

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT_STATUS_BYTES = 64 << 20
KEPT_SETTINGS = ("Healthcheck", "Shell", "StopSignal", "Volumes")


@dataclass(frozen=True)
class BaseFacts:
    """Facts about a base's files that builds need."""

    interpreter: Interpreter | None
    packages: tuple[Package, ...]
    links: Mapping[str, str]
    directories: frozenset[str]


@dataclass(frozen=True)
class Base:
    """``layout`` has the layers' blobs; ``name`` and ``digest`` identify the base in the provenance."""

    layout: Layout
    layers: tuple[ImageLayer, ...]
    facts: BaseFacts
    name: str
    digest: str
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": SEARCH_PATH})
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Other settings of its configuration that the image inherits."""


def load_base(
    spec: BaseSpec, platform: Platform, compression: Compression, cache: BuildCache, reporter: Reporter
) -> Base:
    """The base for one platform. Raises ImageError, ContentError, Unsupported, StoreError, Refused."""
    if spec.rootfs is not None:
        root = Path(str(spec.rootfs).replace("{architecture}", platform.architecture))
        return _from_rootfs(root, platform, compression, cache)
    if spec.layout is not None:
        layout = Layout.open(spec.layout)
        return _from_layout(layout, find_image(layout, spec.ref), platform, cache, spec.ref or spec.layout.name)
    name = spec.registry or ""
    image = pull_image(image_reference(name), cache.layout, platforms=[platform], attached=False, reporter=reporter)
    return _from_layout(cache.layout, image, platform, cache, name)


def _from_rootfs(root: Path, platform: Platform, compression: Compression, cache: BuildCache) -> Base:
    if not root.is_dir():
        raise BaseError(f"{root} is not a directory; `rootfs` must be a directory with a root file system")
    layer = pack(cache.layout, rootfs_entries(root), compression, "base")
    facts = _facts(cache, cache.layout, (layer,), SEARCH_PATH, platform)
    return Base(cache.layout, (layer,), facts, "rootfs", layer.diff_id)


def _from_layout(layout: Layout, image: Descriptor, platform: Platform, cache: BuildCache, name: str) -> Base:
    entry, manifest = manifest_for(layout, image, platform)
    for blob in manifest.layers:
        layout.verify(blob)
    layers = tuple(map(_with_oci_type, image_layers(layout, manifest)))
    settings = read_config(layout, manifest)["config"]
    environment = {"PATH": SEARCH_PATH}
    environment |= {key: value for key, _, value in (item.partition("=") for item in settings.get("Env") or [])}
    facts = _facts(cache, layout, layers, environment["PATH"], platform)
    kept = {name: settings[name] for name in KEPT_SETTINGS if settings.get(name)}
    return Base(layout, layers, facts, name, entry.digest, environment, settings.get("Labels") or {}, kept)


def _with_oci_type(layer: ImageLayer) -> ImageLayer:
    blob = layer.descriptor
    kind = media_types.LAYER_GZIP if blob.media_type == media_types.DOCKER_LAYER_GZIP else blob.media_type
    return replace(layer, descriptor=Descriptor(kind, blob.digest, blob.size))


def _facts(
    cache: BuildCache, layout: Layout, layers: tuple[ImageLayer, ...], search: str, platform: Platform
) -> BaseFacts:
    """Read once from a base's tars, then cached."""
    inputs = ["facts", 3, [[layer.descriptor.digest, layer.diff_id] for layer in layers], search, str(platform)]
    if known := cache.recall(inputs):
        return _facts_from_json(known)
    files = Files(layout, layers)
    interpreter = find_interpreter(files, search, platform)
    packages = debian_packages(files.read(DEBIAN_STATUS, LIMIT_STATUS_BYTES))
    facts = BaseFacts(interpreter, packages, files.links, files.directories)
    cache.remember(inputs, {**asdict(facts), "directories": sorted(files.directories)})
    return facts


def _facts_from_json(value: Any) -> BaseFacts:
    found = value["interpreter"]
    versions = {key: tuple(found[key]) for key in ("version", "glibc", "musl")} if found else {}
    interpreter = Interpreter(**{**found, **versions}) if found else None
    packages = tuple(Package(**package) for package in value["packages"])
    return BaseFacts(interpreter, packages, value["links"], frozenset(value["directories"]))
