"""Feature flags and experiments as GrowthBook evaluates them, so that its clients and ours decide alike.

https://docs.growthbook.io/lib/build-your-own. Documents are those of its API, ``/api/features/KEY``.
"""

from .attribute_conditions import satisfies
from .feature_evaluation import FeatureResult, evaluate_feature, run_experiment
from .flag_context import FlagContext
from .variation_assignment import ExperimentResult
from .where_conditions import AttributeType, AttributeTypes, ServerOnly, compile_where, guarded, typed

__all__ = [
    "AttributeType", "AttributeTypes", "ExperimentResult", "FeatureResult", "FlagContext", "ServerOnly",
    "compile_where", "evaluate_feature", "guarded", "run_experiment", "satisfies", "typed",
]  # fmt: skip
