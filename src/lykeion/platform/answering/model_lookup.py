"""Finds versions of models and digests of images for controllers.

A registry is asked once, and not waited for: controllers ask again themselves, until their deadlines.
"""

import asyncio
import math

from lykeion import images, registry
from lykeion.oci import distribution
from lykeion.platform.lookups import FoundModel, ImageDigest, ModelVersion

MAX_METRICS = 64
TIMEOUT_S = 10.0


async def find_model(asked: ModelVersion, prefix: str = "") -> FoundModel:
    """The version, pinned by its digest; ``prefix`` is put before a name without a host.

    Raises NotFound, InvalidModel, and what its registry raises.
    """
    return await asyncio.to_thread(_find, registry.prefixed(asked.reference, prefix))


def _find(name: str) -> FoundModel:
    store, reference = registry.Stores(transport=_once).find(name)
    model = registry.load(store, reference)
    facts = registry.facts_of(store, reference.repository, model)
    metrics = {name: float(value) for name, value in facts.metrics.items() if _is_number(value)}
    return FoundModel(str(reference.at(model.digest)), model.digest, dict(list(metrics.items())[:MAX_METRICS]))


async def find_digest(asked: ImageDigest) -> str:
    """The digest of an image in the layout, or in its registry. Raises NotFound, Invalid, and what its registry
    raises."""
    return await asyncio.to_thread(
        lambda: images.image_digest(images.open_image_layout(), asked.name, transport=_once)
    )


async def no_digest(asked: ImageDigest) -> str:
    """Where programs do not run in images."""
    return ""


def _once(host: str) -> distribution.Transport:
    return distribution.Transport(host, timeout_s=TIMEOUT_S, attempts=1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
