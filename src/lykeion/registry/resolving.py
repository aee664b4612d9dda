"""From a reference to a digest, and to the model with that digest."""

import difflib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lykeion.core import NotFound
from lykeion.oci import ContentDamaged, ContentError
from lykeion.oci.distribution import ArtifactStore, Reference, StoreError, is_digest

from .aliases import ANYWHERE, aliases, versions
from .artifact.facts import ModelFacts, read_facts
from .artifact.model_artifact import Model, read_model
from .artifact.modelpack import CONFIG, read_config
from .errors import InvalidModel
from .model_names import parse
from .stores import Stores

AT_ONCE = 8
"""Requests to a registry."""


def resolve(store: ArtifactStore, reference: Reference) -> str:
    """The digest that a reference names; without alias or digest, the newest version's. Raises NotFound."""
    if reference.digest:
        return reference.digest
    if reference.tag:
        digest = store.resolve(reference.repository, reference.tag)
        if digest:
            return digest
        tags = store.tags(reference.repository)
        known = [*versions(tags), *aliases(tags)]
        near = difflib.get_close_matches(reference.tag, known, 3) or known[:3]
        hint = f"; there is {', '.join(near)}" if near else ""
        raise NotFound(f"{reference}: no such model{hint}")
    return resolve(store, newest(store, reference))


def newest(store: ArtifactStore, reference: Reference) -> Reference:
    """The reference, with the newest version if it names none, or ``latest`` if there are no versions.

    Raises NotFound.
    """
    if reference.version:
        return reference
    for version in versions(store.tags(reference.repository)):
        return reference.at(version)
    others = aliases(store.tags(reference.repository))
    if "latest" in others:
        return reference.at("latest")
    if others:
        raise NotFound(f"{reference}: has no versions; there is {', '.join(others[:10])}")
    raise NotFound(f"{reference}: no such model; see lykeion models list")


def load(store: ArtifactStore, reference: Reference) -> Model:
    """The model that a reference names. Raises NotFound, InvalidModel."""
    data = store.manifest(reference.repository, resolve(store, reference))
    try:
        return read_model(data)
    except ContentDamaged:
        raise
    except (InvalidModel, ContentError) as error:
        raise InvalidModel(f"{reference}: {error}") from None


def config_of(store: ArtifactStore, repository: str, model: Model) -> Mapping[str, Any]:
    """The ModelPack config; empty if another tool made the model. Raises InvalidModel, NotFound."""
    data = store.read(repository, model.manifest.config)
    return read_config(data) if model.manifest.config.media_type == CONFIG else {}


def facts_of(store: ArtifactStore, repository: str, model: Model) -> ModelFacts:
    """Metrics and lineage, which must match the annotations. Raises InvalidModel, NotFound."""
    facts = read_facts(store.read(repository, model.facts)) if model.facts else ModelFacts()
    if not facts.agree(model.manifest.annotations):
        raise InvalidModel(f"{repository}@{model.digest}: the metrics in its annotations differ from its facts")
    return facts


def tags_at(store: ArtifactStore, repository: str) -> dict[str, list[str]]:
    """By digest, the versions and aliases that point to it; versions first."""
    every = store.tags(repository)
    tags = [*versions(every), *aliases(every)]

    problems: list[StoreError] = []

    def at(tag: str) -> str | None:
        try:
            return store.resolve(repository, tag)
        except StoreError as error:
            problems.append(error)
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        digests = list(pool.map(at, tags))
    if tags and len(problems) == len(tags):  # not because of one odd tag
        raise problems[0]
    found: dict[str, list[str]] = {}
    for tag, digest in zip(tags, digests, strict=True):
        if digest:
            found.setdefault(digest, []).append(tag)
    return found


def by_digest(stores: Stores, text: str) -> str:
    """A model's name with its digest, for one with an alias: ``shoes:v3`` becomes ``shoes@sha256:…``."""
    reference = parse(text)
    return str(reference.at(resolve(stores.of(reference.host), reference)))


def expected(stores: Stores, reference: Reference, text: str | None) -> str | None:
    """The expected target of an alias, for ``aliases.move``: ``text`` is None for any, "nothing", a digest, or
    a version or alias of the same model. Raises NotFound."""
    if text is None:
        return ANYWHERE
    if text == "nothing":
        return None
    return text if is_digest(text) else resolve(stores.of(reference.host), reference.at(text))
