"""deploy/: the files are what the source says, and an installation by kustomize is one by the command."""

import asyncio
import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.control import NoSuchResource, ResourceError, read_resource
from lykeion.core.fields import Fields
from lykeion.delivery.device_service import FLEET_KINDS
from lykeion.oci.distribution import InvalidReference
from lykeion.platform import DEFINED
from lykeion.platform.kubernetes.installing.cloud_profiles import PROFILES, cloud_profile
from lykeion.platform.kubernetes.installing.found_installation import find_installation
from lykeion.platform.kubernetes.installing.operator_manifests import (
    Installation,
    definitions,
    operator_objects,
    pod_monitor,
)
from lykeion.platform.kubernetes.installing.operator_rules import CREDENTIALS
from tests.e2e.control_plane.tools import tool

DEPLOY = Path(__file__).parents[3] / "deploy"
IMAGE = "registry.example.com/lykeion/operator:latest"
ROLE = "arn:aws:iam::ACCOUNT:role/lykeion"
FLEET = tuple(FLEET_KINDS.values())
OVERLAYS = {
    **{profile: Installation(profile, image=IMAGE) for profile in PROFILES},
    "eks-irsa": Installation("eks", image=IMAGE, account=ROLE),
    "single-namespace": Installation("plain", image=IMAGE, only="lykeion-work"),
}


def _writer() -> Any:
    spec = importlib.util.spec_from_file_location("write", DEPLOY / "write.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _built(directory: Path) -> list[dict[str, Any]]:
    command = [str(tool("kubectl")), "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _by_name(documents: Any) -> dict[tuple[str, str, str], Any]:
    plain = json.loads(json.dumps(documents))
    made = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in plain}
    assert len(made) == len(plain)
    return made


def test_the_manifests_in_deploy_are_what_the_source_says() -> None:
    written = {**dict(_writer().manifests()), **dict(_writer().fleet())}
    for file, content in written.items():
        assert file.read_text() == content, "run: python deploy/write.py"
    assert set((DEPLOY / "base").iterdir()) == {each for each in written if each.parent.name == "base"}


def test_there_is_an_overlay_for_each_profile_and_no_other() -> None:
    assert {each.name for each in (DEPLOY / "overlays").iterdir()} == set(OVERLAYS)


@pytest.mark.slow
@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_gives_what_the_command_installs(name: str) -> None:
    made = _by_name(_built(DEPLOY / "overlays" / name))
    assert made == _by_name(operator_objects(OVERLAYS[name]))


@pytest.mark.slow
def test_the_component_adds_a_pod_monitor(tmp_path: Path) -> None:
    overlay = DEPLOY / "overlays" / "plain"
    paths = {"resources": [str(overlay)], "components": [str(DEPLOY / "components" / "pod-monitor")]}
    relative = {key: [os.path.relpath(each, tmp_path) for each in value] for key, value in paths.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    made = _by_name(_built(tmp_path))
    assert made[("PodMonitor", "lykeion-system", "lykeion-operator")] == pod_monitor("lykeion-system")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_profile_of_a_cloud_is_a_valid_resource(profile: str) -> None:
    document = yaml.safe_load((DEPLOY / "overlays" / profile / "profile.yaml").read_text())
    read = read_resource(Fields(profile, document), DEFINED)
    assert read.spec == cloud_profile(profile).spec


def test_what_a_cloud_has_no_accounts_for_is_refused() -> None:
    with pytest.raises(ResourceError, match="plain has no accounts"):
        operator_objects(Installation("plain", account="someone"))
    with pytest.raises(ResourceError, match=r"no profile 'gcp'; there is plain, kind, gke, eks, aks"):
        operator_objects(Installation("gcp"))


def test_the_operator_s_pod_is_one_that_a_restricted_namespace_takes() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    (deployment,) = (each for each in operator_objects(Installation()) if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(each.keys() & {"emptyDir", "secret"} for each in pod["volumes"])
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]


def test_no_rule_of_the_operator_names_secrets_or_a_wildcard_but_one_that_only_namespaces_bind() -> None:
    for only in ("", "shop"):
        made = operator_objects(Installation(only=only))
        rules = [(each["metadata"]["name"], rule) for each in made for rule in each.get("rules", ())]
        for name, rule in rules:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in words
            assert ("secrets" in words) == (name == CREDENTIALS)
        (given,) = (rule for name, rule in rules if name == CREDENTIALS)
        assert (given["verbs"], given["resourceNames"]) == (["get"], [CREDENTIALS])
        assert CREDENTIALS not in [each["roleRef"]["name"] for each in made if "roleRef" in each]


def test_in_one_namespace_the_operator_has_no_rights_in_others() -> None:
    made = _by_name(operator_objects(Installation(only="shop")))
    everywhere = made[("ClusterRole", "", "lykeion-operator")]["rules"]
    assert [each["resources"] for each in everywhere] == [["clusterprofiles"]]
    assert everywhere[0]["verbs"] == ["list", "watch"]
    assert ("Role", "shop", "lykeion-operator-work") in made


def test_registries_that_speak_plain_http_are_known_to_the_operator_and_reached_and_an_upgrade_keeps_them() -> None:
    named = "http://registry.shop.svc:5000 http://plain.example"
    made = operator_objects(Installation(registries=named, image=IMAGE))
    (deployment,) = (each for each in made if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "LYKEION_REGISTRIES", "value": named} in container["env"]
    (policy,) = (each for each in made if each["kind"] == "NetworkPolicy" and "egress" in each["spec"])
    ports = {port["port"] for rule in policy["spec"]["egress"] if "to" not in rule for port in rule["ports"]}
    assert ports == {53, 443, 6443, 80, 5000}

    client: Any = _Installed(made)
    assert asyncio.run(find_installation(client)) == Installation(registries=named, image=IMAGE)
    with pytest.raises(InvalidReference, match=r"registries: 'registry\.shop\.svc:5000': write http://HOST:PORT"):
        operator_objects(Installation(registries="registry.shop.svc:5000"))


def test_what_the_option_fleet_adds_is_what_deploy_fleet_has_and_gives_the_operator_no_right() -> None:
    plain, with_fleet = Installation(), Installation(fleet=FLEET)
    more = _by_name(operator_objects(with_fleet)) | _by_name(definitions(with_fleet.kinds.values()))
    less = _by_name(operator_objects(plain)) | _by_name(definitions(plain.kinds.values()))
    files = [each for each in (DEPLOY / "fleet").iterdir() if each.name != "kustomization.yaml"]
    documents = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    assert {name: each for name, each in more.items() if name not in less} == _by_name(documents)
    assert {name: more[name] for name in less} == less
    bound = {each["roleRef"]["name"] for each in more.values() if "roleRef" in each}
    assert not any("fleet" in each for each in bound)


def test_kinds_of_a_fleet_that_a_person_has_defined_are_the_persons_to_keep() -> None:
    def defined_by(manager: str) -> list[dict[str, Any]]:
        made = definitions(FLEET)
        return [{**each, "metadata": {**each["metadata"], "managedFields": [{"manager": manager}]}} for each in made]

    installed = operator_objects(Installation(image=IMAGE))
    client: Any = _Installed([*installed, *defined_by("lykeion-install")])
    assert asyncio.run(find_installation(client, FLEET)) == Installation(image=IMAGE, fleet=FLEET)
    client = _Installed([*installed, *defined_by("kubectl")])
    assert asyncio.run(find_installation(client, FLEET)) == Installation(image=IMAGE)


def test_a_deployment_that_a_tenant_labels_as_the_operator_is_not_taken_for_the_installation() -> None:
    theirs = operator_objects(Installation(namespace="a-tenant"))
    foreign = next(each for each in theirs if each["kind"] == "Deployment")
    client: Any = _Installed([foreign, *operator_objects(Installation(image=IMAGE))])
    assert asyncio.run(find_installation(client)) == Installation(image=IMAGE)
    client = _Installed([foreign])
    assert asyncio.run(find_installation(client)) is None


class _Installed:
    """An API server with these objects, but no ClusterProfile."""

    def __init__(self, objects: list[Any]) -> None:
        self.objects = [each for each in objects if each["kind"] != "ClusterProfile"]

    async def get(self, path: str, what: str, query: Any = None) -> Any:
        kind, _, name = what.partition("/")
        alike = [each for each in self.objects if each["kind"].lower() in (kind, kind.removesuffix("s"))]
        if not name:
            return {"items": alike}
        for each in alike:
            where = each["metadata"].get("namespace")
            if each["metadata"]["name"] == name and (where is None or f"/namespaces/{where}/" in path):
                return each
        raise NoSuchResource(f"there is no {what}")


def test_bounds_of_definitions_are_those_of_openapi_3() -> None:
    for file in (DEPLOY / "fleet" / "rollouts.yaml", DEPLOY / "fleet" / "experiments.yaml"):
        lines = [line.strip() for line in file.read_text().splitlines() if "exclusive" in line]
        assert {line.split(": ")[1] for line in lines} == {"true"}
