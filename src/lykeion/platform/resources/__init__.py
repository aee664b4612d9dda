"""The kinds, one per file: users write their specs in YAML, or here as dataclasses that print as the same YAML.

Users write all but work, replica groups, routes and volumes, which the others run as.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .pipelines import (
        PIPELINE,
        PIPELINE_RUN,
        ExitStep,
        Parameter,
        Pipeline,
        PipelineRun,
        PipelineRunSpec,
        PipelineSpec,
        PipelineStep,
    )
    from .plain_kinds import Autoscaling, Readiness, Role
    from .programs import EnvironmentVariable, FailureRule, KeyOf, Program, Requests, ValueSource
    from .runs import (
        BATCH_EXECUTION,
        TRAINING,
        BatchExecution,
        BatchExecutionSpec,
        FetchedInput,
        KeptOutput,
        PublishedModel,
        Schedule,
        Shards,
        Training,
        TrainingSpec,
    )
    from .servings import SERVING, Canary, IndexToServe, ModelToServe, Serving, ServingSpec
    from .settings import (
        CLUSTER_PROFILE,
        CONFIG_MAP,
        SECRET,
        WEBHOOK,
        ClusterProfile,
        ClusterProfileSpec,
        ConfigMap,
        ConfigMapSpec,
        Secret,
        SecretSpec,
        Webhook,
        WebhookSpec,
    )

__all__ = [
    "BATCH_EXECUTION", "CLUSTER_PROFILE", "CONFIG_MAP", "PIPELINE", "PIPELINE_RUN", "SECRET", "SERVING",
    "TRAINING", "WEBHOOK", "Autoscaling", "BatchExecution", "BatchExecutionSpec", "Canary", "ClusterProfile",
    "ClusterProfileSpec", "ConfigMap", "ConfigMapSpec", "EnvironmentVariable", "ExitStep", "FailureRule",
    "FetchedInput", "IndexToServe", "KeptOutput", "KeyOf", "ModelToServe", "Parameter", "Pipeline", "PipelineRun",
    "PipelineRunSpec", "PipelineSpec", "PipelineStep", "Program", "PublishedModel", "Readiness", "Requests",
    "Role", "Schedule", "Secret", "SecretSpec", "Serving", "ServingSpec", "Shards", "Training", "TrainingSpec",
    "ValueSource", "Webhook", "WebhookSpec",
]  # fmt: skip

__getattr__ = lazy(__name__)
