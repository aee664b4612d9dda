"""From a reference to the store that it names."""

from collections.abc import Callable
from pathlib import Path

from lykeion.core import kept_directory
from lykeion.oci import distribution
from lykeion.oci.distribution import ArtifactStore, DiskStore, Reference

from .model_names import parse


class Stores:
    """The local store, in ``root`` or the user's default, and registries by host; each created once.

    ``transport`` makes the connections to a registry.
    """

    def __init__(
        self, root: Path | None = None, transport: Callable[[str], distribution.Transport] | None = None
    ) -> None:
        self.disk = DiskStore(root or kept_directory("store"))
        self._transport = transport or distribution.Transport
        self._registries: dict[str, ArtifactStore] = {}

    def find(self, name: str) -> tuple[ArtifactStore, Reference]:
        """The store and reference of a model name. Raises InvalidReference."""
        reference = parse(name)
        return self.of(reference.host), reference

    def of(self, host: str | None) -> ArtifactStore:
        if host is None:
            return self.disk
        if host not in self._registries:
            self._registries[host] = distribution.RemoteStore(self._transport(host))
        return self._registries[host]
