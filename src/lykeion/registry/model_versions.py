"""Contents of a store: lists, details of a version, differences of two, and lineage."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from lykeion.core import LykeionError, NotFound, Unsupported
from lykeion.oci import ContentError
from lykeion.oci.distribution import ArtifactStore, Reference

from .aliases import history
from .artifact.facts import Figure, ModelFacts, metrics_of
from .artifact.model_artifact import SIGNATURE, Model, read_model
from .errors import InvalidModel
from .model_names import parse, version_number
from .moves import Move
from .query import order, select
from .resolving import AT_ONCE, config_of, facts_of, load, tags_at
from .stores import Stores

MAX_ANCESTORS = 256


@dataclass(frozen=True, slots=True)
class Version:
    """``version`` is None for a model with only aliases or without a tag."""

    name: str
    version: str | None
    digest: str
    aliases: tuple[str, ...]
    size_bytes: int
    metrics: Mapping[str, Figure]

    @property
    def fields(self) -> dict[str, Any]:
        """The fields for ``query``."""
        own = {
            "name": self.name,
            "digest": self.digest,
            "aliases": list(self.aliases),
            "size_bytes": self.size_bytes,
        }
        return {**self.metrics, **own, **({"version": self.version} if self.version else {})}


@dataclass(frozen=True, slots=True)
class Shown:
    version: Version
    config: Mapping[str, Any]
    facts: ModelFacts
    files: Mapping[str, int]
    moves: tuple[Move, ...]
    signatures: int

    @property
    def told(self) -> dict[str, Any]:
        """Config, lineage and metrics in one, by name."""
        return _flat(self.config, self.facts)


@dataclass(frozen=True, slots=True)
class Difference:
    """``files`` and ``facts`` by name: the first's value and the second's, None if absent."""

    files: Mapping[str, tuple[int | None, int | None]]
    facts: Mapping[str, tuple[Any, Any]]
    same_files: int


@dataclass(frozen=True, slots=True)
class Ancestor:
    """``found`` is false for a parent that is not in its store; ``problem`` says why it was not read."""

    reference: str
    found: bool
    version: str | None = None
    facts: ModelFacts = field(default_factory=ModelFacts)
    parents: tuple["Ancestor", ...] = ()
    problem: str = ""


def find_versions(
    stores: Stores, name: str | None = None, where: str | None = None, by: str | None = None
) -> list[Version]:
    """Versions of one model, or of all in the local store: newest first, or sorted by a field; only those that match
    a filter. Raises WhereError."""
    if name:
        store, reference = stores.find(name)
        found = list_versions(store, reference.repository)
    else:
        found = [version for each in stores.disk.repositories() for version in list_versions(stores.disk, each)]
    if where:
        found = select(found, where, lambda version: version.fields)
    return order(found, by, lambda version: version.fields) if by else found


def list_versions(store: ArtifactStore, repository: str) -> list[Version]:
    """Newest first. Tags of other artifacts are skipped."""
    tags = tags_at(store, repository)

    def read(digest: str) -> Version | None:
        try:
            return _version(repository, read_model(store.manifest(repository, digest)), tags[digest])
        except (InvalidModel, ContentError, NotFound, Unsupported):
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [version for version in pool.map(read, tags) if version]
    return sorted(found, key=lambda version: version_number(version.version or "") or 0, reverse=True)


def show(store: ArtifactStore, reference: Reference) -> Shown:
    """Raises NotFound, InvalidModel."""
    repository, model = reference.repository, load(store, reference)
    version = _version(repository, model, tags_at(store, repository).get(model.digest, []))
    moves = [move for alias in version.aliases for move in history(store, repository, alias)]
    return Shown(
        version,
        config_of(store, repository, model),
        facts_of(store, repository, model),
        {file.path: file.blob.size for file in model.files},
        tuple(moves),
        len(store.referrers(repository, model.digest, SIGNATURE)),
    )


def compare(first: tuple[ArtifactStore, Reference], second: tuple[ArtifactStore, Reference]) -> Difference:
    """The differences between two models. Raises NotFound, InvalidModel."""
    models = [load(store, reference) for store, reference in (first, second)]
    files = [{file.path: file.blob for file in model.files} for model in models]
    told = [
        _flat(config_of(store, reference.repository, model), facts_of(store, reference.repository, model))
        for (store, reference), model in zip((first, second), models, strict=True)
    ]
    names = sorted(files[0].keys() | files[1].keys())
    changed = [name for name in names if _digest(files[0], name) != _digest(files[1], name)]
    return Difference(
        {name: (_size(files[0], name), _size(files[1], name)) for name in changed},
        {
            name: (told[0].get(name), told[1].get(name))
            for name in sorted(told[0].keys() | told[1].keys())
            if told[0].get(name) != told[1].get(name)
        },
        len(names) - len(changed),
    )


def lineage(
    open_store: Callable[[str | None], ArtifactStore], reference: Reference, *, hosts: Collection[str] = ()
) -> Ancestor:
    """A model with all its ancestors, as far back as records go.

    Only the model's own registry and those at ``hosts`` are queried, since a model may name any host as a parent's.
    Raises NotFound for the model itself.
    """
    asked = {None, reference.host, *hosts}
    model = load(open_store(reference.host), reference)
    seen: set[str] = set()

    def trace(here: Reference, model: Model) -> Ancestor:
        store = open_store(here.host)
        facts = facts_of(store, here.repository, model)
        tags = tags_at(store, here.repository).get(model.digest, [])
        seen.add(model.digest)
        parents: list[Ancestor] = []
        for text in facts.lineage.parents:
            parent = _parent(here, parse(text))
            if parent.digest in seen or len(seen) > MAX_ANCESTORS:
                parents.append(Ancestor(str(parent), found=True))
                continue
            if parent.host not in asked:
                parents.append(Ancestor(str(parent), found=False, problem=f"{parent.host} was not queried"))
                continue
            try:
                parents.append(trace(parent, load(open_store(parent.host), parent)))
            except NotFound:
                parents.append(Ancestor(str(parent), found=False))
            except LykeionError as error:
                parents.append(Ancestor(str(parent), found=False, problem=str(error)))
        version = next(iter(tags), None)
        return Ancestor(str(here.at(model.digest)), True, version, facts, tuple(parents))

    return trace(reference, model)


def _parent(child: Reference, parent: Reference) -> Reference:
    """The location of a parent: models that were copied to a registry together are side by side there."""
    if parent.host or child.host is None:
        return parent
    beside = child.repository.removesuffix(child.name)
    return Reference(child.host, f"{beside}{parent.name}", digest=parent.digest)


def _version(repository: str, model: Model, tags: list[str]) -> Version:
    return Version(
        repository,
        next((tag for tag in tags if version_number(tag)), None),
        model.digest,
        tuple(tag for tag in tags if version_number(tag) is None),
        model.size_bytes,
        metrics_of(model.manifest.annotations),
    )


def _flat(config: Mapping[str, Any], facts: ModelFacts) -> dict[str, Any]:
    """Config, lineage and metrics of a model by name; without its own name."""
    technical = dict(config.get("config", {}))
    capabilities = technical.pop("capabilities", {})
    named = {name: value for name, value in config.get("descriptor", {}).items() if name != "name"}
    lineage = asdict(facts.lineage) | {"parents": list(facts.lineage.parents)}
    return {**named, **technical, **capabilities, **{k: v for k, v in lineage.items() if v}, **facts.metrics}


def _digest(files: Mapping[str, Any], name: str) -> str | None:
    return files[name].digest if name in files else None


def _size(files: Mapping[str, Any], name: str) -> int | None:
    return files[name].size if name in files else None
