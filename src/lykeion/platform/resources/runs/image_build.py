"""ImageBuild: an image that is built from a source, and again when the source changes."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from lykeion.control import Column, Conditions, Once, Resource, ResourceKind, SpecRule, Time, Wire

from .artifacts import ArtifactName, RelativePath
from .lifetime import DeadlineSeconds, Retries, Suspend

Path = Annotated[str, Meta(max_length=1024, pattern=r"^/[^\0]*$", extra={"must be": "an absolute path"})]
Text = Annotated[str, Meta(max_length=512)]
Digest = Annotated[str, Meta(max_length=80)]
Tag = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]*\Z",
        extra={"must be": "NAME:TAG, such as shop-search:latest"},
    ),
]
PushedImage = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=r"^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+:[A-Za-z0-9_][A-Za-z0-9._-]*\Z",
        extra={"must be": "REGISTRY/PATH:TAG, such as registry.example.com/shop/search:v1"},
    ),
]


class GitSource(Wire, frozen=True):
    """A commit of a Git repository; its submodules are not fetched, and no hook runs."""

    repository: Annotated[
        str,
        Meta(
            max_length=512,
            pattern=r"^(https?|ssh|git|file)://[!-~]+\Z|^[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[!-~]+\Z",
            description="Its address, as `git clone` takes it.",
            extra={"must be": "the address of a repository, such as https://example.com/shop.git"},
        ),
    ]
    revision: Annotated[
        str,
        Meta(
            max_length=255,
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*\Z",
            description="A branch, a tag or a whole commit.",
            extra={"must be": "a branch, tag or commit"},
        ),
    ] = "HEAD"


class BuildSource(Wire, frozen=True):
    """The context of the build: files with a description of the image."""

    directory: Annotated[Path, Meta(description="A directory of this machine.")] | None = None
    artifact: Annotated[ArtifactName, Meta(description="A directory in the registry.")] | None = None
    git: Annotated[GitSource, Meta(description="A commit of a Git repository.")] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give one of directory, artifact and git",
            "[has(self.directory), has(self.artifact), has(self.git)].filter(each, each).size() == 1",
            lambda source: [source.directory, source.artifact, source.git].count(None) == 2,
        ),
    )


class ImageBuildSpec(Wire, frozen=True):
    """What is built from where, and where it goes."""

    source: Annotated[BuildSource, Meta(description="What it is built from.")]
    tags: Annotated[
        tuple[Tag, ...], Meta(min_length=1, max_length=16, description="Names that the image gets on this machine.")
    ]
    file: Annotated[
        RelativePath, Meta(min_length=1, description="The description below the source: an image.yaml or Dockerfile.")
    ] = "image.yaml"
    model: Annotated[ArtifactName, Meta(description="A model that is put into the image.")] | None = None
    trust: Annotated[Path, Meta(description="A policy that has to allow the model.")] | None = None
    push: Annotated[
        tuple[PushedImage, ...], Meta(max_length=16, description="Where in registries it is pushed to.")
    ] = ()
    interval_seconds: (
        Annotated[
            int,
            Meta(
                ge=5,
                le=86_400,
                description="Between two looks whether the source has changed; by default it is built once.",
            ),
        ]
        | None
    ) = None
    build: Annotated[
        Once, Meta(description="A new value builds it once more, whether or not the source changed.")
    ] = ""
    retries: Annotated[Retries, Meta(description="Further attempts at fetching, building and pushing.")] = 2
    deadline_seconds: Annotated[DeadlineSeconds, Meta(description="Of one build; then it has failed.")] = 3600
    suspend: Suspend = False


class FoundSource(Wire, frozen=True):
    """What the source was at the last look."""

    looked: Time
    reference: Annotated[str, Meta(max_length=1024)] = ""
    """Pinned: a directory, an artifact by digest or a commit. Empty if none was found."""
    digest: Digest = ""
    error: Text = ""


class OneBuild(Wire, frozen=True):
    """``key`` identifies what is built: the source's digest and the spec's fields."""

    number: int
    key: Annotated[str, Meta(max_length=16)]
    source: FoundSource
    since: Time


class PastBuild(Wire, frozen=True):
    number: int
    key: Annotated[str, Meta(max_length=16)]
    source: Digest
    outcome: Literal["Built", "Failed"]
    at: Time
    digest: Digest = ""
    """Of the image."""
    reason: Annotated[str, Meta(max_length=63)] = ""
    message: Text = ""


class ImageBuildStatus(Wire, frozen=True):
    observed_generation: int = 0
    source: FoundSource | None = None
    running: OneBuild | None = None
    builds: int = 0
    """How many have begun."""
    image: Annotated[str, Meta(max_length=512)] = ""
    """The last image that was built, by its first place in a registry or its first tag, and its digest."""
    digest: Digest = ""
    build: Once = ""
    """The value of the spec for which it was built."""
    history: Annotated[tuple[PastBuild, ...], Meta(max_length=10)] = ()
    """The last builds, the latest last."""
    conditions: Conditions = ()


IMAGE_BUILD = ResourceKind(
    "ImageBuild",
    "imagebuilds",
    ImageBuildSpec,
    ImageBuildStatus,
    "An image that is built from a source, and again when the source changes.",
    ("ib",),
    (
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Reason", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Builds", ".status.builds", "integer"),
        Column("Image", ".status.image"),
        Column("Source", ".status.source.reference", wide=True),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
    goal="Ready",
)
ImageBuild = Resource[ImageBuildSpec, ImageBuildStatus]
