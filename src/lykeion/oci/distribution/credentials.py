"""Who we are to a registry: what ``docker login``, ``podman login`` and credential helpers keep.

Looked for in ``$REGISTRY_AUTH_FILE``, ``$DOCKER_CONFIG/config.json``, ``~/.docker/config.json`` and
``$XDG_RUNTIME_DIR/containers/auth.json``; the first that knows the registry counts. Nothing is ever written there.
"""

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lykeion.core import Refused, read_json

HELPER_SECONDS = 60
_HELPER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_DOCKER_HUB = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with a password, or an ``identity_token`` to be exchanged for others (OAuth 2 refresh token)."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, …)"


def find_credentials(host: str, repository: str = "") -> Credentials | None:
    """For the repository if a file has some for its path, else for the host. Raises Refused where a helper fails."""
    for path in _files():
        config = _read(path)
        if config is None:
            continue
        for key in _keys(host, repository):
            if found := _in_config(config, key, path):
                return found
    return None


def _keys(host: str, repository: str) -> Iterator[str]:
    """containers-auth.json(5): the most specific path first."""
    parts = repository.split("/") if repository else []
    for length in range(len(parts), -1, -1):
        yield "/".join([host, *parts[:length]])
    yield f"https://{host}"
    if host == "docker.io":
        yield _DOCKER_HUB


def _in_config(config: Mapping[str, Any], key: str, path: Path) -> Credentials | None:
    helpers: Any = config.get("credHelpers")
    if isinstance(helpers, dict) and key in helpers:
        return _ask_helper(str(cast(dict[str, Any], helpers)[key]), key)
    auths: Any = config.get("auths")
    entry: Any = cast(dict[str, Any], auths).get(key) if isinstance(auths, dict) else None
    if isinstance(entry, dict) and (found := _in_entry(cast(dict[str, Any], entry), key, path)):
        return found
    store = config.get("credsStore")
    if isinstance(store, str) and store and entry is not None:
        return _ask_helper(store, key)
    return None


def _in_entry(entry: Mapping[str, Any], key: str, path: Path) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    auth = entry.get("auth")
    if not isinstance(auth, str) or not auth:
        return None
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = user = password = ""
    if not colon:
        raise Refused(f"{path}: the entry for {key} cannot be read; log in to {key} again")
    return Credentials(user, password)


def _ask_helper(helper: str, key: str) -> Credentials | None:
    """docker-credential-helpers: the registry on standard input, JSON on standard output."""
    if not _HELPER.fullmatch(helper):
        raise Refused(f"credential helper {helper[:60]!r}: not a name of one")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=key.encode(), capture_output=True, timeout=HELPER_SECONDS)
    except OSError as error:
        raise Refused(f"{program}: {error.strerror or error}; install it, or log in to {key} again") from None
    except subprocess.TimeoutExpired:
        raise Refused(f"{program}: no answer in {HELPER_SECONDS} s") from None
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode:
        if "not found" in said:
            return None
        raise Refused(f"{program}: {said.splitlines()[0][:200] if said else f'exit code {done.returncode}'}")
    try:
        answer: Any = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{program}: its answer is not a helper's") from None
    return Credentials(identity_token=secret) if user == "<token>" else Credentials(user, secret)


def _files() -> Iterator[Path]:
    environment = os.environ.get
    if named := environment("REGISTRY_AUTH_FILE"):
        yield Path(named)
    yield Path(environment("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if runtime := environment("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"


def _read(path: Path) -> Mapping[str, Any] | None:
    return read_json(path, Refused, "file of credentials") if os.access(path, os.R_OK) else None
