"""Where the platform is: this machine, or a cluster that a context of the kubeconfig names."""

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from lykeion.control import AnyKind, Key, ResourceStore


class PlatformStore(ResourceStore, Protocol):
    """The resources of a place, with what their programs print and report. Used as a context manager."""

    async def __aenter__(self) -> "PlatformStore": ...

    async def __aexit__(self, *_: object) -> None: ...

    def log(
        self, key: Key, index: int = 0, *, part: str = "", follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The output of the last attempt at an index; with ``follow``, until the resource has finished.

        ``part`` is a step of a run, or a part of a resource such as ``publish``; ``tail`` is how many of the lines
        there are now to begin with. Raises NoSuchResource.
        """
        ...

    def metrics(self, key: Key, *, follow: bool = False) -> AsyncGenerator[dict[str, float], None]:
        """The last rows of a run's metrics. Raises Unsupported where they cannot be read."""
        ...


def connect_to(
    context: str, namespace: str | None = None, kinds: Mapping[str, AnyKind] | None = None
) -> PlatformStore:
    """The platform on this machine; with a ``context``, that of its cluster, looking into ``namespace`` or all.

    ``kinds`` are by default the platform's own. Raises KubeconfigError.
    """
    if not context:
        from .local.connecting import connect

        return connect(kinds)
    from .kubernetes import ContextPlatform

    return ContextPlatform(context, namespace, kinds)


def default_namespace(context: str) -> str:
    """Where resources are looked for: ``default``, or what the context says."""
    if not context:
        return "default"
    from .kubernetes import namespace_of

    return namespace_of(context)
