"""What runs: a program with what it needs, the pod around it, its volumes, and what follows from its failure."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .failure_rule import Action, FailureRule, FailureRules
    from .pod_template import LabelKey, LabelValue, PodTemplate, PodVolume, Toleration
    from .program import Argument, EnvironmentVariable, KeyOf, Program, Requests, ValueSource
    from .program_volume import VOLUME, Volume, VolumeMount, VolumeSpec, VolumeStatus
    from .quantities import Quantity, quantity

__all__ = [
    "VOLUME", "Action", "Argument", "EnvironmentVariable", "FailureRule", "FailureRules", "KeyOf", "LabelKey",
    "LabelValue", "PodTemplate", "PodVolume", "Program", "Quantity", "Requests", "Toleration", "ValueSource",
    "Volume", "VolumeMount", "VolumeSpec", "VolumeStatus", "quantity",
]  # fmt: skip

__getattr__ = lazy(__name__)
