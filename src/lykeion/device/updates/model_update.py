"""One version on its way into a slot, step by step; each step may be interrupted anywhere and is done again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from lykeion.core import LykeionError, digest_bytes
from lykeion.device.delta_patch import apply_delta
from lykeion.device.errors import DeltaError
from lykeion.device.fetching.download_pace import Pace
from lykeion.device.fetching.file_source import FileSource
from lykeion.device.fetching.resumed_download import download
from lykeion.device.signed_target import Delta, companion_path, delta_path
from lykeion.device.slots.model_slots import DamagedFile, ModelSlots
from lykeion.device.slots.slot_state import ModelSlot, Offer, SlotState, Step, failed, stepped, without_deltas
from lykeion.litert import ModelError
from lykeion.litert.packed import PackageError, unpack

Trying = Callable[[Offer, bytes, bytes], object]
"""Tries a model's bytes with those of its companion (empty without one), where a crash does no harm. Raises
LykeionError if it must not be used."""


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """Takes the next version of a model as far as it goes. ``may_fetch`` is asked before anything is downloaded and
    raises what keeps the device from it, such as a metered network."""

    slots: ModelSlots
    source: FileSource
    trying: Trying
    pace: Pace
    may_fetch: Callable[[Offer], object] = lambda offer: None

    def advance(self, name: str) -> SlotState:
        """Until the next version is active, or given up, or there is none; an error leaves it where it is.

        Raises UpdateUnavailable, UpdateRefused and SlotError: what runs stays as it is.
        """
        steps: Mapping[Step, Callable[[str, ModelSlot], SlotState]] = {
            "idle": self._download,
            "downloaded": self._verify,
            "verified": self._try,
            "tried": lambda name, coming: self._step(name, "active"),
        }
        while (coming := (state := self.slots.state(name)).coming) is not None:
            steps[coming.step](name, coming)
        return state

    def _download(self, name: str, coming: ModelSlot) -> SlotState:
        target = coming.offer.target
        lacking = [] if self.slots.has(target.file) else [self._file(coming)]
        if (companion := target.companion) and not self.slots.has(companion.digest):
            path = companion_path(target.model, companion.digest)
            lacking.append(_Download(path, companion.size_bytes, companion.digest))
        if lacking:
            self.may_fetch(coming.offer)
            self.slots.make_room(sum(each.size_bytes for each in lacking) + target.file_bytes)
        for each in lacking:
            content = self._fetch(each)
            if companion and each.digest == companion.digest:
                self.slots.keep(each.digest, content)
        return self._step(name, "downloaded")

    def _verify(self, name: str, coming: ModelSlot) -> SlotState:
        target = coming.offer.target
        try:
            if not self.slots.has(target.file):
                self.slots.keep(target.file, self._whole(coming))
            for digest in (target.file, *([target.companion.digest] if target.companion else ())):
                self.slots.load(digest)
        except DamagedFile:  # lost or damaged since it was downloaded
            self._forget(coming)
            return self._step(name, "idle")
        except DeltaError:
            self._forget(coming)
            return self.slots.change(name, without_deltas)
        except (PackageError, ModelError) as error:
            return self.slots.change(name, partial(failed, cause=str(error)))
        self.slots.discard_part(self._file(coming).digest)
        return self._step(name, "verified")

    def _try(self, name: str, coming: ModelSlot) -> SlotState:
        target = coming.offer.target
        try:
            content = self.slots.load(target.file)
            companion = self.slots.load(target.companion.digest) if target.companion else b""
        except DamagedFile:
            self._forget(coming)
            return self._step(name, "idle")
        try:
            self.trying(coming.offer, content, companion)
        except LykeionError as error:
            return self.slots.change(name, partial(failed, cause=str(error)))
        return self._step(name, "tried")

    def _whole(self, coming: ModelSlot) -> bytes:
        """The model file from what was downloaded. Raises DamagedFile, DeltaError, PackageError, ModelError."""
        target, chosen = coming.offer.target, self._file(coming)
        content = self.slots.load_part(chosen.digest)
        if chosen.delta:
            base = self.slots.load(chosen.delta.base)
            return apply_delta(chosen.delta.method, base, content, size=target.file_bytes, digest=target.file)
        if target.packing == "lykpack":
            content = unpack(content, limit_bytes=target.file_bytes, name=target.path)
        if digest_bytes(content) != target.file:
            raise ModelError(f"{target.path}: contains another file than the one that was signed")
        return content

    def _file(self, coming: ModelSlot) -> "_Download":
        """The smallest download from which the device can make the file."""
        offer = coming.offer
        whole = _Download(offer.path, offer.size_bytes, offer.digest)
        usable = [delta for delta in offer.target.deltas if self.slots.has(delta.base) and not coming.whole]
        deltas = (
            _Download(delta_path(offer.target.model, each.digest), each.size_bytes, each.digest, each)
            for each in usable
        )
        return min(whole, *deltas, key=lambda each: each.size_bytes) if usable else whole

    def _fetch(self, wanted: "_Download") -> bytes:
        return self.slots.fetch(
            wanted.digest,
            lambda files, part: download(
                files, part, self.source, wanted.path, wanted.size_bytes, wanted.digest, self.pace
            ),
        )

    def _forget(self, coming: ModelSlot) -> None:
        target = coming.offer.target
        companion = [target.companion.digest] if target.companion else []
        self.slots.discard(target.file, self._file(coming).digest, *companion)

    def _step(self, name: str, step: Step) -> SlotState:
        return self.slots.change(name, lambda state: stepped(state, step))


@dataclass(frozen=True, slots=True)
class _Download:
    path: str
    size_bytes: int
    digest: str
    delta: Delta | None = None
