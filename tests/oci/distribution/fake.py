"""A registry in this process, in place of a real one: the OCI distribution protocol in memory, with its troubles.

tests/e2e runs the same behaviour suite against Debian's docker-registry, so that the fake is held to the real thing.
"""

import base64
import hashlib
import json
import re
import ssl
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_ROUTE = re.compile(r"/v2/(?P<repository>.+?)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.*)")


@dataclass
class Troubles:
    """What goes wrong, and what the registry lacks."""

    referrers_api: bool = False
    removes_tags: bool = False
    login: tuple[str, str] | None = None
    token_seconds: float = 300.0
    token_requests: int = 1_000_000
    """How many requests a token is good for."""
    busy: int = 0
    """So many further requests get 429."""
    retry_after: str = "0"
    half_written: int = 0
    """So many further manifests get DIGEST_INVALID, as from docker-registry while another push writes its blobs."""
    cut_downloads: int = 0
    """So many further blobs end in the middle."""
    cut_uploads: int = 0
    """So many further chunks are lost with their connection, half of them kept."""
    blobs_elsewhere: str = ""
    """Blobs are redirected to this server."""
    written: int = 201
    """The status that a manifest's PUT gets."""
    knows_head: bool = True
    plain_tags: bool = False
    """Tags that begin with an underscore are refused."""
    least_chunk: int = 0
    """What OCI-Chunk-Min-Length says; shorter chunks but the last are refused."""
    broken_tag: str = ""
    """Is answered 500."""
    challenge: str = ""
    """Stands before the registry's own."""
    cut_documents: int = 0
    """So many further answers with a body, but for blobs that are fetched, end in the middle."""
    uploads_at: str = ""
    """What stands before the path where an upload begins."""
    uploads_move_to: str = ""
    """And where it goes on."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Sent instead of the registry's own."""
    junk: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Listed before what is attached to a manifest."""
    before_manifest: Any = None
    """Called with (repository, reference) before a manifest is written."""


@dataclass
class Registry:
    troubles: Troubles = field(default_factory=Troubles)
    manifests: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(dict))
    tags: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    blobs: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    uploads: dict[str, bytearray] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    requests: list[str] = field(default_factory=list)
    seen_authorization: list[str | None] = field(default_factory=list)
    clients: set[int] = field(default_factory=set)
    """The ports from which requests came, one for each connection."""
    host: str = ""

    def clear(self) -> None:
        self.requests.clear()
        self.seen_authorization.clear()


@contextmanager
def running(
    troubles: Troubles | None = None, blobs_of: Registry | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Registry]:
    """A registry at ``registry.host``; ``blobs_of`` makes it the place where another's blobs are."""
    registry = Registry(troubles or Troubles())
    if blobs_of:
        registry.blobs = blobs_of.blobs

    class Handler(_Handler):
        state = registry

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: Registry

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        state, url = self.state, urlsplit(self.path)
        state.requests.append(f"{self.command} {url.path}")
        state.clients.add(self.client_address[1])
        state.seen_authorization.append(self.headers.get("Authorization"))
        if url.path == "/token":
            return self._token(parse_qs(url.query))
        if state.troubles.busy:
            state.troubles.busy -= 1
            self._body()
            return self._answer(429, headers={"Retry-After": state.troubles.retry_after})
        if self.command == "HEAD" and not state.troubles.knows_head:
            return self._answer(405)
        route = _ROUTE.fullmatch(url.path)
        if not route:
            return self._answer(404)
        if not self._allowed():
            self._body()
            scope = f"repository:{route['repository']}:pull,push"
            challenge = (
                f'{state.troubles.challenge}Bearer realm="http://{state.host}/token",service="fake",scope="{scope}"'
            )
            return self._answer(401, headers={"WWW-Authenticate": challenge})
        repository, rest, query = route["repository"], route["rest"], parse_qs(url.query)
        if rest.startswith("uploads"):
            return self._upload(repository, rest.removeprefix("uploads/"), query)
        getattr(self, f"_{route['kind']}")(repository, rest)

    def _allowed(self) -> bool:
        if self.state.troubles.login is None:
            return True
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.state.uses[token] += 1
        used_up = self.state.uses[token] > self.state.troubles.token_requests
        return not used_up and self.state.tokens.get(token, 0) > time.monotonic()

    def _token(self, query: dict[str, list[str]]) -> None:
        login = self.state.troubles.login
        wanted = base64.b64encode(f"{login[0]}:{login[1]}".encode()).decode() if login else ""
        if login and self.headers.get("Authorization") != f"Basic {wanted}":
            return self._answer(401)
        token = uuid.uuid4().hex
        self.state.tokens[token] = time.monotonic() + self.state.troubles.token_seconds
        self._answer(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def _tags(self, repository: str, _rest: str) -> None:
        tags = sorted(self.state.tags[repository])
        if not tags and not self.state.manifests[repository]:
            return self._answer(404)
        query = parse_qs(urlsplit(self.path).query)
        last = query.get("last", [""])[0]
        page = [tag for tag in tags if tag > last][:3]  # small pages, so that paging is always tried
        more = (
            {"Link": f'</v2/{repository}/tags/list?n=3&last={page[-1]}>; rel="next"'}
            if page and page[-1] < tags[-1]
            else {}
        )
        self._answer(200, json.dumps({"name": repository, "tags": page}).encode(), headers=more)

    def _manifests(self, repository: str, reference: str) -> None:
        manifests, tags = self.state.manifests[repository], self.state.tags[repository]
        digest = tags.get(reference, reference)
        if reference == self.state.troubles.broken_tag:
            return self._answer(500)
        if self.command == "PUT":
            if self.state.troubles.before_manifest:
                self.state.troubles.before_manifest(repository, reference)
            return self._put_manifest(repository, reference)
        if digest not in manifests:
            return self._answer(404)
        if self.command == "DELETE":
            if reference in tags:
                if not self.state.troubles.removes_tags:
                    return self._answer(400)
                del tags[reference]
            else:
                del manifests[digest]
                for tag in [tag for tag, at in tags.items() if at == digest]:
                    del tags[tag]
            return self._answer(202)
        kind, data = manifests[digest]
        self._answer(200, data, headers={"Content-Type": kind, "Docker-Content-Digest": digest})

    def _put_manifest(self, repository: str, reference: str) -> None:
        data = self._body()
        if self.state.troubles.half_written:
            self.state.troubles.half_written -= 1
            return self._answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"no match"}]}')
        if self.state.troubles.plain_tags and reference.startswith("_"):
            return self._answer(400, b'{"errors":[{"code":"TAG_INVALID","message":"invalid tag"}]}')
        digest, value = _digest(data), json.loads(data)
        parts = [*value.get("layers", []), *([value["config"]] if "config" in value else [])]
        if any(part["digest"] not in self.state.blobs[repository] for part in parts):
            return self._answer(400, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}')
        self.state.manifests[repository][digest] = (self.headers["Content-Type"], data)
        if not reference.startswith("sha256:"):
            self.state.tags[repository][reference] = digest
        headers = {"Docker-Content-Digest": digest}
        if self.state.troubles.referrers_api and "subject" in value:
            headers["OCI-Subject"] = value["subject"]["digest"]
        self._answer(self.state.troubles.written, headers=headers)

    def _referrers(self, repository: str, subject: str) -> None:
        if not self.state.troubles.referrers_api:
            return self._answer(404)
        found: list[dict[str, Any]] = []
        for digest, (kind, data) in self.state.manifests[repository].items():
            value = json.loads(data)
            if value.get("subject", {}).get("digest") == subject:
                found.append(
                    {"mediaType": kind, "digest": digest, "size": len(data), "artifactType": value["artifactType"]}
                )
        found = [*self.state.troubles.junk, *found]
        start = int(parse_qs(urlsplit(self.path).query).get("from", ["0"])[0])
        page, more = found[start : start + 3], start + 3 < len(found)  # small pages, as with tags
        headers = {"Link": f'</v2/{repository}/referrers/{subject}?from={start + 3}>; rel="next"'} if more else {}
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": page}
        self._answer(200, json.dumps(index).encode(), headers=headers)

    def _blobs(self, repository: str, digest: str) -> None:
        data = self.state.blobs[repository].get(digest)
        if data is None:
            return self._answer(404)
        elsewhere = self.state.troubles.blobs_elsewhere
        if elsewhere and self.command == "GET":
            return self._answer(307, headers={"Location": f"{elsewhere}{self.path}"})
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        offset = int(start[1]) if start else 0
        headers = {"Content-Range": f"bytes {offset}-{len(data) - 1}/{len(data)}"} if start else {}
        if self.state.troubles.cut_downloads and self.command == "GET":
            self.state.troubles.cut_downloads -= 1
            self.send_response(206 if start else 200)
            for name, value in {**headers, "Content-Length": str(len(data) - offset)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[offset : offset + (len(data) - offset) // 2])
            self.close_connection = True
            return None
        self._answer(206 if start else 200, data[offset:], headers=headers)

    def _upload(self, repository: str, upload: str, query: dict[str, list[str]]) -> None:
        uploads = self.state.uploads
        if self.command == "POST":
            source = self.state.blobs[query["from"][0]].get(query["mount"][0]) if "mount" in query else None
            if source is not None:
                self.state.blobs[repository][query["mount"][0]] = source
                return self._answer(201)
            uploads[upload := uuid.uuid4().hex] = bytearray()
            least = {"OCI-Chunk-Min-Length": str(self.state.troubles.least_chunk)}
            return self._answer(202, headers=self._location(repository, upload) | least)
        if upload not in uploads:
            self._body()
            return self._answer(404)
        if self.command == "DELETE":
            del uploads[upload]
            return self._answer(204)
        if self.command == "GET":
            return self._answer(204, headers=self._location(repository, upload))
        if self.command == "PATCH" and self.state.troubles.cut_uploads:
            self.state.troubles.cut_uploads -= 1
            uploads[upload] += self.rfile.read(int(self.headers["Content-Length"]) // 2)
            self.close_connection = True
            return None
        start = int((self.headers.get("Content-Range") or "0-").partition("-")[0])
        data = self._body()
        if self.command == "PATCH" and len(data) < self.state.troubles.least_chunk:
            return self._answer(416, headers=self._location(repository, upload))
        if self.command == "PATCH" and start != len(uploads[upload]):
            return self._answer(416, headers=self._location(repository, upload))
        uploads[upload] += data
        if self.command == "PATCH":
            return self._answer(202, headers=self._location(repository, upload))
        whole = bytes(uploads.pop(upload))
        if _digest(whole) != query["digest"][0]:
            return self._answer(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"no match"}]}')
        self.state.blobs[repository][query["digest"][0]] = whole
        self._answer(201)

    def _location(self, repository: str, upload: str) -> dict[str, str]:
        size, troubles = len(self.state.uploads[upload]), self.state.troubles
        server = troubles.uploads_at if self.command == "POST" else troubles.uploads_move_to
        return {"Location": f"{server}/v2/{repository}/blobs/uploads/{upload}", "Range": f"0-{max(size - 1, 0)}"}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        own = {**(headers or {}), "Content-Length": str(len(data))}
        changed = {name: value for name, value in self.state.troubles.headers.items() if name in own}
        for name, value in {**own, **changed}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET" and data and self.state.troubles.cut_documents:
            self.state.troubles.cut_documents -= 1
            data, self.close_connection = data[: len(data) // 2], True
        if self.command != "HEAD":
            self.wfile.write(data)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
