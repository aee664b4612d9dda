"""From a directory to a signed version: gather facts, pack, push and sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lykeion.core import CONSOLE, Reporter
from lykeion.registry.aliases import move
from lykeion.registry.artifact.directory_artifact import pack_directory
from lykeion.registry.artifact.gathering import gather
from lykeion.registry.artifact.model_artifact import LEFT_OUT, Packed, pack
from lykeion.registry.model_names import parse
from lykeion.registry.resolving import by_digest, expected
from lykeion.registry.stores import Stores
from lykeion.registry.trust.signing import sign

from .push import Pushed, push


@dataclass(frozen=True, slots=True)
class Publication:
    """Facts about a model beyond those in its directory, and options of its version.

    ``metrics`` are written as ``top1=0.91``, ``parents`` are names of models, ``lineage`` has the other fields of
    Lineage. ``leave_out`` has patterns of files to exclude besides LEFT_OUT. ``key`` is a private key in PEM to sign
    with. The alias moves only if it is at ``expect``; ``coordinator`` is a directory shared by all clients that move
    aliases. ``aliases`` are further aliases that are moved. With ``whole``, every file is stored, of any directory,
    and no facts.
    """

    metrics: Sequence[str] = ()
    parents: Sequence[str] = ()
    lineage: Mapping[str, str] = field(default_factory=dict[str, str])
    leave_out: Sequence[str] = ()
    key: Path | None = None
    expect: str | None = None
    coordinator: Path | None = None
    aliases: Sequence[str] = ()
    whole: bool = False


def publish(
    directory: Path, name: str, stores: Stores, publication: Publication, *, reporter: Reporter = CONSOLE
) -> Pushed:
    """Store a directory as the next version of the model ``name``, and point its alias, if any, to it.

    Raises InvalidModel, InvalidReference, NotFound for an unknown parent, and what ``push`` and ``sign`` raise.
    """
    reference = parse(name)
    if publication.whole:
        packed = pack_directory(directory, reference.name)
    else:
        packed = _pack_model(directory, reference.name, stores, publication)
    store = stores.of(reference.host)
    expect = expected(stores, reference, publication.expect)
    pushed = push(packed, store, reference, expect=expect, coordinator=publication.coordinator, reporter=reporter)
    for alias in publication.aliases:
        move(store, reference.repository, alias, pushed.digest, coordinator=publication.coordinator)
    if publication.key:
        sign(store, parse(pushed.reference), publication.key)
    return pushed


def _pack_model(directory: Path, name: str, stores: Stores, publication: Publication) -> Packed:
    facts = gather(
        directory,
        metrics=publication.metrics,
        lineage=publication.lineage,
        parents=publication.parents,
        name_by_digest=lambda text: by_digest(stores, text),
    )
    return pack(directory, name, facts, leave_out=(*LEFT_OUT, *publication.leave_out))
