"""The gateway of devices: a connection of each, and the store that makes what they say durable."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .connect_rate import CONNECTS_A_SECOND, ConnectRate
    from .device_gateway import RETURN_S, DeviceGateway

__all__ = ["CONNECTS_A_SECOND", "RETURN_S", "ConnectRate", "DeviceGateway"]
__getattr__ = lazy(__name__)
