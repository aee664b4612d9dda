"""The rollouts and experiments of a fleet, as devices and their controllers see them."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .experiments_on_flags import flag_experiment, unfit_for_flag
    from .followed_resources import FollowedResources
    from .index_spaces import spaces_of
    from .one_namespace import OneNamespace, OtherNamespace
    from .rollout_lookups import rollout_answers
    from .served_experiments import ServedExperiments, forget_unit

__all__ = [
    "FollowedResources",
    "OneNamespace",
    "OtherNamespace",
    "ServedExperiments",
    "flag_experiment",
    "forget_unit",
    "rollout_answers",
    "spaces_of",
    "unfit_for_flag",
]

__getattr__ = lazy(__name__)
