"""The kinds, one per file: users write their specs in YAML, or here as dataclasses that print as the same YAML.

Users write all but work, replica groups, routes and volumes, which the others run as.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .artifacts import FetchedInput, KeptOutput
    from .autoscaling import Autoscaling
    from .batch_execution import BATCH_EXECUTION, BatchExecution, BatchExecutionSpec, Shards
    from .canary import Canary
    from .cluster_profile import CLUSTER_PROFILE, ClusterProfile, ClusterProfileSpec
    from .configuration import CONFIG_MAP, SECRET, ConfigMap, ConfigMapSpec, Secret, SecretSpec
    from .failure_rule import FailureRule
    from .program import EnvironmentVariable, KeyOf, Program, Requests, ValueSource
    from .replica_group import Readiness
    from .schedule import Schedule
    from .serving import SERVING, IndexToServe, ModelToServe, Serving, ServingSpec
    from .step_pipeline import (
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
    from .training import TRAINING, PublishedModel, Training, TrainingSpec
    from .webhook import WEBHOOK, Webhook, WebhookSpec
    from .work import Role

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
