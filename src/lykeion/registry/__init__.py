"""The model repository: models as OCI artifacts, in a directory or in any OCI registry."""

from .aliases import history, move, remove
from .blob_cache import BlobCache
from .copying import copy
from .describe import Ancestor, Difference, Shown, Version, compare, lineage, list_versions, show
from .errors import InvalidModel, Untrusted
from .facts import Lineage, ModelFacts
from .gathering import gather
from .gc import collect
from .integrity import verify
from .mlflow import export_mlflow, import_mlflow
from .model import LEFT_OUT, Model, Packed, pack
from .model_names import parse
from .moves import Move, problems
from .opening import Stores
from .pull import Pulled, keep, pull
from .push import Pushed, push
from .query import order, select
from .resolving import by_digest, expected, load, resolve, tags_at
from .signing import sign
from .trust import Policy, check_file, read_policy

__all__ = [
    "LEFT_OUT",
    "Ancestor",
    "BlobCache",
    "Difference",
    "InvalidModel",
    "Lineage",
    "Model",
    "ModelFacts",
    "Move",
    "Packed",
    "Policy",
    "Pulled",
    "Pushed",
    "Shown",
    "Stores",
    "Untrusted",
    "Version",
    "by_digest",
    "check_file",
    "collect",
    "compare",
    "copy",
    "expected",
    "export_mlflow",
    "gather",
    "history",
    "import_mlflow",
    "keep",
    "lineage",
    "list_versions",
    "load",
    "move",
    "order",
    "pack",
    "parse",
    "problems",
    "pull",
    "push",
    "read_policy",
    "remove",
    "resolve",
    "select",
    "show",
    "sign",
    "tags_at",
    "verify",
]
