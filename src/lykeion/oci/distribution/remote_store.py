"""A registry over HTTP(S): the OCI distribution specification 1.1, and the deviations of registries.

Plain registries have no compare-and-swap (``If-Match`` is ignored, docs/decisions/registry.md), many do not remove
tags, and older ones have no referrers API: the tag ``sha256-…`` then lists them.
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from lykeion.core import NotFound, Unsupported, digest_bytes
from lykeion.oci import ContentDamaged, ContentError, Descriptor, read_manifest
from lykeion.oci.manifest import read_index
from lykeion.oci.media_types import INDEXES, MANIFESTS

from . import download, referrers_tag, upload
from .artifact_store import MAX_READ, Advance
from .errors import StoreError
from .reference import is_digest, is_tag
from .transport import ATTEMPTS, MAX_MANIFEST, Response, Transport, problem

MAX_TAGS = 100_000
MAX_PAGES = 1_000
_ACCEPT = ", ".join(sorted(MANIFESTS | INDEXES))
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


class RemoteStore:
    """Thread-safe."""

    compares = False

    def __init__(self, transport: Transport) -> None:
        self.host: str | None = transport.host
        self._transport = transport

    def repositories(self) -> list[str]:
        raise Unsupported(
            f"{self.host}: a registry does not list its repositories; name one, as in {self.host}/shop/shoes"
        )

    def tags(self, repository: str) -> list[str]:
        found: set[str] = set()
        for response in self._pages(repository, f"/v2/{repository}/tags/list?n=1000"):
            if response.status == 404:
                response.close()
                return []
            if response.status != 200:
                raise problem(response, f"tags of {repository}")
            found.update(_tags(response.read(), repository))
            if len(found) > MAX_TAGS:
                raise StoreError(f"{self.host}/{repository}: more than {MAX_TAGS:,} tags")
        return sorted(found)

    def resolve(self, repository: str, tag: str) -> str | None:
        response = self._head(repository, f"/v2/{repository}/manifests/{tag}", _ACCEPT)
        if response.status == 404:
            return None
        if response.status != 200:
            raise problem(response, f"{repository}:{tag}")
        digest = response.headers.get("Docker-Content-Digest", "")
        return digest if is_digest(digest) else digest_bytes(self._manifest(repository, tag))

    def holds(self, repository: str, digest: str) -> bool:
        return self._exists(repository, f"/v2/{repository}/manifests/{digest}", _ACCEPT)

    def manifest(self, repository: str, digest: str) -> bytes:
        data = self._manifest(repository, digest)
        if digest_bytes(data) != digest:
            raise ContentDamaged(f"{self.host}/{repository}@{digest}: the registry sent a different manifest")
        return data

    def write(
        self,
        repository: str,
        manifests: Sequence[bytes],
        tags: Mapping[str, str],
        expect: Mapping[str, str | None] | None = None,
    ) -> None:
        if expect:
            raise Unsupported(f"{self.host}: a registry cannot compare and swap")
        written = {digest_bytes(data): data for data in manifests}
        for digest in written.keys() - set(tags.values()):
            self._put(repository, digest, written[digest])
        for tag, digest in tags.items():
            self._put(repository, tag, written.get(digest) or self.manifest(repository, digest))

    def untag(self, repository: str, tag: str) -> None:
        if self.resolve(repository, tag) is None:
            raise NotFound(f"{self.host}/{repository}:{tag}: not there")
        self._delete(repository, tag, "remove a tag without its manifest; use delete")

    def delete(self, repository: str, digest: str) -> None:
        self._delete(repository, digest, "delete a manifest; its administrator can enable it")

    def referrers(self, repository: str, digest: str, artifact_type: str) -> list[Descriptor]:
        found = self._referrers(repository, digest)
        if found is None:
            found = referrers_tag.referrers(self, repository, digest)
        return [entry for entry in found if artifact_type in ("", entry.artifact_type)]

    def attach(self, repository: str, manifest: bytes) -> None:
        subject = read_manifest(manifest).subject
        if subject is None:
            raise ContentError("a manifest without a subject cannot be attached")
        response = self._put(repository, digest_bytes(manifest), manifest)
        if response.headers.get("OCI-Subject") != subject.digest:
            referrers_tag.attach(self, repository, manifest, subject.digest)

    def has(self, repository: str, digest: str) -> bool:
        return self._exists(repository, f"/v2/{repository}/blobs/{digest}", "*/*")

    def put(self, repository: str, descriptor: Descriptor, source: bytes | Path, advance: Advance) -> None:
        if self.has(repository, descriptor.digest):
            advance(descriptor.size)
        else:
            upload.put(self._transport, repository, descriptor, source, advance)

    def mount(self, repository: str, descriptor: Descriptor, source: str) -> bool:
        query = urlencode({"mount": descriptor.digest, "from": source})
        scope = f"{_scope(repository, 'pull,push')} {_scope(source, 'pull')}"
        response = self._transport.send("POST", f"/v2/{repository}/blobs/uploads/?{query}", scope=scope)
        response.close()
        if response.status == 202 and (location := response.headers.get("Location")):
            with suppress(StoreError):  # it expires by itself
                self._transport.send("DELETE", location, scope=scope).close()
        return response.status == 201

    def read(self, repository: str, descriptor: Descriptor) -> bytes:
        if descriptor.size > MAX_READ:
            raise StoreError(f"{descriptor.digest}: {descriptor.size:,} bytes; at most {MAX_READ:,} are read")
        url = f"/v2/{repository}/blobs/{descriptor.digest}"
        response = self._get(repository, url, limit=descriptor.size)
        if response.status == 404:
            raise NotFound(f"{self.host}/{repository}: has no blob {descriptor.digest}")
        if response.status != 200:
            raise problem(response, f"blob {descriptor.digest}")
        data = response.read(descriptor.size)
        if (digest_bytes(data), len(data)) != (descriptor.digest, descriptor.size):
            raise ContentDamaged(f"{self.host}/{repository}: the registry sent wrong content for {descriptor.digest}")
        return data

    def fetch(self, repository: str, descriptor: Descriptor, path: Path, advance: Advance) -> None:
        download.fetch(self._transport, repository, descriptor, path, advance)

    @contextmanager
    def busy(self) -> Generator[None]:
        yield

    def _referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """None if the registry has no such API."""
        found: list[Descriptor] = []
        for response in self._pages(repository, f"/v2/{repository}/referrers/{digest}"):
            if response.status != 200:
                response.close()
                return None
            found += read_index(response.read()).manifests
        return found

    def _pages(self, repository: str, url: str) -> Iterator[Response]:
        """The pages from ``url`` on, by their ``Link`` headers. Raises StoreError if they do not end."""
        asked: set[str] = set()
        while url not in asked and len(asked) < MAX_PAGES:
            asked.add(url)
            response = self._get(repository, url)
            yield response
            further = _NEXT.search(response.headers.get("Link", ""))
            if not further:
                return
            url = response.link(further[1])
        raise StoreError(f"{self.host}/{repository}: more than {MAX_PAGES:,} pages")

    def _manifest(self, repository: str, reference: str) -> bytes:
        response = self._get(repository, f"/v2/{repository}/manifests/{reference}", _ACCEPT)
        if response.status == 404:
            raise NotFound(f"{self.host}/{repository}: holds no {reference}")
        if response.status != 200:
            raise problem(response, f"manifest {repository} {reference}")
        return response.read()

    def _put(self, repository: str, reference: str, data: bytes) -> Response:
        """A registry on a file system writes in place, and may read what a concurrent push has half written: it then
        reports an invalid digest, so the request is repeated (docs/decisions/registry.md)."""
        for attempt in range(1, ATTEMPTS + 1):
            response = self._transport.send(
                "PUT",
                f"/v2/{repository}/manifests/{reference}",
                scope=_scope(repository, "pull,push"),
                headers={"Content-Type": read_manifest(data).media_type},
                body=data,
            )
            if response.status in (200, 201, 202, 204):
                response.close()
                return response
            refused = problem(response, f"manifest {repository} {reference}")
            if "DIGEST_INVALID" not in str(refused) or attempt == ATTEMPTS:
                raise refused
            self._transport.pause(attempt)
        raise AssertionError("unreachable")

    def _delete(self, repository: str, reference: str, what: str) -> None:
        response = self._transport.send(
            "DELETE", f"/v2/{repository}/manifests/{reference}", scope=_scope(repository, "delete")
        )
        if response.status in (400, 405, 501):
            response.close()
            raise Unsupported(f"{self.host}: this registry does not {what}")
        if response.status == 404:
            raise NotFound(f"{self.host}/{repository}: holds no {reference}")
        if response.status not in (200, 202):
            raise problem(response, f"delete {repository} {reference}")
        response.close()

    def _get(self, repository: str, url: str, accept: str = "*/*", limit: int = MAX_MANIFEST) -> Response:
        headers = {"Accept": accept}
        return self._transport.send("GET", url, scope=_scope(repository, "pull"), headers=headers, limit=limit)

    def _head(self, repository: str, url: str, accept: str) -> Response:
        response = self._transport.send("HEAD", url, scope=_scope(repository, "pull"), headers={"Accept": accept})
        if response.status not in (405, 501):
            return response
        response.close()  # a registry, or a proxy in front of it, that does not support HEAD
        response = self._transport.send("GET", url, scope=_scope(repository, "pull"), headers={"Accept": accept})
        response.close()
        return response

    def _exists(self, repository: str, url: str, accept: str) -> bool:
        response = self._head(repository, url, accept)
        if response.status not in (200, 404):
            raise problem(response, url)
        return response.status == 200


def _scope(repository: str, actions: str) -> str:
    return f"repository:{repository}:{actions}"


def _tags(body: bytes, repository: str) -> list[str]:
    try:
        tags: Any = json.loads(body).get("tags") or []
    except (ValueError, AttributeError):
        tags = None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in cast(list[Any], tags)):
        raise StoreError(f"tags of {repository}: the registry's response is not a list of tags")
    return [tag for tag in cast(list[str], tags) if is_tag(tag)]
