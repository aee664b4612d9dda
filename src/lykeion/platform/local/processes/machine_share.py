"""What one process has of the machine: chosen before it starts, recorded with its attempt, and free when it ends."""

from collections.abc import Mapping

from msgspec import Struct


class MachineShare(Struct, frozen=True):
    """``cpu`` cores of those numbered ``cores``, and accelerators by identifier.

    No cores means all of them, no bytes no limit.
    """

    cpu: float = 0.0
    cores: tuple[int, ...] = ()
    memory_bytes: int = 0
    accelerators: tuple[str, ...] = ()

    def environment(self) -> Mapping[str, str]:
        """The variables by which CUDA's libraries find these accelerators and no others.

        https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html
        """
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.accelerators)} if self.accelerators else {}


UNLIMITED = MachineShare()
