"""Letting a namespace's pipelines run steps in another cluster: an account there, its kubeconfig here, two roles."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

import yaml

from lykeion.control import NoSuchResource
from lykeion.core import Invalid
from lykeion.platform.kubernetes.api import ClusterClient
from lykeion.platform.kubernetes.objects import CREDENTIALS, SECRETS, KubeObject, custom_type, inside
from lykeion.platform.resources.settings import CLUSTER_PROFILE

from .cloud_profiles import THIS_CLUSTER
from .found_installation import find_installation
from .installation import PAUSE_S, NotInstalled, NotReady, Report, apply_object
from .installed_objects import INSTALLER
from .operator_manifests import MANAGED, OPERATOR
from .operator_rules import REMOTE, REMOTES, documents

_BY = {"fieldManager": INSTALLER}
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class ClusterLink:
    """``name`` is that of the other cluster in steps; ``there`` is the namespace in it, ``namespace`` that here."""

    name: str
    namespace: str
    there: str


async def connect_cluster(
    here: ClusterClient, other: ClusterClient, link: ClusterLink, report: Report, *, timeout_s: float = 60
) -> None:
    """Again, it brings everything up to date. Raises NotInstalled, NotReady, and what the clients raise."""
    to = await find_installation(here)
    if to is None:
        raise NotInstalled(f"{here.server}: the operator is not installed; see lykeion operator install")
    if not other.server.startswith("https://"):
        raise Invalid(f"{other.server}: credentials are sent only to https")
    for each in account_objects(link.there):
        report(f"there: {_name(each)} {await apply_object(other, each)}")
    text = _kubeconfig(other.server, link.there, await _token(other, link.there, timeout_s))
    await _give(here, link, text)
    report(f"here: secret/{CREDENTIALS} has the key {link.name}")
    binding = _binding(CREDENTIALS, "ClusterRole", link.namespace, OPERATOR, to.namespace)
    report(f"here: {_name(binding)} {await apply_object(here, binding)}")
    await _allow(here, link, other.server)
    report(f"here: clusterprofile/{THIS_CLUSTER} lets {link.namespace} use {link.name}")


def account_objects(namespace: str) -> list[KubeObject]:
    """What the other cluster is given: an account that may do no more than make and remove runs in a namespace."""
    account = {"kubernetes.io/service-account.name": REMOTE}
    named = _head("v1", "ServiceAccount", REMOTE, namespace)
    named["metadata"]["labels"] = MANAGED  # else it says nothing, and the server would note nobody as who has made it
    return [
        named,
        {**_head(f"{_RBAC}/v1", "Role", REMOTE, namespace), "rules": documents(REMOTES)},
        _binding(REMOTE, "Role", namespace, REMOTE, namespace),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": REMOTE, "namespace": namespace, "annotations": account},
            "type": "kubernetes.io/service-account-token",
        },
    ]


async def _token(other: ClusterClient, namespace: str, timeout_s: float) -> dict[str, bytes]:
    """The cluster writes it into the Secret a moment later."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                data = inside(await other.get(SECRETS.path(namespace, REMOTE), f"secret/{REMOTE}"), "data")
                if "token" in data and "ca.crt" in data:
                    return {name: base64.b64decode(data[name]) for name in ("token", "ca.crt")}
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        raise NotReady(f"{other.server}: secret/{REMOTE} in {namespace} got no token in {timeout_s:g} s") from None


def _kubeconfig(server: str, namespace: str, given: dict[str, bytes]) -> bytes:
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(given["ca.crt"]).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "other", "cluster": cluster}],
        "users": [{"name": REMOTE, "user": {"token": given["token"].decode()}}],
        "contexts": [{"name": "other", "context": {"cluster": "other", "user": REMOTE, "namespace": namespace}}],
        "current-context": "other",
    }
    return yaml.safe_dump(document).encode()


async def _give(here: ClusterClient, link: ClusterLink, text: bytes) -> None:
    """Other keys of the Secret stay. Who has written what, its managed fields say: uninstalling goes by them."""
    path, what = SECRETS.path(link.namespace, CREDENTIALS), f"secret/{CREDENTIALS}"
    document = _head("v1", "Secret", CREDENTIALS, link.namespace)
    document["data"] = {link.name: base64.b64encode(text).decode()}
    try:
        await here.patch(path, what, document, "merge", _BY)
    except NoSuchResource:
        await here.post(SECRETS.path(link.namespace), what, document, _BY)


async def _allow(here: ClusterClient, link: ClusterLink, server: str) -> None:
    path, what = custom_type(CLUSTER_PROFILE).path(name=THIS_CLUSTER), f"clusterprofile/{THIS_CLUSTER}"
    profile = await here.get(path, what)
    clusters: list[dict[str, Any]] = profile["spec"].get("clusters") or []
    known: set[str] = {name for each in clusters if each["name"] == link.name for name in each["namespaces"]}
    namespaces = sorted({*known, link.namespace})
    allowed: dict[str, Any] = {"name": link.name, "server": server, "namespaces": namespaces}
    others = [each for each in clusters if each["name"] != link.name]
    metadata = {"resourceVersion": profile["metadata"]["resourceVersion"]}
    await here.patch(path, what, {"metadata": metadata, "spec": {"clusters": [*others, allowed]}}, "merge")


def _binding(role: str, kind: str, namespace: str, account: str, of: str) -> KubeObject:
    return {
        **_head(f"{_RBAC}/v1", "RoleBinding", role, namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": of}],
    }


def _head(api_version: str, kind: str, name: str, namespace: str) -> KubeObject:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _name(document: KubeObject) -> str:
    return f"{document['kind'].lower()}/{document['metadata']['name']}"
