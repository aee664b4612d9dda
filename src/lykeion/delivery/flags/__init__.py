"""Feature flags that are kept, changed with a reason, and served to GrowthBook's clients and to devices."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .client_keys import ClientKey, ClientKeys, NoSuchClient, NotAClientKey, environment_of
    from .flag_api import MAX_STREAMS, FlagService, flag_routes
    from .flag_compiling import FlagEnvironment, SavedGroup, check_environment, server_features
    from .flag_evaluation import evaluate_flags, flag_values
    from .flag_experiments import FlagExperiment, FlagExperiments, check_experiment
    from .flag_feed import FlagFeed, FlagPayload
    from .flag_model import (
        FeatureFlag,
        FlagError,
        FlagRule,
        Namespace,
        Prerequisite,
        Variation,
        check_flag_name,
        flag_document,
        read_flag,
        weights_of,
    )
    from .flag_store import (
        PRODUCTION,
        FlagChange,
        FlagConflict,
        FlagEdit,
        FlagStore,
        FlagVersion,
        NoSuchFlag,
    )
    from .flag_tables import FLAG_TABLES, FlagBase, FlagTransaction

__all__ = [
    "FLAG_TABLES",
    "MAX_STREAMS",
    "PRODUCTION",
    "ClientKey",
    "ClientKeys",
    "FeatureFlag",
    "FlagBase",
    "FlagChange",
    "FlagConflict",
    "FlagEdit",
    "FlagEnvironment",
    "FlagError",
    "FlagExperiment",
    "FlagExperiments",
    "FlagFeed",
    "FlagPayload",
    "FlagRule",
    "FlagService",
    "FlagStore",
    "FlagTransaction",
    "FlagVersion",
    "Namespace",
    "NoSuchClient",
    "NoSuchFlag",
    "NotAClientKey",
    "Prerequisite",
    "SavedGroup",
    "Variation",
    "check_environment",
    "check_experiment",
    "check_flag_name",
    "environment_of",
    "evaluate_flags",
    "flag_document",
    "flag_routes",
    "flag_values",
    "read_flag",
    "server_features",
    "weights_of",
]
__getattr__ = lazy(__name__)
