"""Devices of tests: with keys of their own, calling a server as the real client does."""

import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lykeion.delivery.device_service import DeviceAdmission
from lykeion.device import Credential, EnrolRequest, RenewRequest, renewal


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TestedDevice:
    """``key`` is its own."""

    __test__ = False

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    id: str = ""

    @property
    def public_key(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    def enrolled(self, admission: DeviceAdmission, **attributes: Any) -> Credential:
        made = admission.enrol(EnrolRequest(admission.new_token(60), self.public_key, attributes))
        self.id = made.device
        return made

    def renewal(self, at: float) -> RenewRequest:
        return RenewRequest(self.id, int(at), self.key.sign(renewal(self.id, int(at))).hex())


def seconds_ago(seconds: float) -> float:
    return time.time() - seconds
