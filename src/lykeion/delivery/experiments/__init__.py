"""Experiments: which variant is better, by what units do, with results that may be looked at all the time."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .arm_assignment import HOLDOUT, assigned_arm, period_of, space_lines
    from .arm_results import ArmResult
    from .experiment_controller import EXPERIMENTS, has_stopped
    from .experiment_plot import plot_looks
    from .experiment_record import (
        ConclusionRefused,
        ExperimentRecord,
        ExperimentRecordError,
        check_conclusion,
        check_undecided,
        read_record,
        record_of,
    )
    from .experiment_resource import (
        EXPERIMENT,
        Conclusion,
        Experiment,
        ExperimentArm,
        ExperimentMetric,
        ExperimentSpec,
        ExperimentStatus,
        declaration_digest,
        read_experiment,
        with_experiment_spec,
    )
    from .experiment_results import ExperimentResults, ExploratoryResult, Look, looks, results
    from .guardrail_tables import (
        EarlierExperiment,
        ExperimentLook,
        ExperimentObservation,
        UnfitForFlag,
        observe_experiment,
    )
    from .interleaved_answers import Drafted, team_draft

__all__ = [
    "EXPERIMENT",
    "EXPERIMENTS",
    "HOLDOUT",
    "ArmResult",
    "Conclusion",
    "ConclusionRefused",
    "Drafted",
    "EarlierExperiment",
    "Experiment",
    "ExperimentArm",
    "ExperimentLook",
    "ExperimentMetric",
    "ExperimentObservation",
    "ExperimentRecord",
    "ExperimentRecordError",
    "ExperimentResults",
    "ExperimentSpec",
    "ExperimentStatus",
    "ExploratoryResult",
    "Look",
    "UnfitForFlag",
    "assigned_arm",
    "check_conclusion",
    "check_undecided",
    "declaration_digest",
    "has_stopped",
    "looks",
    "observe_experiment",
    "period_of",
    "plot_looks",
    "read_experiment",
    "read_record",
    "record_of",
    "results",
    "space_lines",
    "team_draft",
    "with_experiment_spec",
]
__getattr__ = lazy(__name__)
