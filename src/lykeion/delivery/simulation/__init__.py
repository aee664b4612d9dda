"""Simulated devices: the protocol's own state machine, thousands in a process, over real sockets and with faults."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .device_swarm import Swarm, SwarmFailed, SwarmReport, run_swarm
    from .returning_devices import GatewayAway, ReturnedDevices, simulate_return
    from .simulated_device import FAULTS
    from .simulated_fleet import SimulatedIdentity, check_store, make_devices

__all__ = [
    "FAULTS", "GatewayAway", "ReturnedDevices", "SimulatedIdentity", "Swarm", "SwarmFailed", "SwarmReport",
    "check_store", "make_devices", "run_swarm", "simulate_return",
]  # fmt: skip
__getattr__ = lazy(__name__)
