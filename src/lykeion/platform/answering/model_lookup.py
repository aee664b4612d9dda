"""Finds model versions in the registry for controllers."""

import asyncio
import math

from lykeion import registry
from lykeion.platform.lookups import FoundModel, ModelVersion

MAX_METRICS = 64


async def find_model(asked: ModelVersion, prefix: str = "") -> FoundModel:
    """The version, pinned by its digest; ``prefix`` is put before a name without a host.

    Raises NotFound, InvalidModel, and what its registry raises.
    """
    return await asyncio.to_thread(_find, registry.prefixed(asked.reference, prefix))


def _find(name: str) -> FoundModel:
    store, reference = registry.Stores().find(name)
    model = registry.load(store, reference)
    facts = registry.facts_of(store, reference.repository, model)
    metrics = {name: float(value) for name, value in facts.metrics.items() if _is_number(value)}
    return FoundModel(str(reference.at(model.digest)), model.digest, dict(list(metrics.items())[:MAX_METRICS]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
