"""Servings, and how their versions are rolled out."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .canary import MAX_STEPS, AnalysisStatus, Canary, CanaryAnalysis, CanaryStep, Evidence, RequestTotals, Verify
    from .rollout import PastRollout, RolloutStatus, ServingVersion
    from .serving import (
        SERVING,
        FoundVersion,
        IndexToServe,
        ModelToServe,
        ServedImage,
        Serving,
        ServingSpec,
        ServingStatus,
    )

__all__ = [
    "MAX_STEPS", "SERVING", "AnalysisStatus", "Canary", "CanaryAnalysis", "CanaryStep", "Evidence", "FoundVersion",
    "IndexToServe", "ModelToServe", "PastRollout", "RequestTotals", "RolloutStatus", "ServedImage", "Serving",
    "ServingSpec", "ServingStatus", "ServingVersion", "Verify",
]  # fmt: skip

__getattr__ = lazy(__name__)
