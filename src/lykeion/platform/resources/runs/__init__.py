"""What runs to completion: trainings, batches and builds of images, with their artifacts, schedules and lifetimes."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .artifacts import FetchedInput, Inputs, KeptOutput, Outputs, References, unique_names
    from .batch_execution import (
        BATCH_EXECUTION,
        BatchExecution,
        BatchExecutionSpec,
        BatchExecutionStatus,
        Shards,
        for_each_item,
        is_for_each_item,
        shard_text,
        without_item,
    )
    from .image_build import (
        IMAGE_BUILD,
        FoundSource,
        ImageBuild,
        ImageBuildSpec,
        ImageBuildStatus,
        OneBuild,
        PastBuild,
    )
    from .lifetime import DeadlineSeconds, Retries, Suspend, TtlSeconds
    from .schedule import Schedule
    from .training import TRAINING, PublishedModel, Training, TrainingSpec, TrainingStatus, run_volume, untagged

__all__ = [
    "BATCH_EXECUTION", "IMAGE_BUILD", "TRAINING", "BatchExecution", "BatchExecutionSpec", "BatchExecutionStatus",
    "DeadlineSeconds", "FetchedInput", "FoundSource", "ImageBuild", "ImageBuildSpec", "ImageBuildStatus", "Inputs",
    "KeptOutput", "OneBuild", "Outputs", "PastBuild", "PublishedModel", "References", "Retries", "Schedule",
    "Shards", "Suspend", "Training", "TrainingSpec", "TrainingStatus", "TtlSeconds", "for_each_item",
    "is_for_each_item", "run_volume", "shard_text", "unique_names", "untagged", "without_item",
]  # fmt: skip

__getattr__ = lazy(__name__)
