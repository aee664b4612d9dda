"""Records: what was declared, decided and seen, in one file from which the results can be had again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lykeion.control import read_resource
from lykeion.core import Invalid, Refused
from lykeion.core.documents import read_json
from lykeion.core.fields import Fields

from .events import EventLog
from .experiment_resource import EXPERIMENT, Conclusion, Experiment
from .experiment_results import ExperimentResults, results

LIMIT_BYTES = 16 << 20


class ExperimentRecordError(Invalid):
    """A file that is no record of an experiment."""


class ConclusionRefused(Refused):
    """The results do not bear the decision."""


@dataclass(frozen=True)
class ExperimentRecord:
    """``results`` is the document of what was seen at ``until``."""

    experiment: Experiment
    until: float
    results: dict[str, Any]

    def document(self) -> dict[str, Any]:
        return {"experiment": self.experiment.document(), "until": self.until, "results": self.results}

    def differences(self, log: EventLog) -> list[str]:
        """The fields of the results that are others if they are computed again; none if the record holds."""
        again = results(self.experiment, log, self.until).document()
        return [name for name, value in again.items() if self.results.get(name) != value]


def record_of(experiment: Experiment, found: ExperimentResults) -> ExperimentRecord:
    return ExperimentRecord(experiment, found.until, found.document())


def read_record(path: Path) -> ExperimentRecord:
    """Raises ExperimentRecordError, ResourceError."""
    fields = Fields(
        str(path), read_json(path, ExperimentRecordError, "record", limit=LIMIT_BYTES), ExperimentRecordError
    )
    fields.only("experiment", "until", "results")
    document: dict[str, Any] = fields.required("experiment", lambda field: dict(field.fields().values))
    until = fields.required("until", lambda field: field.value)
    if isinstance(until, bool) or not isinstance(until, int | float):
        raise ExperimentRecordError(f"{path}: until is no time in seconds")
    experiment = read_resource(Fields(f"{path}: experiment", document), {EXPERIMENT.name: EXPERIMENT})
    seen: dict[str, Any] = fields.required("results", lambda field: dict(field.fields().values))
    return ExperimentRecord(cast(Experiment, experiment), float(until), seen)


def check_undecided(experiment: Experiment, conclusion: Conclusion) -> None:
    """Raises ConclusionRefused where another arm was shipped before: the record would say otherwise."""
    before = experiment.spec.conclusion
    if before and before.ship != conclusion.ship:
        raise ConclusionRefused(f"{experiment.metadata.name} is concluded: {before.by} ships {before.ship}")


def check_conclusion(experiment: Experiment, conclusion: Conclusion, found: ExperimentResults) -> None:
    """Raises ConclusionRefused where the results speak against it, or cannot speak."""
    spec, name = experiment.spec, experiment.metadata.name
    arms = [each.name for each in spec.arms]
    if conclusion.ship not in arms:
        raise ConclusionRefused(f"{name} has no arm {conclusion.ship!r}; it has {', '.join(arms)}")
    if experiment.status.declaration and experiment.status.declaration != found.declaration:
        raise ConclusionRefused(f"{name}: the declaration is not the one of the start; make another experiment")
    if conclusion.ship == arms[0]:
        return
    if found.mismatch:
        raise ConclusionRefused(
            f"{name}: units are in other shares than declared (p = {found.mismatch_p:.2g}); find out why first"
        )
    first = next(
        each for each in found.results if each.metric == spec.metrics[0].name and each.arm == conclusion.ship
    )
    if first.verdict != "better":
        raise ConclusionRefused(
            f"{name}: {conclusion.ship} is not better by {first.metric} so far ({first.verdict}); wait,"
            f" ship {arms[0]}, or say --anyway"
        )
