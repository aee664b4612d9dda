"""Serving: a model, an index or a program that answers requests, replaced step by step."""

from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import Column, Conditions, Once, Resource, ResourceKind, SpecRule, Time, Wire
from lykeion.platform.resources.plain_kinds import Autoscaling, Liveness, Readiness, Recommendation
from lykeion.platform.resources.programs import Argument, EnvironmentVariable, PodTemplate, Program, Requests

from .canary import Canary
from .rollout import PastRollout, RolloutStatus, ServingVersion

Options = Annotated[
    tuple[Argument, ...], Meta(max_length=64, description="Further options of `lykeion serve`, such as `--threads`.")
]
Variables = Annotated[
    tuple[EnvironmentVariable, ...],
    Meta(max_length=128, description="Variables, beside those of the platform's own environment."),
]
ReplicaNeeds = Annotated[Requests, Meta(description="What one replica needs.")]
ReplicaPod = Annotated[PodTemplate, Meta(description="On a cluster, what a replica's pod is given.")]
Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        pattern=r"^[!-~]+\Z",
        extra={"must be": "a reference such as shoes:champion or shoes:v7"},
    ),
]
CheckSeconds = Annotated[int, Meta(ge=5, le=86_400, description="Between two looks where the alias is.")]


class ModelToServe(Wire, frozen=True):
    """A model of the registry, served by `lykeion serve --model`."""

    reference: Annotated[
        Reference, Meta(description="Such as shoes:champion; where an alias moves, its new version is rolled out.")
    ]
    check_seconds: CheckSeconds = 60
    options: Options = ()
    env: Variables = ()
    resources: ReplicaNeeds = Requests()
    pod: ReplicaPod | None = None


class IndexToServe(Wire, frozen=True):
    """A search index, served by `lykeion serve --index`."""

    path: (
        Annotated[
            str,
            Meta(
                max_length=1024,
                pattern=r"^/[^\0]*$",
                description="Of the index on this machine.",
                extra={"must be": "an absolute path"},
            ),
        ]
        | None
    ) = None
    reference: (
        Annotated[
            Reference,
            Meta(description="Of a directory in the registry, which is fetched; followed as that of a model."),
        ]
        | None
    ) = None
    hot_swap: Annotated[
        bool,
        Meta(
            description="Replicas follow the reference themselves, and swap a new version of the same embedder "
            "without a rollout; they refuse any other."
        ),
    ] = False
    check_seconds: CheckSeconds = 60
    options: Options = ()
    env: Variables = ()
    resources: ReplicaNeeds = Requests()
    pod: ReplicaPod | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give either path or reference",
            "has(self.path) != has(self.reference)",
            lambda index: (index.path is None) != (index.reference is None),
        ),
        SpecRule(
            "hotSwap needs a reference",
            "!self.hotSwap || has(self.reference)",
            lambda index: not index.hot_swap or index.reference is not None,
        ),
    )

    @property
    def rolled_out(self) -> bool:
        """Whether each version is fetched for replicas of its own."""
        return self.reference is not None and not self.hot_swap


class ServingSpec(Wire, frozen=True):
    """What is served, by how many replicas, and how a change of it is rolled out."""

    program: (
        Annotated[Program, Meta(description="A server that listens on the port in `$PORT`, on 127.0.0.1.")] | None
    ) = None
    model: Annotated[ModelToServe, Meta(description="A model of the registry.")] | None = None
    index: Annotated[IndexToServe, Meta(description="A search index.")] | None = None
    replicas: Annotated[
        int, Meta(ge=0, le=1000, description="How many serve; with `autoscaling`, how many serve at first.")
    ] = 1
    autoscaling: Annotated[Autoscaling, Meta(description="By default the number of replicas is fixed.")] | None = None
    readiness: (
        Annotated[
            Readiness,
            Meta(description="When a replica gets requests; by default a model and an index are asked themselves."),
        ]
        | None
    ) = None
    liveness: (
        Annotated[
            Liveness,
            Meta(description="When a replica is restarted that answers no more; by default only if it ends."),
        ]
        | None
    ) = None
    drain_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="A replica that is to end may so long finish its requests.")
    ] = 30
    grace_period_seconds: Annotated[int, Meta(ge=0, le=3600, description="Between SIGTERM and SIGKILL.")] = 30
    progress_deadline_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="A new version whose replicas are not ready by then is rolled back.")
    ] = 600
    canary: (
        Annotated[
            Canary, Meta(description="Steps of a new version; by default it gets all requests when it is ready.")
        ]
        | None
    ) = None
    promote: Annotated[
        Once, Meta(description="A new value ends the steps: the new version gets all requests when it is ready.")
    ] = ""
    abort: Annotated[Once, Meta(description="A new value rolls the new version back.")] = ""

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give one of program, model and index",
            "[has(self.program), has(self.model), has(self.index)].filter(each, each).size() == 1",
            lambda spec: [spec.program, spec.model, spec.index].count(None) == 2,
        ),
    )

    @property
    def followed(self) -> ModelToServe | IndexToServe | None:
        """What has a reference to the registry, of which each version is rolled out."""
        return self.index if self.index and self.index.rolled_out else self.model


class FoundVersion(Wire, frozen=True):
    """Where the registry had the reference at the last look."""

    reference: Annotated[str, Meta(max_length=512)]
    looked: Time
    artifact: Annotated[str, Meta(max_length=512)] = ""
    """The version, pinned by its digest; empty if there was none."""
    error: Annotated[str, Meta(max_length=512)] = ""


class ServedImage(Wire, frozen=True):
    """The image that the spec has named, as it was when it was first looked up."""

    named: Annotated[str, Meta(max_length=1024)]
    image: Annotated[str, Meta(max_length=1024)] = ""
    """By digest, unless only nodes may pull it; empty while it is not known."""
    error: Annotated[str, Meta(max_length=512)] = ""


class ServingStatus(Wire, frozen=True):
    observed_generation: int = 0
    url: Annotated[str, Meta(max_length=1024)] = ""
    replicas: int = 0
    """Of the stable version; the autoscaler's number if there is one."""
    ready: int = 0
    """Of all versions that get requests."""
    selector: Annotated[str, Meta(max_length=512)] = ""
    """On a cluster, the labels of its pods, for an autoscaler of the Serving itself."""
    state: Annotated[str, Meta(max_length=63)] = ""
    """For display: such as ``canary 10 %``."""
    found: FoundVersion | None = None
    image: ServedImage | None = None
    """Of a program with an image."""
    stable: ServingVersion | None = None
    rollout: RolloutStatus | None = None
    rejected: Annotated[str, Meta(max_length=16)] = ""
    """The hash of the version that was rolled back last, until the spec has another."""
    rollouts: int = 0
    """How many have begun."""
    history: Annotated[tuple[PastRollout, ...], Meta(max_length=10)] = ()
    """The last rollouts, the latest last."""
    promote: Once = ""
    abort: Once = ""
    """The values of the spec that have been acted upon."""
    recommendations: Annotated[tuple[Recommendation, ...], Meta(max_length=64)] = ()
    conditions: Conditions = ()


SERVING = ResourceKind(
    "Serving",
    "servings",
    ServingSpec,
    ServingStatus,
    "A model, an index or a program that answers requests, replaced step by step.",
    ("sv",),
    (
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Replicas", ".status.ready", "integer"),
        Column("State", ".status.state"),
        Column("Artifact", ".status.stable.artifact", wide=True),
        Column("URL", ".status.url", wide=True),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    scales=True,
    goal="Ready",
)
Serving = Resource[ServingSpec, ServingStatus]
