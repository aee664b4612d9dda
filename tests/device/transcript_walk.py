"""A seeded walk of a device and a gateway over a network that loses, repeats and reorders, for transcripts."""

from typing import Any

from lykeion.device.conversation import BroadcastFrame, read_frame, write_frame
from tests.device.transcript_machine import Step, body_hex

GROUP = "all"
MOST = 6
"""Messages that the device keeps."""


class TranscriptWalk:
    """``scribe`` does each step. What is on the disks of both sides is here, so that either may crash."""

    def __init__(self, scribe: Any, session: str) -> None:
        self._scribe, self._chance = scribe, scribe.chance
        self._up: list[str] = []
        self._down: list[str] = []
        self._disk: Step = {"session": session, "epoch": 0, "received": 0, "groups": {}, "first": 1, "kept": []}
        self._known: Step | None = None
        self._kept: dict[int, str] = {}
        self._pending: list[int] = []
        self._logged = self._made = 0
        self._first_logged = 1
        self._is_open = False
        self._begin()

    def walk(self, steps: int) -> None:
        moves = {
            self._report: 6, self._arrive_up: 12, self._arrive_down: 12, self._commit: 8, self._command: 4,
            self._send: 8, self._broadcast: 4, self._connect: 3, self._cut: 1, self._crash: 1, self._lose: 1,
            self._repeat: 2, self._reorder: 0.5, self._forget: 1, self._restore: 0.3,
        }  # fmt: skip
        for _ in range(steps):
            self._chance.choices(list(moves), list(moves.values()))[0]()

    def _begin(self) -> None:
        self._scribe.do("device", "begin", **self._disk, most=MOST)

    def _device(self, do: str, **takes: Any) -> Step:
        gives = self._scribe.do("device", do, **takes)
        state, outgoing = gives["state"], gives["state"]["outgoing"]
        kept = {read_frame(bytes.fromhex(each)).number: each for each in self._disk["kept"]}  # type: ignore[union-attr]
        if do == "put":
            kept[outgoing["next"] - 1] = gives["frame"]
        renumbered = dict(zip(outgoing["kept"], list(kept.values())[-len(outgoing["kept"]) :], strict=False))
        self._disk |= {
            "epoch": state["epoch"],
            "received": state["incoming"]["stored"],
            "groups": state["groups"],
            "first": outgoing["first"],
            "kept": [_numbered(each, number) for number, each in renumbered.items()],
        }
        return gives

    def _report(self) -> None:
        self._made += 1
        self._device("put", name="events", body=body_hex({"n": self._made, "at": self._scribe.at}))
        self._up += self._device("due")["frames"]

    def _command(self) -> None:
        if self._is_open and self._room > 0:
            body = {"key": f"k{self._made}", "name": "blink", "body": None, "for_s": self._chance.randrange(9)}
            frame = self._gateway("put", name="command", body=body_hex(body))["frame"]
            assert self._known
            self._known["sent"] += 1
            self._kept[self._known["sent"]] = frame
            self._made += 1

    def _broadcast(self) -> None:
        self._logged += 1
        if self._is_open and self._chance.random() < 0.7:
            self._down.append(write_frame(BroadcastFrame(GROUP, self._logged, {"n": self._logged})).hex())

    def _forget(self) -> None:
        self._first_logged = max(self._first_logged, self._logged - 1)

    def _connect(self) -> None:
        if self._is_open and self._chance.random() < 0.9:
            return
        self._cut()
        self._up = [self._device("hello")["frame"]]

    def _cut(self) -> None:
        self._up, self._down, self._is_open, self._pending = [], [], False, []
        self._device("cut")

    def _crash(self) -> None:
        """Of the device: what is on its disk is left."""
        self._cut()
        self._begin()

    def _restore(self) -> None:
        """The gateway's file is one of before."""
        self._cut()
        if self._known:
            back = self._chance.randrange(3)
            self._known |= {
                "taken": max(0, self._known["taken"] - back),
                "epoch": max(1, self._known["epoch"] - back),
            }

    def _arrive_up(self) -> None:
        if not self._up:
            return
        frame = self._up.pop(0)
        read = read_frame(bytes.fromhex(frame))
        if type(read).__name__ == "HelloFrame":
            self._greet(frame)
        elif self._is_open:
            gives = self._gateway("receive", frame=frame)
            if "refused" in gives:
                self._cut()
            elif gives["frame"] and type(read).__name__ == "MessageFrame":
                self._pending.append(read.number)  # type: ignore[union-attr]
            elif type(read).__name__ == "AckFrame" and self._known:
                self._known["first"] = max(self._known["first"], read.number + 1)  # type: ignore[union-attr]

    def _greet(self, hello: str) -> None:
        groups = {GROUP: [self._first_logged, self._logged]}
        found = self._scribe.do("gateway", "resume", hello=hello, known=self._known, groups=groups)
        self._known = dict(found["known"])
        if found["is_new"]:
            self._kept.clear()
        self._kept = {number: each for number, each in self._kept.items() if number >= self._known["first"]}
        self._is_open, self._pending = True, []
        self._gateway("open", kept=list(self._kept.values()))
        self._down.append(found["frame"])

    def _gateway(self, do: str, **takes: Any) -> Step:
        gives = self._scribe.do("gateway", do, **takes)
        self._room = gives["state"]["room"]
        return gives

    def _commit(self) -> None:
        if self._is_open and self._pending and self._known:
            number = self._pending.pop(0)
            self._known["taken"] = number
            self._gateway("on_disk", number=number)

    def _send(self) -> None:
        if self._is_open:
            self._down += self._gateway("due")["frames"]

    def _arrive_down(self) -> None:
        if not self._down:
            return
        gives = self._device("receive", frame=(frame := self._down.pop(0)))
        if "refused" in gives:
            self._cut()
            return
        read: Any = read_frame(bytes.fromhex(frame))
        if gives["frame"] and type(read).__name__ == "MessageFrame" and self._chance.random() < 0.8:
            self._device("on_disk", number=read.number)
        self._up += self._device("due")["frames"]

    def _lose(self) -> None:
        for way in (self._up, self._down):
            if len(way) > 1:
                way.pop(self._chance.randrange(1, len(way)))

    def _repeat(self) -> None:
        for way in (self._up, self._down):
            if len(way) > 1:
                way.append(way[self._chance.randrange(1, len(way))])

    def _reorder(self) -> None:
        for way in (self._up, self._down):
            if len(way) > 2:
                way[1], way[2] = way[2], way[1]


def _numbered(frame: str, number: int) -> str:
    read: Any = read_frame(bytes.fromhex(frame))
    return write_frame(read._replace(number=number)).hex()
