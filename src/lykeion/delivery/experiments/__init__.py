"""Experiments: which variant is better, by what units do, with results that may be looked at all the time."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .arm_assignment import SessionExposures, assigned_arm, period_of
    from .arm_results import ArmResult
    from .experiment_resource import (
        EXPERIMENT,
        Conclusion,
        Experiment,
        ExperimentArm,
        ExperimentMetric,
        ExperimentSpec,
        ExperimentStatus,
        declaration_digest,
    )
    from .experiment_results import ExperimentResults, ExploratoryResult, Look, looks, results
    from .team_draft import Drafted, team_draft

__all__ = [
    "EXPERIMENT",
    "ArmResult",
    "Conclusion",
    "Drafted",
    "Experiment",
    "ExperimentArm",
    "ExperimentMetric",
    "ExperimentResults",
    "ExperimentSpec",
    "ExperimentStatus",
    "ExploratoryResult",
    "Look",
    "SessionExposures",
    "assigned_arm",
    "declaration_digest",
    "looks",
    "period_of",
    "results",
    "team_draft",
]
__getattr__ = lazy(__name__)
