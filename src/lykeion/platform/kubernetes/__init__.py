"""A cluster as the platform: resources as Kubernetes objects, and the operator that runs the controllers."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .rendering import facts_of, render
    from .translation import ClusterFacts

__all__ = ["ClusterFacts", "facts_of", "render"]

__getattr__ = lazy(__name__)
