"""How each object of an installation begins. Pure."""

from typing import Any

PART_OF = {"app.kubernetes.io/name": "lykeion", "app.kubernetes.io/part-of": "lykeion"}
RBAC = "rbac.authorization.k8s.io/v1"

Document = dict[str, Any]


def head(
    api_version: str, kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None
) -> Document:
    metadata: Document = {"name": name, "labels": {**PART_OF, **(labels or {})}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
