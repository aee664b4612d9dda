"""The ClusterProfile of each cloud: what it calls accelerators and storage, and how it knows who pulls and pushes.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/gpus,
https://docs.aws.amazon.com/eks/latest/userguide/ml-eks-optimized-ami.html,
https://learn.microsoft.com/azure/aks/use-nvidia-gpu
"""

from collections.abc import Mapping

from msgspec import structs

from lykeion.control import CLUSTER, ResourceError
from lykeion.platform.resources.programs import Toleration
from lykeion.platform.resources.settings import (
    CLUSTER_PROFILE,
    AcceleratorProfile,
    ClusterProfile,
    ClusterProfileSpec,
    StorageProfile,
)

THIS_CLUSTER = "this-cluster"
"""The name of the profile of the cluster in which the operator runs."""

_GPU = "nvidia.com/gpu"


def _gpu(name: str, label: str, value: str, taint: str = _GPU) -> AcceleratorProfile:
    toleration = Toleration(key=taint, operator="Exists", effect="NoSchedule")
    return AcceleratorProfile(
        name=name, resource_name=_GPU, node_selector={label: value} if label else {}, tolerations=(toleration,)
    )


_GKE = "cloud.google.com/gke-accelerator"
_NVIDIA = "nvidia.com/gpu.product"
"""Set by NVIDIA's GPU feature discovery, which the GPU operator brings."""
_EKS = "eks.amazonaws.com/instance-gpu-name"
"""Of EKS Auto Mode; with managed node groups, give the label that your groups have."""
_AKS = "node.kubernetes.io/instance-type"
"""AKS labels nodes with accelerators, but not by type."""

PROFILES: Mapping[str, ClusterProfileSpec] = {
    "plain": ClusterProfileSpec(
        accelerators=(_gpu("t4", _NVIDIA, "Tesla-T4"), _gpu("a100", _NVIDIA, "NVIDIA-A100-SXM4-40GB")),
    ),
    "kind": ClusterProfileSpec(storage=StorageProfile(class_name="standard")),
    "gke": ClusterProfileSpec(
        accelerators=(
            _gpu("t4", _GKE, "nvidia-tesla-t4"),
            _gpu("l4", _GKE, "nvidia-l4"),
            _gpu("a100", _GKE, "nvidia-tesla-a100"),
            _gpu("h100", _GKE, "nvidia-h100-80gb"),
        ),
        storage=StorageProfile(class_name="standard-rwo"),
        gateway_class_name="gke-l7-rilb",
    ),
    "eks": ClusterProfileSpec(
        accelerators=(
            _gpu("t4", _EKS, "t4"),
            _gpu("l4", _EKS, "l4"),
            _gpu("a10g", _EKS, "a10g"),
            _gpu("a100", _EKS, "a100"),
            _gpu("h100", _EKS, "h100"),
        ),
        storage=StorageProfile(class_name="gp3"),
    ),
    "aks": ClusterProfileSpec(
        accelerators=(
            _gpu("t4", _AKS, "Standard_NC4as_T4_v3", taint="sku"),
            _gpu("a100", _AKS, "Standard_NC24ads_A100_v4", taint="sku"),
        ),
        storage=StorageProfile(class_name="azurefile-csi", shared=True),
    ),
}
_ACCOUNTS = {
    "gke": "iam.gke.io/gcp-service-account",
    "eks": "eks.amazonaws.com/role-arn",
    "aks": "azure.workload.identity/client-id",
}
"""The annotation of a service account that names the cloud's account which its pods are."""


def identity_of(profile: str, account: str) -> dict[str, str]:
    """The annotations of service accounts; none without an account. Raises ResourceError where there are none."""
    if not account:
        return {}
    if profile not in _ACCOUNTS:
        raise ResourceError(f"--identity: {profile} has no accounts; give the namespace a pull secret instead")
    return {_ACCOUNTS[profile]: account}


def pod_labels_of(profile: str) -> dict[str, str]:
    """What the operator's pod needs beside its service account, to be the cloud's account."""
    return {"azure.workload.identity/use": "true"} if profile == "aks" else {}


def cloud_profile(profile: str, *, account: str = "", registry: str = "") -> ClusterProfile:
    """The resource for ``profile``, one of PROFILES. ``registry`` is the prefix of names without a host."""
    if profile not in PROFILES:
        raise ResourceError(f"there is no profile {profile[:60]!r}; there is {', '.join(PROFILES)}")
    spec = structs.replace(PROFILES[profile], identity=identity_of(profile, account), registry_prefix=registry)
    return CLUSTER_PROFILE.new(THIS_CLUSTER, spec, namespace=CLUSTER)
