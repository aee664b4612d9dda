"""Statistics of experiments, from sums of units: valid at every look. NumPy alone."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .arm_differences import MINIMUM_EVENTS, ArmDifference, MetricKind, arm_value, difference
    from .arm_sums import ArmSums, Numbers, Values, running_sums, winsorised
    from .confidence_sequences import (
        TUNING,
        critical_value,
        half_width,
        is_different,
        p_value,
        planned_units,
        smallest_effect,
    )
    from .corrections import Correction, corrected
    from .count_evidence import (
        RATE_CONCENTRATION,
        SRM_CONCENTRATION,
        evidence_p,
        log_evidence,
        log_evidence_path,
        rate_ratio,
    )

__all__ = [
    "MINIMUM_EVENTS",
    "RATE_CONCENTRATION",
    "SRM_CONCENTRATION",
    "TUNING",
    "ArmDifference",
    "ArmSums",
    "Correction",
    "MetricKind",
    "Numbers",
    "Values",
    "arm_value",
    "corrected",
    "critical_value",
    "difference",
    "evidence_p",
    "half_width",
    "is_different",
    "log_evidence",
    "log_evidence_path",
    "p_value",
    "planned_units",
    "rate_ratio",
    "running_sums",
    "smallest_effect",
    "winsorised",
]
__getattr__ = lazy(__name__)
