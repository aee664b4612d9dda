"""What programs are given from the registry, and what is kept of what they write."""

import re
from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import Name, SpecRule, Wire

_REFERENCE = r"\$\([a-zA-Z0-9._-]+\)"
ArtifactName = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=rf"^(([a-zA-Z0-9]|{_REFERENCE})([a-zA-Z0-9.-]|{_REFERENCE})*(:[0-9]+)?/)?"
        rf"([a-z0-9]|{_REFERENCE})([a-z0-9._/-]|{_REFERENCE})*(:([a-zA-Z0-9._-]|{_REFERENCE})+)?"
        rf"(@([a-z0-9:]|{_REFERENCE})+)?\Z",
        extra={"must be": "the name of a model, such as shoes, shoes:v3 or registry.example.com/shop/shoes:champion"},
    ),
]
"""In a pipeline's steps, it may hold references such as ``$(steps.embed.outputs.index)``."""
RelativePath = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?\Z",
        extra={"must be": "a path below the directory, without '..'"},
    ),
]
References = Annotated[dict[str, Annotated[str, Meta(max_length=512)]], Meta(max_length=32)]
"""References by digest, by the name of an input or output."""


class FetchedInput(Wire, frozen=True):
    """What is fetched from the registry before the program starts."""

    name: Annotated[Name, Meta(description="Its directory, below `$LYKEION_INPUTS`.")]
    artifact: Annotated[
        ArtifactName, Meta(description="A model or directory in the registry; an alias is resolved once.")
    ]


_FIXED = r"@|:v[1-9][0-9]{0,8}$"


def movable(field: str) -> SpecRule:
    """A name to publish under: versions and digests are assigned, aliases move."""
    return SpecRule(
        f"{field} names a digest or a version, which are assigned; name an alias, or none",
        f"!has(self.{field}) || !self.{field}.matches('{_FIXED}')",
        lambda spec: re.search(_FIXED, getattr(spec, field) or "") is None,
    )


class KeptOutput(Wire, frozen=True):
    """A directory that is kept in the registry when the program has succeeded."""

    name: Annotated[Name, Meta(description="Of the output; in a pipeline, `$(steps.STEP.outputs.NAME)`.")]
    directory: Annotated[RelativePath, Meta(description="Below `$LYKEION_OUTPUTS`; by default of the same name.")] = (
        ""
    )
    publish: Annotated[ArtifactName, Meta(description="A further name, with an alias to move, if any.")] | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (movable("publish"),)


Inputs = Annotated[tuple[FetchedInput, ...], Meta(max_length=32, description="Fetched before the program starts.")]
Outputs = Annotated[tuple[KeptOutput, ...], Meta(max_length=32, description="Kept when the program has succeeded.")]


def unique_names(field: str) -> SpecRule:
    """No two items of a list have one name."""
    return SpecRule(
        f"two of {field} have one name",
        f"self.{field}.all(a, self.{field}.exists_one(b, a.name == b.name))",
        lambda spec: len({each.name for each in getattr(spec, field)}) == len(getattr(spec, field)),
    )
