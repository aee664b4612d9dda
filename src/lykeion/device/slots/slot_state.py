"""Two slots of a model as plain data, and each change of them as a pure function.

``running`` is what an app loads; ``other`` is the version before it, to which a device falls back, or the next one
on its way: ``idle → downloaded → verified → tried``, then it becomes ``running`` and is ``active``, and ``confirmed``
once the app has run it a number of times.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lykeion.core.fields import Field, Fields
from lykeion.device.errors import SlotError
from lykeion.device.signed_target import ModelLimits, SignedTarget, read_target

Step = Literal["idle", "downloaded", "verified", "tried", "active", "confirmed"]
STEPS: tuple[Step, ...] = ("idle", "downloaded", "verified", "tried", "active", "confirmed")
MAX_STARTS = 3
"""So often an app may start with a version before it is confirmed."""
CONFIRMING_RUNS = 10
MAX_FAILED = 32
MAX_CAUSE = 300
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """A target that verified metadata name: its record, and what is downloaded: size, digest, and the path below the
    targets' address."""

    target: SignedTarget
    size_bytes: int
    digest: str
    path: str

    def same_as(self, other: "Offer") -> bool:
        """Whether it is the same version in the same file, to run the same way; deltas may differ."""
        return _identity(self.target) == _identity(other.target)


@dataclass(frozen=True, slots=True)
class ModelSlot:
    """``starts`` and ``runs`` count the app's since it is active. ``whole`` says that no delta is to be used."""

    offer: Offer
    step: Step = "idle"
    starts: int = 0
    runs: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class FailedVersion:
    """A version that is not taken again, and why."""

    version: int
    file: str
    cause: str


@dataclass(frozen=True, slots=True)
class SlotState:
    running: ModelSlot | None = None
    other: ModelSlot | None = None
    failed: tuple[FailedVersion, ...] = ()

    @property
    def coming(self) -> ModelSlot | None:
        """The next version, while it is on its way."""
        return self.other if self.other and self.other.step in STEPS[:4] else None

    @property
    def last_good(self) -> ModelSlot | None:
        """The version that has been confirmed last: the one that runs, or the other."""
        return next((slot for slot in (self.running, self.other) if slot and slot.step == "confirmed"), None)

    def files(self) -> frozenset[str]:
        """The digests of files that must stay."""
        kept = [slot.offer.target for slot in (self.running, self.other) if slot]
        return frozenset({each.file for each in kept} | {each.companion.digest for each in kept if each.companion})

    def to_json(self) -> dict[str, Any]:
        """A JSON value for ``read_state``."""
        return {
            "schema": _SCHEMA,
            "running": self.running and _slot_plain(self.running),
            "other": self.other and _slot_plain(self.other),
            "failed": [{"version": each.version, "file": each.file, "cause": each.cause} for each in self.failed],
        }


def offered(state: SlotState, offer: Offer) -> SlotState:
    """The device is to run this version. One that has failed here is not taken again; the one before is taken back
    at once."""
    if state.running and state.running.offer.same_as(offer):
        return replace(state, other=None) if state.coming else state
    if any(each.file == offer.target.file and each.version == offer.target.version for each in state.failed):
        return replace(state, other=None) if state.coming else state
    if state.other and state.other.offer.same_as(offer):
        if state.coming:
            return state
        return replace(state, running=state.other, other=_as_fallback(state.running))
    if state.running and state.running.step == "active" and state.other and state.other.step == "confirmed":
        state = replace(state, running=state.other)  # the last good one keeps its slot
    return replace(state, other=ModelSlot(offer))


def stepped(state: SlotState, step: Step) -> SlotState:
    """The next version has come this far. ``active`` moves it to where the app loads it."""
    if state.coming is None:
        return state
    coming = replace(state.coming, step=step)
    if step != "active":
        return replace(state, other=coming)
    return replace(state, running=coming, other=state.running)


def without_deltas(state: SlotState) -> SlotState:
    """A delta has not given the file: begin again, with the whole one."""
    return replace(state, other=replace(state.coming, step="idle", whole=True)) if state.coming else state


def failed(state: SlotState, cause: str) -> SlotState:
    """The next version is given up and not taken again."""
    return replace(state, other=None, failed=_with_failed(state, state.coming, cause)) if state.coming else state


def started(state: SlotState) -> SlotState:
    """An app loads the model. The one that runs is given up after ``MAX_STARTS`` that did not confirm it."""
    running = state.running
    if running is None or running.step == "confirmed":
        return state
    if running.starts >= MAX_STARTS:
        return fallen_back(state, f"{MAX_STARTS} starts of the app did not confirm it")
    return replace(state, running=replace(running, starts=running.starts + 1))


def ran(state: SlotState, confirming_runs: int = CONFIRMING_RUNS) -> SlotState:
    """The app has run it once more."""
    running = state.running
    if running is None or running.step == "confirmed":
        return state
    runs = running.runs + 1
    step: Step = "confirmed" if runs >= confirming_runs else running.step
    return replace(state, running=replace(running, runs=runs, step=step))


def fallen_back(state: SlotState, cause: str) -> SlotState:
    """What runs is given up; the last confirmed version runs again, or none where there was none."""
    other = state.other if state.other and state.other.step == "confirmed" else None
    coming = state.coming
    return replace(state, running=other, other=coming, failed=_with_failed(state, state.running, cause))


def limited(state: SlotState, limits: ModelLimits) -> SlotState:
    """Without versions that must not run any more."""

    def allowed(slot: ModelSlot | None) -> ModelSlot | None:
        return slot if slot and limits.allows(slot.offer.target.version, slot.offer.target.file) else None

    running, other = allowed(state.running), allowed(state.other)
    if running is None and other and other.step == "confirmed":
        running, other = other, None
    return replace(state, running=running, other=other)


def read_state(plain: Mapping[str, Any], where: str) -> SlotState:
    """Raises SlotError."""
    fields = Fields(where, plain, SlotError)
    fields.only("schema", "running", "other", "failed")
    fields.required("schema", lambda field: field.number(_SCHEMA, _SCHEMA))
    return SlotState(
        *(None if plain.get(name) is None else fields.required(name, _slot) for name in ("running", "other")),
        failed=tuple(_failed(item) for item in fields.required("failed", Field.items)),
    )


def _identity(target: SignedTarget) -> tuple[object, ...]:
    return target.version, target.file, target.engine, target.threads, target.companion, target.space


def _as_fallback(slot: ModelSlot | None) -> ModelSlot | None:
    return slot if slot and slot.step == "confirmed" else None


def _with_failed(state: SlotState, slot: ModelSlot | None, cause: str) -> tuple[FailedVersion, ...]:
    if slot is None:
        return state.failed
    target = slot.offer.target
    return (*state.failed, FailedVersion(target.version, target.file, cause[:MAX_CAUSE]))[-MAX_FAILED:]


def _slot_plain(slot: ModelSlot) -> dict[str, Any]:
    offer = slot.offer
    return {
        "target": offer.target.to_json(),
        "size_bytes": offer.size_bytes,
        "digest": offer.digest,
        "path": offer.path,
        "step": slot.step,
        "starts": slot.starts,
        "runs": slot.runs,
        "whole": slot.whole,
    }


def _slot(field: Field) -> ModelSlot:
    fields = field.fields()
    custom = fields.required("target", Field.fields).values
    target = read_target(custom, f"{custom.get('model')}/v{custom.get('version')}/{custom.get('device_class')}")
    offer = Offer(
        target,
        fields.required("size_bytes", lambda each: each.number(1, 1 << 40)),
        fields.required("digest", Field.text),
        fields.required("path", Field.text),
    )
    step: Any = fields.required("step", lambda each: each.one_of(STEPS))
    starts, runs = (fields.required(name, lambda each: each.number(0, 1 << 31)) for name in ("starts", "runs"))
    return ModelSlot(offer, step, starts, runs, fields.required("whole", Field.truth))


def _failed(field: Field) -> FailedVersion:
    fields = field.fields()
    version = fields.required("version", lambda each: each.number(1, 1 << 31))
    return FailedVersion(version, fields.required("file", Field.text), fields.required("cause", Field.text))
