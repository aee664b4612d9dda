"""What a program's pod is given on a cluster: a closed list, none of which gives it more rights.

The names are those of Kubernetes' PodSpec: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from lykeion.control import Annotations, Labels, Name, SpecRule, Wire

from .quantities import Quantity

IMAGE_NAME = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*(@sha256:[0-9a-f]{64})?\Z"
"""The pattern of what names a container image."""

LabelKey = Annotated[
    str,
    Meta(
        max_length=317,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*\Z",
        extra={"must be": "the key of a label, such as topology.kubernetes.io/zone"},
    ),
]
LabelValue = Annotated[str, Meta(max_length=63)]


class Toleration(Wire, frozen=True):
    key: Annotated[LabelKey, Meta(description="Of the taint; by default all.")] | None = None
    operator: Annotated[Literal["Equal", "Exists"], Meta(description="`Exists` for any value.")] = "Equal"
    value: Annotated[LabelValue, Meta(description="Of the taint.")] = ""
    effect: (
        Annotated[
            Literal["NoSchedule", "PreferNoSchedule", "NoExecute"], Meta(description="Of the taint; by default all.")
        ]
        | None
    ) = None
    toleration_seconds: Annotated[int, Meta(ge=0, description="For `NoExecute`: until it is evicted.")] | None = None


class NodeRequirement(Wire, frozen=True):
    """What a node's label must be."""

    key: Annotated[LabelKey, Meta(description="Of the label.")]
    operator: Annotated[Literal["In", "NotIn", "Exists", "DoesNotExist"], Meta(description="How it is compared.")]
    values: Annotated[tuple[LabelValue, ...], Meta(max_length=64, description="For `In` and `NotIn`.")] = ()

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "values are those of In and NotIn, which need some",
            "(self.operator in ['In', 'NotIn']) == (size(self.values) > 0)",
            lambda each: (each.operator in ("In", "NotIn")) == bool(each.values),
        ),
    )


class PodVolume(Wire, frozen=True):
    """A volume of the namespace, mounted in the container."""

    name: Annotated[Name, Meta(description="Of the volume in the pod.")]
    mount_path: Annotated[
        str,
        Meta(max_length=1024, pattern=r"^/[^\0:]*$", description="In it.", extra={"must be": "an absolute path"}),
    ]
    persistent_volume_claim: Annotated[Name, Meta(description="A claim.")] | None = None
    secret: Annotated[Name, Meta(description="A Secret, each value a file.")] | None = None
    config_map: Annotated[Name, Meta(description="A ConfigMap, each value a file.")] | None = None
    empty_dir: Annotated[Quantity, Meta(description="An empty directory of at most this size.")] | None = None
    image: (
        Annotated[
            str,
            Meta(
                max_length=512,
                pattern=IMAGE_NAME,
                description="The files of an image, such as one that `lykeion images volume` makes of a model or an "
                "index; for reading. Kubernetes 1.35, or 1.33 with the feature gate ImageVolume.",
                extra={"must be": "the name of an image"},
            ),
        ]
        | None
    ) = None
    read_only: Annotated[bool, Meta(description="Forbid writing.")] = False

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give one of persistentVolumeClaim, secret, configMap, emptyDir and image",
            "[has(self.persistentVolumeClaim), has(self.secret), has(self.configMap), has(self.emptyDir), "
            "has(self.image)].filter(given, given).size() == 1",
            lambda volume: (
                [
                    volume.persistent_volume_claim,
                    volume.secret,
                    volume.config_map,
                    volume.empty_dir,
                    volume.image,
                ].count(None)
                == 4
            ),
        ),
    )


class PodTemplate(Wire, frozen=True):
    """Without meaning on a machine, where the condition ``Ignored`` names what is set."""

    labels: Annotated[Labels, Meta(description="Of the pod.")] = {}
    annotations: Annotated[Annotations, Meta(description="Of the pod.")] = {}
    service_account_name: Annotated[Name, Meta(description="By default one without rights.")] | None = None
    image_pull_secrets: Annotated[
        tuple[Name, ...], Meta(max_length=16, description="Secrets with the credentials of registries.")
    ] = ()
    node_selector: Annotated[
        dict[LabelKey, LabelValue], Meta(max_length=32, description="Labels that the node must have.")
    ] = {}
    node_affinity: Annotated[
        tuple[NodeRequirement, ...], Meta(max_length=32, description="What must all be true of the node.")
    ] = ()
    spread_over: (
        Annotated[
            LabelKey,
            Meta(description="The label by whose values the pods are spread, such as `topology.kubernetes.io/zone`."),
        ]
        | None
    ) = None
    tolerations: Annotated[tuple[Toleration, ...], Meta(max_length=32, description="Taints that it endures.")] = ()
    priority_class_name: Annotated[Name, Meta(description="Its priority.")] | None = None
    queue_name: Annotated[Name, Meta(description="The queue of Kueue in which it waits for room.")] | None = None
    shared_memory: Annotated[Quantity, Meta(description="The size of /dev/shm.")] | None = None
    run_as_user: (
        Annotated[int, Meta(ge=1, le=1 << 31, description="By default that of the image; never root.")] | None
    ) = None
    fs_group: Annotated[int, Meta(ge=1, le=1 << 31, description="The group of its volumes.")] | None = None
    volumes: Annotated[tuple[PodVolume, ...], Meta(max_length=32, description="Beside those of the platform.")] = ()
