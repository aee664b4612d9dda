"""How the steps of a pipeline begin, go on and end, here and in other clusters."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .pipeline_round import ENDED, PipelineRound
    from .remote_step import release_pipeline_run
    from .rerun import reused_steps, wrong_earlier
    from .step_progress import advance_step
    from .step_values import items_of
    from .step_work import STEP_LABEL

__all__ = [
    "ENDED", "STEP_LABEL", "PipelineRound", "advance_step", "items_of", "release_pipeline_run", "reused_steps",
    "wrong_earlier",
]  # fmt: skip

__getattr__ = lazy(__name__)
