"""Rollout: where the change of a Serving from one version to another stands."""

from typing import Annotated, Literal

from msgspec import Meta

from lykeion.control import Time, Wire

from .canary import AnalysisStatus

Text = Annotated[str, Meta(max_length=512)]


class ServingVersion(Wire, frozen=True):
    """One template of replicas, which ``hash`` identifies."""

    hash: Annotated[str, Meta(max_length=16)]
    artifact: Text = ""
    """What it serves of the registry, pinned by its digest; empty for a program and a path."""


class RolloutStatus(Wire, frozen=True):
    number: int
    version: ServingVersion
    since: Time
    """The beginning of the phase."""
    phase: Annotated[
        Literal["Starting", "Verifying", "Serving"],
        Meta(description="Replicas for the next step start, the command verifies them, or the step's weight holds."),
    ] = "Starting"
    step: int = 0
    weight: int = 0
    """Percent of the requests that the new version gets now."""
    promoted: bool = False
    """Without the remaining steps."""
    ready: int = 0
    """Replicas of the new version that have been ready."""
    unready_since: Time | None = None
    analysis: AnalysisStatus = AnalysisStatus()


class PastRollout(Wire, frozen=True):
    number: int
    version: ServingVersion
    outcome: Literal["Promoted", "RolledBack"]
    reason: Annotated[str, Meta(max_length=63)]
    at: Time
    message: Text = ""
