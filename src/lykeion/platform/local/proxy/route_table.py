"""Which replicas serve which requests: a file that the platform writes, and the proxy reads when it changes."""

import re
from functools import cached_property
from pathlib import Path

import msgspec

from lykeion.core import Invalid, write_atomically

PREFIX = "/services/"
_SERVICE = re.compile(PREFIX + r"([a-z0-9-]{1,63})/([a-z0-9-]{1,63})(?=/|$)")


class RouteTableError(Invalid):
    """A file that is not a route table."""


class ServingReplica(msgspec.Struct, frozen=True):
    """``id`` names its attempt: the uid of the group, and the attempt's name."""

    id: str
    port: int


class RoutedGroup(msgspec.Struct, frozen=True):
    name: str
    weight: int
    replicas: tuple[ServingReplica, ...] = ()


class RoutedService(msgspec.Struct, frozen=True):
    """``route`` is the name of the resource, ``service`` that by which requests name it."""

    namespace: str
    route: str
    service: str
    groups: tuple[RoutedGroup, ...] = ()


class RouteTable(msgspec.Struct, frozen=True, dict=True):
    """``version`` grows with each change."""

    version: int = 0
    services: tuple[RoutedService, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "RouteTable":
        """An empty table if there is no file. Raises RouteTableError, OSError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except msgspec.MsgspecError as error:
            raise RouteTableError(f"{path}: {error}") from None

    def write(self, path: Path) -> None:
        write_atomically(path, msgspec.json.encode(self))

    def find(self, host: str, path: str) -> tuple[RoutedService | None, str, str]:
        """The service for a request, the prefix of the path that named it, and the path that it gets.

        ``host`` is without a port; one that names no service leaves it to the path.
        """
        service, _, namespace = host.lower().partition(".")
        if found := self._by_name.get((namespace, service)):
            return found, "", path
        if (match := _SERVICE.match(path)) and (found := self._by_name.get((match[1], match[2]))):
            return found, match[0], path[match.end() :] or "/"
        return None, "", path

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], RoutedService]:
        return {(each.namespace, each.service): each for each in self.services}


def service_path(namespace: str, service: str) -> str:
    return f"{PREFIX}{namespace}/{service}"
