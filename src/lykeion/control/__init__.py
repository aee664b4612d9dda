"""Resources in general: kinds, conditions, schemas, reconcilers, the loop that runs them, and stores."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .conditions import Condition, Conditions, condition_of, is_true, merged
    from .control_loop import Answers, ControlLoop, SetFinalizer
    from .definitions import custom_resource_definition, structural_schema
    from .field_table import FieldRow, field_rows
    from .following import follow
    from .key_queue import KeyQueue
    from .reconcile import Decision, Event, Lookup, Observed, Reconcile, ResourceController
    from .resource import (
        API_VERSION,
        CLUSTER,
        FINALIZER,
        GROUP,
        VERSION,
        Annotations,
        AnyKind,
        AnyResource,
        ChangeRule,
        Column,
        Key,
        Labels,
        Metadata,
        Name,
        Once,
        Owner,
        Resource,
        ResourceError,
        ResourceKind,
        SpecRule,
        Time,
        Wire,
        child_name,
    )
    from .resource_documents import check_change, read_as, read_resource
    from .resource_store import (
        Change,
        Exists,
        Gone,
        Happened,
        Listing,
        NoSuchKind,
        NoSuchResource,
        Outdated,
        ResourceStore,
    )
    from .sqlite_file import ResourceStoreError
    from .sqlite_store import SqliteStore
    from .step_places import NotAsked


__all__ = [
    "API_VERSION", "CLUSTER", "FINALIZER", "GROUP", "VERSION", "Annotations", "Answers", "AnyKind", "AnyResource",
    "Change", "ChangeRule", "Column", "Condition", "Conditions", "ControlLoop", "Decision", "Event", "Exists",
    "FieldRow", "Gone", "Happened", "Key", "KeyQueue", "Labels", "Listing", "Lookup", "Metadata", "Name",
    "NoSuchKind", "NoSuchResource", "NotAsked", "Observed", "Once", "Outdated", "Owner", "Reconcile", "Resource",
    "ResourceController", "ResourceError", "ResourceKind", "ResourceStore", "ResourceStoreError", "SetFinalizer",
    "SpecRule", "SqliteStore", "Time", "Wire", "check_change", "child_name", "condition_of",
    "custom_resource_definition", "field_rows", "follow", "is_true", "merged", "read_as", "read_resource",
    "structural_schema",
]  # fmt: skip

__getattr__ = lazy(__name__)
