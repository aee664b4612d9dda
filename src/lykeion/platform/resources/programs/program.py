"""A program to run, and what it needs: the part that all kinds that run something share."""

from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import Name, SpecRule, Wire

from .pod_template import IMAGE_NAME, PodTemplate
from .quantities import Quantity, quantity

Argument = Annotated[
    str, Meta(max_length=4096, pattern=r"^[^\0]*$", extra={"must be": "text of at most 4096 characters"})
]
"""May refer to variables: ``$(NAME)`` is replaced by the variable's value, ``$$(NAME)`` by ``$(NAME)``."""


class KeyOf(Wire, frozen=True):
    """One value of a Secret or ConfigMap."""

    name: Annotated[Name, Meta(description="Of the Secret or ConfigMap.")]
    key: Annotated[str, Meta(min_length=1, max_length=253, description="Of the value in it.")]
    optional: Annotated[bool, Meta(description="Without it the variable is not set; else the program waits.")] = False


class ValueSource(Wire, frozen=True):
    secret_key_ref: Annotated[KeyOf, Meta(description="A value of a Secret.")] | None = None
    config_map_key_ref: Annotated[KeyOf, Meta(description="A value of a ConfigMap.")] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give secretKeyRef or configMapKeyRef",
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            lambda source: (source.secret_key_ref is None) != (source.config_map_key_ref is None),
        ),
    )


class EnvironmentVariable(Wire, frozen=True):
    name: Annotated[
        str,
        Meta(
            max_length=128,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z",
            description="Of the variable.",
            extra={"must be": "letters, digits and '_', not beginning with a digit"},
        ),
    ]
    value: Annotated[Argument, Meta(description="May name variables before it, as `$(NAME)`.")] = ""
    value_from: Annotated[ValueSource, Meta(description="In place of `value`.")] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give value or valueFrom",
            "!has(self.valueFrom) || self.value == ''",
            lambda variable: variable.value_from is None or not variable.value,
        ),
    )


class AcceleratorRequest(Wire, frozen=True):
    """Accelerators of one type, for one process alone."""

    type: Annotated[
        Name,
        Meta(description="Such as `t4` or `a100`, which includes variants such as `a100-sxm4-80gb`."),
    ]
    count: Annotated[int, Meta(ge=1, le=64, description="How many.")] = 1


class Requests(Wire, frozen=True):
    """What one process needs: it is started only where so much is free, and gets no more."""

    cpu: Annotated[Quantity, Meta(description="Cores, such as 2 or 500m.")] | None = None
    memory: Annotated[Quantity, Meta(description="Bytes, such as 512Mi.")] | None = None
    accelerator: Annotated[AcceleratorRequest, Meta(description="Its accelerators.")] | None = None

    def cores(self) -> float:
        return quantity(self.cpu or 0)

    def memory_bytes(self) -> float:
        return quantity(self.memory or 0)


class Program(Wire, frozen=True):
    """A program that runs in the environment of the platform, or in an image."""

    command: Annotated[
        tuple[Argument, ...],
        Meta(
            max_length=64,
            description="The program and its first arguments; no shell reads them. By default the image's.",
        ),
    ] = ()
    args: Annotated[
        tuple[Argument, ...],
        Meta(max_length=256, description="Further arguments; without `command`, in place of the image's."),
    ] = ()
    image: (
        Annotated[
            str,
            Meta(
                max_length=512,
                pattern=IMAGE_NAME,
                description="Container image; here it is started by `lykeion images` where this machine can (Linux "
                "with unshare), else the program runs in the environment of the platform.",
                extra={"must be": "an image such as shop:v1 or registry.example.com/shop/search@sha256:…"},
            ),
        ]
        | None
    ) = None
    env: Annotated[
        tuple[EnvironmentVariable, ...],
        Meta(max_length=128, description="Variables, beside those of the platform's own environment or the image."),
    ] = ()
    working_dir: (
        Annotated[
            str,
            Meta(
                max_length=1024,
                pattern=r"^/[^\0]*$",
                description="Where it runs: by default where `lykeion up` was started, or where the image says.",
                extra={"must be": "an absolute path"},
            ),
        ]
        | None
    ) = None
    resources: Annotated[Requests, Meta(description="What one process needs.")] = Requests()
    pod: Annotated[PodTemplate, Meta(description="On a cluster, what its pod is given.")] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give command or image",
            "size(self.command) > 0 || has(self.image)",
            lambda program: bool(program.command or program.image),
        ),
    )
