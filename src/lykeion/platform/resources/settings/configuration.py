"""Secret and ConfigMap: values that programs are given, of Kubernetes' own kinds.

https://kubernetes.io/docs/concepts/configuration/secret/
"""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from lykeion.control import Column, Resource, ResourceKind, SpecRule, Wire

MAX_BYTES = 1 << 19
DataKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+\Z",
        extra={"must be": "letters, digits, '-', '_' and '.'"},
    ),
]
Texts = Annotated[dict[DataKey, str], Meta(max_length=256)]
Bytes = Annotated[dict[DataKey, bytes], Meta(max_length=256, extra={"must be": "a mapping from names to base64"})]


def _is_small(spec: Any) -> bool:
    return sum(map(len, spec.values().values())) <= MAX_BYTES


class SecretSpec(Wire, frozen=True):
    """``data`` is base64 in files; ``string_data`` is text and has precedence."""

    data: Bytes = {}
    string_data: Texts = {}
    type: Annotated[str, Meta(max_length=253)] = "Opaque"
    immutable: bool = False

    rules: ClassVar[tuple[SpecRule, ...]] = (SpecRule(f"more than {MAX_BYTES} bytes", "", _is_small),)

    def values(self) -> dict[str, bytes]:
        return {**self.data, **{key: text.encode() for key, text in self.string_data.items()}}


class ConfigMapSpec(Wire, frozen=True):
    data: Texts = {}
    binary_data: Bytes = {}
    immutable: bool = False

    rules: ClassVar[tuple[SpecRule, ...]] = (SpecRule(f"more than {MAX_BYTES} bytes", "", _is_small),)

    def values(self) -> dict[str, bytes]:
        return {**self.binary_data, **{key: text.encode() for key, text in self.data.items()}}


class NoStatus(Wire, frozen=True):
    """Of kinds without one."""


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
SECRET = ResourceKind(
    "Secret",
    "secrets",
    SecretSpec,
    NoStatus,
    "Values that programs are given and that are not shown.",
    columns=(Column("Type", ".type"), _AGE),
    api_version="v1",
    inline=True,
)
CONFIG_MAP = ResourceKind(
    "ConfigMap",
    "configmaps",
    ConfigMapSpec,
    NoStatus,
    "Values that programs are given.",
    ("cm",),
    columns=(_AGE,),
    api_version="v1",
    inline=True,
)
Secret = Resource[SecretSpec, NoStatus]
ConfigMap = Resource[ConfigMapSpec, NoStatus]
