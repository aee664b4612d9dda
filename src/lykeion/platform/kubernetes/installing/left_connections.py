"""What connections to other clusters leave in namespaces of users: found, and told from what is the users' own."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lykeion.control import NoSuchResource
from lykeion.core import Conflict
from lykeion.platform.kubernetes.api import ClusterClient, ClusterRefused
from lykeion.platform.kubernetes.objects import CREDENTIALS, SECRETS, SERVICE_ACCOUNTS, KubeObject, ObjectType

from .installation import Report
from .installed_objects import CLUSTER_ROLE_BINDINGS, INSTALLER, ROLE_BINDINGS, ROLES, in_pages
from .operator_manifests import OPERATOR
from .operator_rules import REMOTE

_BY_NAME = ((SECRETS, CREDENTIALS), (SECRETS, REMOTE), (SERVICE_ACCOUNTS, REMOTE), (ROLES, REMOTE))
_BINDINGS = (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)
_CLUSTERS_OWN = frozenset({"kube-controller-manager", "kube-apiserver"})
"""They write into an account's Secret: the token, and when it was last used."""


@dataclass(frozen=True)
class LeftObject:
    """``metadata`` without its values: nothing of a Secret is read."""

    type: ObjectType
    metadata: KubeObject

    @property
    def is_ours(self) -> bool:
        """Whether ``operator connect`` has written all that it says, and nobody has changed it since."""
        managers = {str(each.get("manager")) for each in self.metadata.get("managedFields") or ()}
        return INSTALLER in managers and managers <= {INSTALLER, *_CLUSTERS_OWN}

    @property
    def key(self) -> tuple[str, str, str]:
        """As of a document."""
        return self.type.kind, self.metadata.get("namespace", ""), self.metadata["name"]

    @property
    def command(self) -> str:
        """That deletes it."""
        inside = f" -n {self.metadata['namespace']}" if self.type.namespaced else ""
        return f"kubectl delete {self.type.kind.lower()} {self.metadata['name']}{inside}"

    def __str__(self) -> str:
        inside = f" in {self.metadata['namespace']}" if self.type.namespaced else ""
        return f"{self.type.kind.lower()}/{self.metadata['name']}{inside}"


async def left_connections(
    client: ClusterClient, namespace: str, report: Callable[[str], object]
) -> list[LeftObject]:
    """Secrets and accounts for other clusters, and bindings of the operator's account, that of ``namespace``.

    Types that may not be listed are named to ``report``, with a command that lists them.
    """
    found: list[LeftObject] = []
    for type_, name in _BY_NAME:
        query = {"fieldSelector": f"metadata.name={name}"}
        found += [each async for each in _listed(client, type_, report, query, lambda each: True)]
    for type_ in _BINDINGS:
        found += [each async for each in _listed(client, type_, report, {}, lambda each: _is_left(each, namespace))]
    return found


async def delete_left(client: ClusterClient, left: LeftObject) -> bool:
    """Unless others may have written to it since it was found. Returns whether it is gone."""
    metadata = left.metadata
    conditions = {"uid": metadata["uid"]}
    if metadata["name"] == CREDENTIALS:  # the cluster itself writes to the others
        conditions["resourceVersion"] = metadata["resourceVersion"]
    path = left.type.path(metadata.get("namespace"), metadata["name"])
    try:
        await client.delete(path, str(left), {"propagationPolicy": "Background", "preconditions": conditions})
    except NoSuchResource:
        return True
    except Conflict:
        return False
    return True


async def _listed(
    client: ClusterClient,
    type_: ObjectType,
    report: Report,
    query: dict[str, str],
    is_left: Callable[[KubeObject], bool],
) -> AsyncGenerator[LeftObject, None]:
    """Of bindings the whole is read, of all else only the metadata."""
    read = client.get if type_ in _BINDINGS else client.get_metadata
    try:
        async for each in in_pages(read, type_, query):
            if is_left(each):
                yield LeftObject(type_, each["metadata"])
    except ClusterRefused as refused:
        report(f"{refused}; see what is left: {_listing(type_, query)}")


def _is_left(binding: KubeObject, namespace: str) -> bool:
    if binding["metadata"]["name"] in (CREDENTIALS, REMOTE):
        return True
    subjects: Sequence[dict[str, Any]] = binding.get("subjects") or ()
    account = ("ServiceAccount", OPERATOR, namespace)
    return any((each["kind"], each["name"], each.get("namespace")) == account for each in subjects)


def _listing(type_: ObjectType, query: dict[str, str]) -> str:
    everywhere = " -A" if type_.namespaced else ""
    selected = f" --field-selector {query['fieldSelector']}" if "fieldSelector" in query else ""
    return f"kubectl get {type_.plural}{everywhere}{selected}"
