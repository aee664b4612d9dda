"""ClusterProfile: what one cluster calls the things that resources ask for by abstract names."""

from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import Annotations, Column, Conditions, Name, Resource, ResourceKind, SpecRule, Wire
from lykeion.platform.resources.programs import LabelKey, LabelValue, Toleration
from lykeion.platform.resources.runs import unique_names


class AcceleratorProfile(Wire, frozen=True):
    """How a cluster gives a program one type of accelerator."""

    name: Annotated[Name, Meta(description="The abstract name, such as `t4`.")]
    resource_name: Annotated[
        LabelKey, Meta(description="What a container requests of the kubelet, such as `nvidia.com/gpu`.")
    ]
    node_selector: Annotated[
        dict[LabelKey, LabelValue], Meta(max_length=32, description="Labels of the nodes that have it.")
    ] = {}
    tolerations: Annotated[tuple[Toleration, ...], Meta(max_length=32, description="Taints of these nodes.")] = ()


class StorageProfile(Wire, frozen=True):
    """Where volumes are kept."""

    class_name: Annotated[Name, Meta(description="The StorageClass; by default the cluster's.")] | None = None
    shared: Annotated[bool, Meta(description="Whether pods on several nodes can mount a volume at a time.")] = False


class AllowedCluster(Wire, frozen=True):
    """Another cluster, in which steps of pipelines may run."""

    name: Annotated[Name, Meta(description="By which steps name it.")]
    server: Annotated[
        str,
        Meta(
            max_length=255,
            pattern=r"^https://[!-~]+\Z",
            description="Its API server; credentials for another are refused.",
            extra={"must be": "an address such as https://10.0.0.1:6443"},
        ),
    ]
    namespaces: Annotated[
        tuple[Name, ...],
        Meta(min_length=1, max_length=64, description="Of this cluster: those whose pipelines may use it."),
    ]


class ClusterProfileSpec(Wire, frozen=True):
    """What is particular to one cluster, so that no other resource names it."""

    accelerators: Annotated[
        tuple[AcceleratorProfile, ...], Meta(max_length=64, description="Types that programs may ask for.")
    ] = ()
    storage: Annotated[StorageProfile, Meta(description="Where volumes are kept.")] = StorageProfile()
    identity: Annotated[
        Annotations,
        Meta(
            description="Annotations of the service account that reads and writes the registry, as clouds want them."
        ),
    ] = {}
    registry_prefix: Annotated[
        str,
        Meta(
            max_length=255,
            pattern=r"^([a-z0-9][a-z0-9._:/-]*)?\Z",
            description="Put before the names of models and artifacts that have no host.",
            extra={"must be": "a host and path, such as registry.example.com/shop"},
        ),
    ] = ""
    gateway_class_name: Annotated[Name, Meta(description="Of the gateway for services.")] | None = None
    gateway_namespace: Annotated[
        Name, Meta(description="Where the Gateway `lykeion` of this class is, to which services are attached.")
    ] = "lykeion-gateway"
    gateway_url: Annotated[
        str,
        Meta(
            max_length=255,
            pattern=r"^(https?://[!-~]+)?\Z",
            description="Where the gateway is reached; by default services are known by their names in the cluster.",
            extra={"must be": "an address such as https://models.example.com"},
        ),
    ] = ""

    clusters: Annotated[
        tuple[AllowedCluster, ...], Meta(max_length=16, description="Others in which steps of pipelines may run.")
    ] = ()

    rules: ClassVar[tuple[SpecRule, ...]] = (unique_names("accelerators"), unique_names("clusters"))


class Capacity(Wire, frozen=True):
    cores: float = 0
    memory_bytes: int = 0
    accelerators: Annotated[dict[str, int], Meta(max_length=64)] = {}
    """How many there are, by type."""


class ClusterProfileStatus(Wire, frozen=True):
    capacity: Capacity = Capacity()
    """For programs, of a machine; of a cluster it is not known."""
    conditions: Conditions = ()


CLUSTER_PROFILE = ResourceKind(
    "ClusterProfile",
    "clusterprofiles",
    ClusterProfileSpec,
    ClusterProfileStatus,
    "What one cluster calls the things that resources ask for by abstract names.",
    ("profile",),
    (
        Column("Registry", ".spec.registryPrefix"),
        Column("Storage", ".spec.storage.className"),
        Column("Gateway", ".spec.gatewayClassName", wide=True),
        Column("Cores", ".status.capacity.cores", "number"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    namespaced=False,
)
ClusterProfile = Resource[ClusterProfileSpec, ClusterProfileStatus]
