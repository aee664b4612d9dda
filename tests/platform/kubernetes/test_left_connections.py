"""What connections to other clusters have left is removed if it is ours alone, and named if it is not."""

import asyncio
from typing import Any

import pytest

from lykeion.platform.kubernetes.api.server_answers import ClusterRefused
from lykeion.platform.kubernetes.installing.left_connections import LeftObject, delete_left, left_connections

from .memory_cluster import MemoryCluster

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "name": "lykeion-operator", "namespace": "lykeion-system"}


class Connected(MemoryCluster):
    """A cluster in which ``refused`` types may not be listed."""

    refused: tuple[str, ...] = ()

    async def get(self, path: str, what: str, query: Any = None) -> Any:
        if what in self.refused:
            raise ClusterRefused(f"{what}: {what} is forbidden")
        return await super().get(path, what, query)

    def put(self, collection: str, name: str, *managers: str, **content: Any) -> None:
        parts = collection.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        metadata = {"name": name, "uid": f"{collection}/{name}", "resourceVersion": "7"}
        metadata |= {"namespace": namespace} if namespace else {}
        fields = [{"manager": each} for each in managers]
        self.objects[f"{collection}/{name}"] = {"metadata": {**metadata, "managedFields": fields}, **content}

    def left(self, report: Any = print) -> list[LeftObject]:
        return asyncio.run(left_connections(self, "lykeion-system", report))  # type: ignore[arg-type]

    def named(self) -> dict[str, bool]:
        """Whether each is ours."""
        return {str(each): each.is_ours for each in self.left()}


def test_what_connecting_has_made_is_ours_until_somebody_else_writes_to_it() -> None:
    cluster = Connected("here")
    cluster.put("/api/v1/namespaces/shop/secrets", "lykeion-clusters", "lykeion-install")
    cluster.put("/api/v1/namespaces/lab/secrets", "lykeion-clusters", "lykeion-install", "kubectl-create")
    cluster.put("/api/v1/namespaces/lab/secrets", "hook", "lykeion-install")
    writers = ("lykeion-install", "kube-controller-manager", "kube-apiserver")
    cluster.put("/api/v1/namespaces/far/secrets", "lykeion-steps", *writers)
    cluster.put("/api/v1/namespaces/far/serviceaccounts", "lykeion-steps", "lykeion-install")
    cluster.put(f"{RBAC}/namespaces/shop/rolebindings", "lykeion-clusters", "lykeion-install", subjects=[ACCOUNT])
    cluster.put(f"{RBAC}/namespaces/lab/rolebindings", "lykeion-clusters", "kubectl-create", subjects=[ACCOUNT])
    cluster.put(f"{RBAC}/namespaces/lab/rolebindings", "lykeion-webhooks", "kubectl-create", subjects=[ACCOUNT])
    cluster.put(
        f"{RBAC}/namespaces/lab/rolebindings", "admins", "kubectl-create", subjects=[{**ACCOUNT, "name": "a"}]
    )
    cluster.put(f"{RBAC}/clusterrolebindings", "lykeion-clusters", "helm", subjects=None)
    assert cluster.named() == {
        "secret/lykeion-clusters in shop": True,
        "secret/lykeion-clusters in lab": False,
        "secret/lykeion-steps in far": True,
        "serviceaccount/lykeion-steps in far": True,
        "rolebinding/lykeion-clusters in shop": True,
        "rolebinding/lykeion-clusters in lab": False,
        "rolebinding/lykeion-webhooks in lab": False,
        "clusterrolebinding/lykeion-clusters": False,
    }


def test_the_command_that_deletes_what_is_of_others_is_named() -> None:
    cluster = Connected("here")
    cluster.put("/api/v1/namespaces/lab/secrets", "lykeion-clusters", "kubectl-create")
    cluster.put(f"{RBAC}/clusterrolebindings", "lykeion-clusters", "kubectl-create")
    assert [each.command for each in cluster.left()] == [
        "kubectl delete secret lykeion-clusters -n lab",
        "kubectl delete clusterrolebinding lykeion-clusters",
    ]


def test_no_content_of_a_secret_is_read() -> None:
    cluster = Connected("here")
    cluster.put("/api/v1/namespaces/shop/secrets", "lykeion-clusters", "lykeion-install", data={"eks": "c2VjcmV0"})
    (found,) = cluster.left()
    assert "c2VjcmV0" not in repr(found)


def test_what_was_changed_since_it_was_found_is_not_deleted_and_what_has_gone_is_no_error() -> None:
    cluster = Connected("here")
    for namespace in ("lab", "shop", "gone"):
        cluster.put(f"/api/v1/namespaces/{namespace}/secrets", "lykeion-clusters", "lykeion-install")
    lab, shop, gone = cluster.left()
    cluster.objects["/api/v1/namespaces/lab/secrets/lykeion-clusters"]["metadata"]["resourceVersion"] = "8"
    del cluster.objects["/api/v1/namespaces/gone/secrets/lykeion-clusters"]
    deleted = [asyncio.run(delete_left(cluster, each)) for each in (lab, shop, gone)]  # type: ignore[arg-type]
    assert deleted == [False, True, True]
    assert [each["metadata"]["namespace"] for each in cluster.kept("secrets")] == ["lab"]


@pytest.mark.parametrize(
    ("refused", "command"),
    [
        ("secrets", "kubectl get secrets -A --field-selector metadata.name=lykeion-clusters"),
        ("clusterrolebindings", "kubectl get clusterrolebindings"),
    ],
)
def test_what_may_not_be_listed_is_named_with_the_command_that_lists_it(refused: str, command: str) -> None:
    cluster, said = Connected("here"), list[str]()
    cluster.refused = (refused,)
    cluster.put(f"{RBAC}/namespaces/shop/rolebindings", "lykeion-clusters", "lykeion-install", subjects=[ACCOUNT])
    assert [str(each) for each in cluster.left(said.append)] == ["rolebinding/lykeion-clusters in shop"]
    assert said[0] == f"{refused}: {refused} is forbidden; see what is left: {command}"
