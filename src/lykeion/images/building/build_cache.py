"""The cache shared by builds on this machine: layers and facts, by the digest of their inputs."""

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lykeion.core import Unavailable, cache_directory, digest_json, locked, write_atomically, writing
from lykeion.images.layers.image_layer import ImageLayer
from lykeion.oci import ContentError, Descriptor, Layout

CACHE = "images/cache"
"""In the cache directory."""


class BuildCache:
    """``layout`` has blobs, ``wheels`` is a directory of wheels by digest."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or cache_directory() / CACHE
        self.layout = Layout(self.directory / "blobs")
        self.wheels = self.directory / "wheels"

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Builds use it inside the context only: it is not emptied then. Raises ContentError, Unavailable."""
        with writing(self.directory, Unavailable, "set LYKEION_HOME to another directory"):
            self._lock.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._lock, shared=True):
            self.layout = Layout.open(self.layout.root, create=True)
            with self.layout.lock_content():
                yield

    def empty(self) -> None:
        """Waits for the builds that use it, and blocks others."""
        if self.directory.exists():
            with locked(self._lock):
                shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _lock(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.lock")

    def recall(self, inputs: Any) -> Any:
        """What was cached by ``remember`` for the same inputs; None if there is nothing, or if it is damaged."""
        try:
            return json.loads(self._record(inputs).read_bytes())
        except (OSError, ValueError):
            return None

    def remember(self, inputs: Any, value: Any) -> None:
        write_atomically(self._record(inputs), json.dumps(value).encode())

    def layer(self, inputs: Any) -> ImageLayer | None:
        """A cached layer, with its blob verified."""
        try:
            value = self.recall(inputs)
            layer = ImageLayer(Descriptor.from_json(value["descriptor"]), value["diff_id"], value["title"])
            self.layout.verify(layer.descriptor)
        except (KeyError, TypeError, ContentError):
            return None
        return layer

    def keep(self, inputs: Any, layer: ImageLayer) -> None:
        value = {"descriptor": layer.descriptor.to_json(), "diff_id": layer.diff_id, "title": layer.title}
        self.remember(inputs, value)

    def _record(self, inputs: Any) -> Path:
        return self.directory / "records" / f"{digest_json(inputs).removeprefix('sha256:')}.json"
