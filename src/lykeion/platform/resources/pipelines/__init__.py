"""Pipelines, their runs, and the graph of their steps."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .step_graph import dependencies, downstream, in_order
    from .step_pipeline import (
        PIPELINE,
        PIPELINE_RUN,
        ExitStep,
        Parameter,
        Phase,
        Pipeline,
        PipelineRun,
        PipelineRunSpec,
        PipelineRunStatus,
        PipelineSpec,
        PipelineStep,
        StepStatus,
    )
    from .step_references import references, resolved

__all__ = [
    "PIPELINE", "PIPELINE_RUN", "ExitStep", "Parameter", "Phase", "Pipeline", "PipelineRun", "PipelineRunSpec",
    "PipelineRunStatus", "PipelineSpec", "PipelineStep", "StepStatus", "dependencies", "downstream", "in_order",
    "references", "resolved",
]  # fmt: skip

__getattr__ = lazy(__name__)
