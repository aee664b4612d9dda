"""What a cluster would be given, as files: Kubernetes' own objects, or a Workflow of Argo."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .rendering import facts_of, render

__all__ = [
    "facts_of", "render",
]  # fmt: skip

__getattr__ = lazy(__name__)
