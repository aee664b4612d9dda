"""Resources of a store through a socket of this machine: the API, with the paths of Kubernetes', and its client."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .api_server import LIMIT_BODY_BYTES, Subresource, resource_api
    from .serving_socket import serving
    from .socket_place import SocketError, socket_of
    from .socket_store import ServerUnreachable, SocketStore

__all__ = [
    "LIMIT_BODY_BYTES", "ServerUnreachable", "SocketError", "SocketStore", "Subresource", "resource_api", "serving",
    "socket_of",
]  # fmt: skip
__getattr__ = lazy(__name__)
