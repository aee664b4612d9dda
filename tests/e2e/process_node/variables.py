"""A container's variables, as makeEnvironmentVariables in pkg/kubelet/kubelet_pods.go makes them.

Of services' variables only those of ``kubernetes`` are made, as with ``enableServiceLinks: false``.
"""

import base64
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.e2e.cluster_watch import Refused

Object = dict[str, Any]


class ConfigError(Exception):
    """Why a container cannot be made yet: CreateContainerConfigError, or FailedMount."""


@dataclass(frozen=True)
class Facts:
    """What the downward API tells: the pod as it is, addresses, and what the node can allocate."""

    pod: Object
    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, str]
    get: Callable[[str], Awaitable[Object]]
    post: Callable[[str, Object], Awaitable[Object]]

    @property
    def namespace(self) -> str:
        return self.pod["metadata"]["namespace"]

    async def config_map(self, name: str, *, optional: bool) -> dict[str, bytes] | None:
        it = await self._find("configmap", name, optional=optional)
        if it is None:
            return None
        text = {key: value.encode() for key, value in (it.get("data") or {}).items()}
        return text | {key: base64.b64decode(value) for key, value in (it.get("binaryData") or {}).items()}

    async def secret(self, name: str, *, optional: bool) -> dict[str, bytes] | None:
        it = await self._find("secret", name, optional=optional)
        return None if it is None else {key: base64.b64decode(value) for key, value in (it.get("data") or {}).items()}

    async def token(self, path: str, spec: Object) -> str:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        try:
            return (await self.post(path, body))["status"]["token"]
        except Refused as error:
            raise ConfigError(f"failed to fetch token: {error}") from None

    async def _find(self, kind: str, name: str, *, optional: bool) -> Object | None:
        try:
            return await self.get(f"/api/v1/namespaces/{self.namespace}/{kind}s/{name}")
        except Refused as error:
            if error.code == 404 and optional:
                return None
            raise ConfigError(f'{kind} "{name}" not found' if error.code == 404 else str(error)) from None


async def variables(container: Object, facts: Facts, services: Mapping[str, str]) -> dict[str, str]:
    """Raises ConfigError."""
    made: dict[str, str] = {}
    for origin in container.get("envFrom", ()):
        made |= await _all_of(origin, facts)
    for variable in container.get("env", ()):
        if variable.get("value"):
            made[variable["name"]] = expand(variable["value"], {**services, **made})
        elif "valueFrom" not in variable:
            made[variable["name"]] = ""
        elif (value := await _value_from(variable["valueFrom"], container, facts)) is not None:
            made[variable["name"]] = value
    return {**services, **made}


async def _all_of(origin: Object, facts: Facts) -> dict[str, str]:
    prefix = origin.get("prefix", "")
    if reference := origin.get("configMapRef"):
        found = await facts.config_map(reference["name"], optional=reference.get("optional", False))
    else:
        reference = origin["secretRef"]
        found = await facts.secret(reference["name"], optional=reference.get("optional", False))
    return {prefix + key: value.decode() for key, value in (found or {}).items()}


async def _value_from(origin: Object, container: Object, facts: Facts) -> str | None:
    if reference := origin.get("fieldRef"):
        return field_value(reference["fieldPath"], facts)
    if reference := origin.get("resourceFieldRef"):
        return resource_value(reference, container, facts)
    kind, reference = next(iter(origin.items()))
    optional = reference.get("optional", False)
    find, word = (facts.secret, "Secret") if kind == "secretKeyRef" else (facts.config_map, "ConfigMap")
    found = await find(reference["name"], optional=optional)
    if found is not None and reference["key"] in found:
        return found[reference["key"]].decode()
    if optional:
        return None
    raise ConfigError(f"couldn't find key {reference['key']} in {word} {facts.namespace}/{reference['name']}")


def field_value(path: str, facts: Facts) -> str:
    """A field of the pod. ``metadata.labels`` and ``annotations`` whole are lines of ``key="value"``."""
    pod = facts.pod
    if named := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return pod["metadata"].get(named[1], {}).get(named[2], "")
    match path:
        case "status.podIP" | "status.podIPs":
            return facts.pod_ip
        case "status.hostIP" | "status.hostIPs":
            return facts.host_ip
        case "spec.nodeName" | "spec.serviceAccountName":
            return pod["spec"].get(path.removeprefix("spec."), "")
        case "metadata.labels" | "metadata.annotations":
            entries = sorted(pod["metadata"].get(path.removeprefix("metadata."), {}).items())
            return "\n".join(f'{key}="{_escaped(value)}"' for key, value in entries)
        case _:
            return str(pod["metadata"].get(path.removeprefix("metadata."), ""))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_value(reference: Object, container: Object, facts: Facts) -> str:
    """Limits that are not set are what the node can allocate; requests, 0. Rounded up to the divisor."""
    which, _, name = reference["resource"].partition(".")
    given = container.get("resources", {}).get(which, {}).get(name)
    if given is None:
        given = facts.allocatable.get(name, "0") if which == "limits" else "0"
    divisor = quantity(reference.get("divisor") or "1") or Decimal(1)
    return str(math.ceil(quantity(given) / divisor))


_SUFFIXES = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


def quantity(text: str) -> Decimal:
    found = re.fullmatch(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)([a-zA-Z]*)", str(text))
    assert found, text
    return Decimal(found[1]) * _SUFFIXES[found[2]]


def expand(text: str, values: Mapping[str, str]) -> str:
    """``$(NAME)`` becomes its value, ``$$`` a dollar sign; an unknown name stays as it is written."""

    def one(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else values.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


def expand_path(text: str, values: Mapping[str, str]) -> str:
    """Of ``subPathExpr``. Raises ConfigError for an unknown name."""
    for name in re.findall(r"(?<!\$)\$\(([^)]*)\)", text):
        if name not in values:
            raise ConfigError(f'missing value for "{name}"')
    return expand(text, values)
