"""Writes from the source what a cluster is given (crds/, base/, profiles) and the tables of docs/resources.md.

Run it when the test of either fails: python deploy/write.py
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lykeion.control import AnyKind, custom_resource_definition, field_rows
from lykeion.delivery.device_service import FLEET_KINDS
from lykeion.platform import DEFINED
from lykeion.platform.kubernetes.installing.cloud_profiles import PROFILES
from lykeion.platform.kubernetes.installing.fleet_roles import fleet_roles
from lykeion.platform.kubernetes.installing.operator_board import board
from lykeion.platform.kubernetes.installing.operator_manifests import (
    Installation,
    operator_objects,
    pod_monitor,
    profile_object,
    program_policy,
)

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "resources.md"
DEPLOY = ROOT / "deploy"
ONE_NAMESPACE = "lykeion-work"
"""Where the operator works in the overlay single-namespace."""
HEAD = """# Resources

Every field that may be written, in `apiVersion: lykeion.github.io/v1alpha1`. [platform.md](platform.md) says what is
done with them, [rollouts.md](rollouts.md) and [experiments.md](experiments.md) with those of a fleet of devices.
`deploy/crds/` and `deploy/fleet/` have the same for a cluster. This page is written by `python deploy/write.py`.
"""


def definitions() -> Iterator[tuple[Path, str]]:
    """The files of deploy/crds and their content."""
    for kind in DEFINED.values():
        yield DEPLOY / "crds" / f"{kind.plural}.yaml", _yaml([custom_resource_definition(kind)])


def fleet() -> Iterator[tuple[Path, str]]:
    """What a cluster is given that keeps the rollouts of a device server, which runs there or elsewhere."""
    kinds = list(FLEET_KINDS.values())
    for kind in kinds:
        yield DEPLOY / "fleet" / f"{kind.plural}.yaml", _yaml([custom_resource_definition(kind)])
    yield DEPLOY / "fleet" / "roles.yaml", _yaml(list(fleet_roles(kinds)))
    yield (
        DEPLOY / "fleet" / "kustomization.yaml",
        _kustomization([f"{each.plural}.yaml" for each in kinds] + ["roles.yaml"]),
    )


def manifests() -> Iterator[tuple[Path, str]]:
    """The files of the kustomize base, and those of overlays that repeat a source."""
    base = DEPLOY / "base"
    by_file: dict[str, list[Any]] = {}
    for each in operator_objects(Installation()):
        if each["kind"] != "ClusterProfile":
            by_file.setdefault(_file_of(each["kind"], each["metadata"]["name"]), []).append(each)
    for name, documents in by_file.items():
        yield base / name, _yaml(documents)
    yield base / "kustomization.yaml", _kustomization(sorted(by_file))
    for profile in PROFILES:
        yield DEPLOY / "overlays" / profile / "profile.yaml", _yaml([profile_object(Installation(profile))])
    one = [
        each
        for each in operator_objects(Installation(only=ONE_NAMESPACE))
        if each["kind"] in ("Role", "RoleBinding") and each["metadata"]["namespace"] == ONE_NAMESPACE
    ]
    yield DEPLOY / "overlays" / "single-namespace" / "roles.yaml", _yaml(one)
    yield DEPLOY / "components" / "pod-monitor" / "pod-monitor.yaml", _yaml([pod_monitor(Installation().namespace)])
    yield DEPLOY / "grafana" / "lykeion.json", json.dumps(board(), indent=2) + "\n"
    yield DEPLOY / "program-network" / "network-policy.yaml", _yaml([program_policy("default")])


def _file_of(kind: str, name: str) -> str:
    if kind.endswith(("Role", "RoleBinding")):
        return "user-roles.yaml" if name in ("lykeion-view", "lykeion-edit") else "operator-roles.yaml"
    return {"NetworkPolicy": "network-policies.yaml", "ServiceAccount": "service-account.yaml"}.get(
        kind, f"{kind.lower()}.yaml"
    )


def _yaml(documents: Sequence[Any]) -> str:
    plain = json.loads(json.dumps(documents))  # no aliases, no tuples
    return yaml.safe_dump_all(plain, sort_keys=False, width=118)


def _kustomization(files: Sequence[str]) -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return yaml.safe_dump({**head, "resources": list(files)}, sort_keys=False)


def page() -> str:
    return "\n".join([HEAD, *("\n".join(_section(kind)) for kind in (*DEFINED.values(), *FLEET_KINDS.values()))])


def _section(kind: AnyKind) -> Iterator[str]:
    yield f"## {kind.name}\n"
    yield f"{kind.about} Short for `get`: {', '.join(f'`{each}`' for each in kind.short_names)}.\n"
    yield "| field of `spec` | what it may be | default | meaning |"
    yield "|---|---|---|---|"
    for row in field_rows(kind.spec):
        yield f"| `{row.name}` | {row.values} | {row.default} | {row.description} |"
    yield ""


if __name__ == "__main__":
    for file, content in (*definitions(), *fleet(), *manifests()):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    PAGE.write_text(page())
