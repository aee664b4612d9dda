"""Versions of a model that a repository in memory has: any bytes are a model here."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lykeion.core import digest_bytes
from lykeion.device.errors import UpdateMissing
from lykeion.device.fetching.file_source import Body
from lykeion.device.signed_target import CompanionFile, Delta, SignedTarget, companion_path, delta_path
from lykeion.device.slots.slot_state import Offer

CHUNK = 100


def model_bytes(version: int, size: int = 200) -> bytes:
    return (hashlib.sha256(str(version).encode()).digest() * (size // 32 + 1))[:size]


@dataclass
class Repository:
    """``served`` has every file by its path; ``asked`` what was asked for, with offsets."""

    served: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    ranges: bool = True

    @contextmanager
    def get(self, path: str, offset: int = 0) -> Generator[Body]:
        self.asked.append((path, offset))
        if path not in self.served:
            raise UpdateMissing(f"{path}: not there")
        offset = offset if self.ranges else 0
        content = self.served[path]
        yield Body(offset, (content[at : at + CHUNK] for at in range(offset, len(content), CHUNK)))

    def publish(
        self,
        version: int,
        content: bytes = b"",
        companion: bytes = b"",
        deltas: dict[Delta, bytes] | None = None,
        **fields: Any,
    ) -> Offer:
        content = content or model_bytes(version)
        digest = digest_bytes(content)
        target = SignedTarget(
            model="shoes",
            version=version,
            manifest=digest_bytes(b"manifest"),
            device_class="phone",
            engine="litert",
            threads=1,
            runtime_from="2.0",
            runtime_below="3.0",
            file=digest,
            file_bytes=len(content),
            packing="none",
            companion=CompanionFile(digest_bytes(companion), len(companion)) if companion else None,
            deltas=tuple(deltas or ()),
        )
        target = replace(target, **fields)
        path = f"shoes/{digest.removeprefix('sha256:')}.v{version}"
        self.served[path] = content
        if companion:
            self.served[companion_path("shoes", digest_bytes(companion))] = companion
        for delta, file in (deltas or {}).items():
            self.served[delta_path("shoes", delta.digest)] = file
        return Offer(target, len(content), digest, path)
