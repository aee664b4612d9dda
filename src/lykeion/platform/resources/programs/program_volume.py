"""Volume: a directory that outlives the programs that use it, like Kubernetes' PersistentVolumeClaim."""

from typing import Annotated

from msgspec import Meta

from lykeion.control import Conditions, Name, Resource, ResourceKind, Wire

from .quantities import Quantity


class VolumeMount(Wire, frozen=True):
    """A volume for a program, which finds its path in a variable."""

    volume: Name
    variable: Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")]
    read_only: bool = False


class VolumeSpec(Wire, frozen=True):
    size: Quantity | None = None
    """Reserved on a cluster; on one machine all volumes share its disk."""


class VolumeStatus(Wire, frozen=True):
    conditions: Conditions = ()
    """``Ready`` once programs can use it."""


VOLUME = ResourceKind(
    "Volume", "volumes", VolumeSpec, VolumeStatus, "A directory that outlives the programs that use it."
)
Volume = Resource[VolumeSpec, VolumeStatus]
