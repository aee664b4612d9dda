"""Who we are to a registry: what ``docker login``, ``podman login``, credential helpers and pull secrets keep.

Looked for in ``$REGISTRY_AUTH_FILE``; ``$DOCKER_CONFIG``, else ``~/.docker``; podman's ``containers/auth.json`` in
``$XDG_RUNTIME_DIR``, else ``/run/containers/UID/auth.json``, and in ``~/.config``. The first that knows the registry
counts. A directory is one with ``config.json`` or, as Kubernetes mounts a pull secret, ``.dockerconfigjson``. Nothing
is ever written there.

A key is a host, or a host and a path of repositories, as in containers-auth.json(5); docker's ``https://HOST/v1/`` is
its host, and Kubernetes' ``*.example.com`` any host with one more label. The longest path counts.
"""

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from lykeion.core import Refused, read_json

HELPER_SECONDS = 60
NAMES = ("config.json", ".dockerconfigjson")
"""In a directory: docker's, and the one that Kubernetes mounts."""
_HELPER = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


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
    """For the repository if a file has some for its path, else for the host.

    Raises Refused where a helper fails, and where what a variable names cannot be read.
    """
    for path, named in _files():
        if named or os.access(path, os.R_OK):
            config = read_json(path, Refused, "file of credentials")
            if found := _in_config(config, host, repository, path):
                return found
    return None


def _in_config(config: Mapping[str, Any], host: str, repository: str, path: Path) -> Credentials | None:
    helpers, auths = _object(config, "credHelpers"), _object(config, "auths")
    for key in _fitting(helpers, host, repository):
        if found := _ask_helper(str(helpers[key]), key, path):
            return found
    keys = _fitting(auths, host, repository)
    for key in keys:
        if isinstance(auths[key], dict) and (found := _in_entry(auths[key], key, path)):
            return found
    store = config.get("credsStore")
    if isinstance(store, str) and store:
        return _ask_helper(store, keys[0] if keys else _server(host), path)
    return None


def _object(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    value: Any = config.get(name)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _fitting(keys: Iterable[str], host: str, repository: str) -> list[str]:
    """The keys that are for the repository, the best first."""
    ranks = {key: rank for key in keys if (rank := _rank(key, _hub(host.lower()), repository.split("/")))}
    return sorted(ranks, key=lambda key: ranks[key], reverse=True)


def _rank(key: str, host: str, repository: list[str]) -> tuple[int, bool, bool] | None:
    """How well a key fits: the length of its path, whether it says the host outright, and plainly. None if it is for
    others."""
    place, _, rest = re.sub("^https?://", "", key).partition("/")
    path = [part for part in rest.split("/") if part]
    if path[:1] in (["v1"], ["v2"]):
        del path[0]
    if not _is_of(_hub(place.lower()), host) or repository[: len(path)] != path:
        return None
    return len(path), "*" not in place, "://" not in key


def _is_of(place: str, host: str) -> bool:
    """Whether a key's host, in which a star stands for a part of one label, is the registry's."""
    labels, patterns = host.split("."), place.split(".")
    like = "*" in place and len(labels) == len(patterns) and all(map(fnmatchcase, labels, patterns))
    return place == host or like


def _hub(host: str) -> str:
    return "docker.io" if host in _DOCKER_HUB else host


def _server(host: str) -> str:
    """What docker calls a registry when it asks a helper."""
    return "https://index.docker.io/v1/" if _hub(host) == "docker.io" else host


def _in_entry(entry: Mapping[str, Any], key: str, path: Path) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    auth, given = entry.get("auth"), (entry.get("username"), entry.get("password"))
    if not isinstance(auth, str) or not auth:
        return Credentials(*map(str, given)) if all(given) else None
    try:
        whole = auth + "=" * (-len(auth) % 4)  # which some leave out
        user, colon, password = base64.b64decode(whole, validate=True).decode().rstrip("\0\n").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = user = password = ""
    if not colon:
        raise Refused(f"{path}: the entry for {key} cannot be read; log in to {key} again")
    return Credentials(user, password)


def _ask_helper(helper: str, key: str, path: Path) -> Credentials | None:
    """docker-credential-helpers: the registry on standard input, JSON on standard output. ``path`` is where it is
    named."""
    if not _HELPER.fullmatch(helper):
        raise Refused(f"{path}: credential helper {helper[:60]!r}: not a name of one")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=key.encode(), capture_output=True, timeout=HELPER_SECONDS)
    except OSError as error:
        raise Refused(
            f"{program}, which {path} names: {error.strerror or error}; install it, or take it out and log in again"
        ) from None
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


def _files() -> Iterator[tuple[Path, bool]]:
    """Where credentials may be, and whether that is an error where it cannot be read."""
    environment = os.environ.get
    if named := environment("REGISTRY_AUTH_FILE"):
        yield _file_in(Path(named)), True
    docker, home = environment("DOCKER_CONFIG"), _home()
    file = _file_in(Path(docker or home / ".docker"))
    yield file, bool(docker) and os.access(file, os.F_OK)
    runtime = environment("XDG_RUNTIME_DIR")
    yield Path(f"{runtime}/containers" if runtime else f"/run/containers/{os.getuid()}") / "auth.json", False
    yield Path(environment("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json", False


def _file_in(place: Path) -> Path:
    """The file itself, or the one in a directory."""
    files = [place / name for name in NAMES]
    otherwise = files[0] if os.access(f"{place}/.", os.F_OK) else place
    return next((file for file in files if os.access(file, os.F_OK)), otherwise)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container under a number that no user has
        return Path("/nonexistent")
