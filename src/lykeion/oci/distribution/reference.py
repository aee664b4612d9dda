"""Names of artifacts: ``shoes:canary``, ``shoes@sha256:…``, ``registry.example.com/shop/shoes:v3``.

As in docker: the first part is a registry's host if it has a dot or a port, or is ``localhost``. Without a host the
artifact is in a store on this machine. Tags follow the OCI distribution specification.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address

from lykeion.core import is_loopback

from .errors import InvalidReference

MAX_LENGTH = 512

_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_HOST_AND_PORT = re.compile(r"(\[.*\]|[^:]*)(?::(.*))?")
_DOCKER_HUB = {"index.docker.io", "registry-1.docker.io"}
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """``host`` is None for the store on this machine. At most one of ``tag`` and ``digest`` says which version."""

    host: str | None
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        place = f"{self.host}/{self.repository}" if self.host else self.repository
        return f"{place}@{self.digest}" if self.digest else f"{place}:{self.tag}" if self.tag else place

    @property
    def name(self) -> str:
        """The artifact's own name: the last part of the repository."""
        return self.repository.rpartition("/")[2]

    @property
    def version(self) -> str | None:
        """The tag or digest, whichever is given."""
        return self.digest or self.tag

    def at(self, version: str) -> "Reference":
        """The same repository at another tag or digest."""
        if is_digest(version):
            return replace(self, tag=None, digest=version)
        return replace(self, tag=version, digest=None)


def parse_reference(text: str, kind: str = "artifact") -> Reference:
    """``kind`` is what is named, for the error message. Raises InvalidReference."""
    if len(text) > MAX_LENGTH:
        raise InvalidReference(f"a name of {len(text):,} characters; at most {MAX_LENGTH} are allowed")
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise InvalidReference(f"{text!r}: @ must be followed by a digest, sha256: and 64 hexadecimal digits")
    head, slash, tail = rest.partition("/")
    host = head if slash and _is_host(head) else None
    repository, colon, tag = (tail if host else rest).partition(":")
    if colon and not is_tag(tag):
        raise InvalidReference(f"{text!r}: {tag[:60]!r} is not a tag; use letters, digits and ._-")
    if colon and at:
        raise InvalidReference(f"{text!r}: give a tag or a digest, not both")
    if host and not _HOST.fullmatch(host):
        raise InvalidReference(f"{text!r}: {host[:60]!r} is not a host; write it like registry.example.com:5000")
    if not is_repository(repository):
        raise InvalidReference(
            f"{text!r} is no {kind}'s name: name:tag, name@sha256:…, or registry.host/path:tag, in lower case"
        )
    return Reference(host, repository, tag or None, digest or None)


def canonical_place(text: str) -> str:
    """Canonical ``host/path``, whatever the spelling of the host: lower case, no default port, one name for loopback
    and for Docker Hub. Also for patterns; a text without a host stays as it is."""
    head, slash, path = text.partition("/")
    match = _HOST_AND_PORT.fullmatch(head)
    if not slash or not _is_host(head) or not match:
        return text
    host, port = match[1].lower(), match[2] or ""
    if is_loopback(host):
        host = "localhost"
    elif host in _DOCKER_HUB:
        host = "docker.io"
    elif host.startswith("["):
        with suppress(ValueError):
            host = str(ip_address(host[1:-1])).replace(":", "-")  # no brackets, which are special in a pattern
    port = port.lstrip("0") if port.isdecimal() else port
    return f"{host}:{port}/{path}" if port not in ("", "80", "443") else f"{host}/{path}"


def _is_host(head: str) -> bool:
    """Of what stands before the first slash."""
    return "." in head or ":" in head or head.lower() == "localhost"


def is_repository(text: str) -> bool:
    return _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether the specification allows the tag; others could be paths out of a directory."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None
