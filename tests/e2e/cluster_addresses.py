"""Addresses for a cluster on this machine: a bridge for its pods, and a range for its services on the loopback.

Kubernetes refuses endpoints in 127.0.0.0/8, and each pod binds the same ports as the others. A pod has a network
namespace of its own, one end of a pair in it and the other on the bridge, whose address is the machine's: what should
be reached from pods listens there. It needs root, or a network namespace of which this process is root:
``unshare --net`` as root, and nothing smaller, since overlayfs takes the root file system only from its own user.
"""

import os
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CLUSTERS = 30
_CAPABILITIES = (12, 21)  # CAP_NET_ADMIN, CAP_SYS_ADMIN


@dataclass(frozen=True)
class Addresses:
    """The ``number``-th cluster of this machine."""

    number: int

    @property
    def bridge(self) -> str:
        return f"lykeion{self.number}"

    @property
    def machine(self) -> str:
        """This machine's address on the bridge."""
        return f"10.{88 + self.number}.0.1"

    @property
    def pods(self) -> str:
        return f"10.{88 + self.number}.0.0/16"

    @property
    def services(self) -> str:
        return f"10.{128 + self.number}.0.0/16"

    @property
    def first_service(self) -> str:
        """The service ``kubernetes``."""
        return f"10.{128 + self.number}.0.1"

    @property
    def names(self) -> str:
        """The name server's service."""
        return f"10.{128 + self.number}.0.10"


@contextmanager
def cluster_addresses() -> Generator[Addresses]:
    """A bridge that nobody else has. Skips the test where it cannot be made."""
    skip_without_rights()
    addresses = next(filter(_make, map(Addresses, range(CLUSTERS))), None)
    assert addresses, f"{CLUSTERS} clusters run on this machine: ip link show type bridge"
    try:
        yield addresses
    finally:
        _remove(addresses)


def skip_without_rights() -> None:
    found = re.search(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())
    held = int(found[1], 16) if found else 0
    if not all(held >> capability & 1 for capability in _CAPABILITIES):
        pytest.skip("needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN: pods have namespaces and a bridge of their own")


def _make(addresses: Addresses) -> bool:
    if _ip(f"link add {addresses.bridge} type bridge", may_fail=True).returncode:
        if not _is_left_over(addresses):
            return False
        _remove(addresses)
        return _make(addresses)
    _ip(f"link set {addresses.bridge} alias {os.getpid()}")
    _ip(f"addr add {addresses.machine}/16 dev {addresses.bridge}")
    _ip(f"link set {addresses.bridge} up")
    _ip(f"route replace local {addresses.services} dev lo")
    return True


def _is_left_over(addresses: Addresses) -> bool:
    """Whether its maker, whose number is the bridge's alias, is dead."""
    shown = _ip(f"link show {addresses.bridge}", may_fail=True).stdout
    maker = re.search(r"alias (\d+)", shown)
    return bool(maker) and not Path("/proc", maker[1]).exists()


def _remove(addresses: Addresses) -> None:
    _ip(f"route del local {addresses.services} dev lo", may_fail=True)
    _ip(f"link del {addresses.bridge}", may_fail=True)


def _ip(arguments: str, *, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=not may_fail)
