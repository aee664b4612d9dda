"""Feature flags that are kept, changed with a reason, and served to GrowthBook's clients and to devices."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .flag_compiling import FlagEnvironment, SavedGroup, check_environment, server_features
    from .flag_evaluation import evaluate_flags, flag_values
    from .flag_model import (
        FeatureFlag,
        FlagError,
        FlagRule,
        Namespace,
        Prerequisite,
        Variation,
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
    "PRODUCTION",
    "FeatureFlag",
    "FlagBase",
    "FlagChange",
    "FlagConflict",
    "FlagEdit",
    "FlagEnvironment",
    "FlagError",
    "FlagRule",
    "FlagStore",
    "FlagTransaction",
    "FlagVersion",
    "Namespace",
    "NoSuchFlag",
    "Prerequisite",
    "SavedGroup",
    "Variation",
    "check_environment",
    "evaluate_flags",
    "flag_document",
    "flag_values",
    "read_flag",
    "server_features",
    "weights_of",
]
__getattr__ = lazy(__name__)
