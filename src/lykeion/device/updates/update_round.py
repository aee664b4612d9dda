"""One round of updates: what the server wants, what signed metadata allow, and each model taken as far as it goes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

from lykeion.core import LykeionError, Unsupported
from lykeion.device.errors import UpdateUnavailable
from lykeion.device.fetching.file_source import FileSource, Later
from lykeion.device.signed_target import ModelLimits, runs_on
from lykeion.device.slots.model_slots import ModelSlots
from lykeion.device.slots.slot_state import Offer, SlotState, limited, offered
from lykeion.device.trusted_metadata import FoundTarget, TrustedMetadata
from lykeion.device.updates.model_update import ModelUpdate


class Runtime(Protocol):
    def __call__(self, engine: str) -> str:
        """The version of an engine. Raises LykeionError if it is not installed."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """The device's class, ``any`` where its server finds it, and by model the path of the target that is to run;
    empty for the newest of the class."""

    device_class: str
    targets: Mapping[str, str]


@dataclass(slots=True)
class RoundOutcome:
    """By model, the state in the end; for what did not come through, by model or "" for all, the reason; for how
    long a server that is busy asks to wait, and how often it wants to be asked, 0 without a server; whether a server
    or the repository did not answer."""

    states: dict[str, SlotState] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    later_s: int = 0
    poll_s: int = 0
    unreachable: bool = False

    def failed(self, what: str, error: LykeionError) -> None:
        self.problems[what] = str(error)
        self.unreachable = self.unreachable or isinstance(error, UpdateUnavailable)
        if isinstance(error, Later):
            self.later_s = max(self.later_s, error.seconds)


@dataclass(frozen=True, slots=True)
class UpdateRound:
    trusted: TrustedMetadata
    metadata: FileSource
    slots: ModelSlots
    update: ModelUpdate
    runtime: Runtime
    now: Callable[[], datetime]

    def run(self, wanted: Wanted) -> RoundOutcome:
        """Raises nothing that another round could mend: what runs keeps running."""
        outcome = RoundOutcome()
        models = list(wanted.targets)
        try:
            paths = [path for path in wanted.targets.values() if path]
            self.trusted.update(partial(_fetch, self.metadata), models, self.now(), paths)
        except LykeionError as error:
            outcome.failed("", error)
            self._each(models, self._advance, outcome)
        else:
            self._each(models, lambda model: self._take(model, wanted), outcome)
        return outcome

    def _each(self, models: Iterable[str], work: Callable[[str], SlotState], outcome: RoundOutcome) -> None:
        for model in models:
            try:
                outcome.states[model] = work(model)
            except LykeionError as error:
                outcome.failed(model, error)

    def _take(self, model: str, wanted: Wanted) -> SlotState:
        limits = self.trusted.limits(model)
        self.slots.change(model, partial(limited, limits=limits))
        found = self._found(model, wanted)
        if found is None:
            raise UpdateUnavailable(f"{model}: no target of it for the class {wanted.device_class} is signed")
        offer = checked_offer(found, model, wanted.device_class, limits, self.runtime)
        self.slots.change(model, partial(offered, offer=offer))
        return self._advance(model)

    def _advance(self, model: str) -> SlotState:
        return self.update.advance(model)

    def _found(self, model: str, wanted: Wanted) -> FoundTarget | None:
        if path := wanted.targets[model]:
            return self.trusted.target(path)
        return self.trusted.newest(model, wanted.device_class)


def checked_offer(found: FoundTarget, model: str, device_class: str, limits: ModelLimits, runtime: Runtime) -> Offer:
    """Raises Unsupported if this target is not for this device."""
    target = found.record
    if target.model != model or device_class not in ("any", target.device_class):
        raise Unsupported(f"{target.path} is not for {model} on a device of the class {device_class}")
    if not limits.allows(target.version, target.file):
        raise Unsupported(f"{target.path} must not run any more: it is below the minimum, or revoked")
    if not runs_on(target, version := runtime(target.engine)):
        raise Unsupported(
            f"{target.path} needs {target.engine} from {target.runtime_from} and below {target.runtime_below}, not "
            f"{version}; update the software"
        )
    return Offer(target, found.size_bytes, f"sha256:{found.sha256}", found.name)


def _fetch(source: FileSource, name: str, limit: int) -> bytes:
    """Raises UpdateMissing, UpdateUnavailable."""
    content = bytearray()
    with source.get(name) as body:
        for chunk in body.chunks:
            content += chunk
            if len(content) > limit:
                raise UpdateUnavailable(f"{name}: longer than {limit:,} bytes")
    return bytes(content)
