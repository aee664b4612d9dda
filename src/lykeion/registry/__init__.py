"""The model registry: models as OCI artifacts, in a directory or in any OCI registry."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .aliases import history, move, remove
    from .artifact.facts import Lineage, ModelFacts
    from .artifact.gathering import gather
    from .artifact.model_artifact import LEFT_OUT, Model, Packed, pack
    from .errors import InvalidModel, Untrusted
    from .gc import collect
    from .mlflow import export_mlflow, import_mlflow
    from .model_names import parse, prefixed
    from .model_versions import (
        Ancestor,
        Difference,
        Shown,
        Version,
        compare,
        find_versions,
        lineage,
        list_versions,
        show,
    )
    from .moves import Move, problems
    from .query import order, select
    from .resolving import by_digest, expected, facts_of, load, resolve, tags_at
    from .run_artifacts import forget_runs
    from .stores import Stores
    from .transfers.blob_cache import BlobCache
    from .transfers.copying import copy
    from .transfers.followed_link import flip_link, follow_link
    from .transfers.publish import Publication, publish
    from .transfers.pull import Pulled, keep, pull
    from .transfers.push import Pushed, push
    from .transfers.recent_versions import keep_recent, recent_directory
    from .trust.integrity import verify
    from .trust.policy import Policy, check_file, check_image, read_policy
    from .trust.signing import sign

__all__ = [
    "LEFT_OUT", "Ancestor", "BlobCache", "Difference", "InvalidModel", "Lineage", "Model", "ModelFacts", "Move",
    "Packed", "Policy", "Publication", "Pulled", "Pushed", "Shown", "Stores", "Untrusted", "Version", "by_digest",
    "check_file", "check_image", "collect", "compare", "copy", "expected", "export_mlflow", "facts_of",
    "find_versions", "flip_link", "follow_link", "forget_runs", "gather", "history", "import_mlflow", "keep",
    "keep_recent", "lineage", "list_versions", "load", "move", "order", "pack", "parse", "prefixed", "problems",
    "publish", "pull", "push", "read_policy", "recent_directory", "remove", "resolve", "select", "show", "sign",
    "tags_at", "verify",
]  # fmt: skip
__getattr__ = lazy(__name__)
