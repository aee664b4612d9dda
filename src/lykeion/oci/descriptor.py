"""A descriptor: media type, digest and size of a blob, with annotations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ContentError

REF_NAME = "org.opencontainers.image.ref.name"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Platform:
    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """``linux/amd64`` or ``linux/arm/v7``. Raises ContentError."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise ContentError(f"{text!r} is not a platform; write it like linux/amd64")
        return cls(*parts)


@dataclass(frozen=True)
class Descriptor:
    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.platform:
            value["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                value["platform"]["variant"] = self.platform.variant
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value

    @classmethod
    def from_json(cls, value: Any) -> "Descriptor":
        """Other fields (urls, data) are dropped. Raises ContentError."""
        try:
            platform = value.get("platform")
            found = cls(
                media_type=value["mediaType"],
                digest=value["digest"],
                size=value["size"],
                artifact_type=value.get("artifactType", ""),
                platform=platform and Platform(platform["os"], platform["architecture"], platform.get("variant", "")),
                annotations=dict(value.get("annotations") or {}),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ContentError(f"not an OCI descriptor: {str(value)[:200]!r}") from None
        texts: list[Any] = [
            found.media_type,
            found.digest,
            found.artifact_type,
            *found.annotations,
            *found.annotations.values(),
        ]
        if found.platform:
            texts += [found.platform.os, found.platform.architecture, found.platform.variant]
        if not all(isinstance(text, str) for text in texts) or type(found.size) is not int or found.size < 0:
            raise ContentError(f"not an OCI descriptor: {str(value)[:200]!r}")
        check_digest(found.digest)
        return found


def check_digest(digest: str) -> str:
    """The digest itself, if it is ``sha256:`` and 64 lower-case hexadecimal digits. Raises ContentError."""
    if not _DIGEST.fullmatch(digest):
        raise ContentError(f"{digest[:100]!r} is not a digest; it must be sha256: and 64 hexadecimal digits")
    return digest
