"""Write the transcripts of this version: python -m tests.device.record_transcripts

Seeded: each run writes the same bytes. The folder of a version that is released is not written again: set the next
version in pyproject.toml first.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lykeion import __version__
from tests.device.transcript_frames import polled_bodies, read_data
from tests.device.transcript_machine import Step, TranscriptMachine, body_hex, shortened
from tests.device.transcript_walk import TranscriptWalk

FOLDER = Path(__file__).parent / "transcripts" / "lykeion.v1"
WALKS, STEPS = 12, 220
SESSION = bytes(range(16)).hex()


class Scribe:
    """Does steps and keeps them with what they gave; the clock goes on by a random time before each."""

    def __init__(self, name: str, says: str, seed: int = 1) -> None:
        self.lines: list[Step] = [{"protocol": "lykeion.v1", "transcript": name, "says": says}]
        self.chance, self._machine, self._at = random.Random(f"{name}/{seed}"), TranscriptMachine(), 0.0

    def do(self, side: str, do: str, **takes: Any) -> Step:
        self._at = round(self._at + self.chance.expovariate(2), 3)
        step = {"at": self._at, "side": side, "do": do, **takes}
        gives = self._machine.do(step)
        self.lines.append(step | {"gives": gives})
        return gives

    @property
    def at(self) -> float:
        return self._at

    def text(self) -> str:
        return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self.lines)

    def device(self, most: int = 1_000, **disk: Any) -> None:
        empty = {"session": SESSION, "epoch": 0, "received": 0, "groups": {}, "first": 1, "kept": []}
        self.do("device", "begin", **(empty | disk), most=most)

    def meets(self, known: Step | None = None, groups: dict[str, tuple[int, int]] | None = None) -> Step:
        """Hello and welcome; what the gateway is to store."""
        hello = self.do("device", "hello")["frame"]
        found = self.do("gateway", "resume", hello=hello, known=known, groups=groups or {})
        self.do("gateway", "open", kept=[])
        self.do("device", "receive", frame=found["frame"])
        return found["known"]

    def put(self, side: str, name: str, body: Any) -> str:
        return self.do(side, "put", name=name, body=body_hex(body))["frame"]

    def due(self, side: str) -> list[str]:
        return self.do(side, "due")["frames"]

    def takes(self, side: str, *frames: str) -> None:
        for frame in frames:
            self.do(side, "receive", frame=frame)


def sessions(scribe: Scribe) -> None:
    scribe.device()
    known = scribe.meets()
    known = scribe.meets(known)
    scribe.put("device", "events", {"events": [], "dropped": {}})
    scribe.takes("gateway", *scribe.due("device"))
    scribe.do("gateway", "on_disk", number=1)
    scribe.takes("device", *scribe.due("gateway"))
    scribe.meets(known | {"taken": 1})
    for case in (
        {"epoch": 9, "taken": 0, "first": 1, "sent": 0},  # a newer epoch than the device's
        {"epoch": 3, "taken": 7, "first": 1, "sent": 0},  # a device with an older file
        {"epoch": 3, "taken": 1, "first": 6, "sent": 9},  # messages to it that are not kept any longer
        {"epoch": 3, "taken": 0, "first": 1, "sent": 0},
    ):
        scribe.device(epoch=3, received=2, first=2, kept=[])
        scribe.meets(known | case)
    scribe.device(epoch=3, received=4, first=2)
    scribe.meets(None)
    scribe.device(epoch=3, received=4, first=2)
    scribe.meets(known | {"session": bytes(16).hex(), "epoch": 5})
    scribe.device(epoch=5)
    hello = scribe.do("device", "hello")["frame"]
    old = scribe.do("gateway", "resume", hello=hello, known=known | {"epoch": 1}, groups={})
    scribe.takes("device", old["frame"], old["frame"])  # the second welcome of a connection is refused
    for epoch in (5, 4):
        welcome = [2, epoch, 0, 1, 64, {}, []]
        scribe.device(epoch=5)
        scribe.takes("device", body_hex(welcome), body_hex([4, 0, 64]))


def resets(scribe: Scribe) -> None:
    scribe.device(most=3)
    known = scribe.meets()
    for number in range(6):
        scribe.put("device", "events", number)
    known = scribe.meets(known)
    lost = known  # the welcome may have been lost: it is told again until a hello has its epoch
    scribe.device(most=3, epoch=1, first=4, kept=[body_hex([3, n, "events", n]) for n in (4, 5, 6)])
    known = scribe.meets(lost)
    known = scribe.meets(known)
    untold = [[3 + n % 5, ["up", n % 17 + 1, n % 17 + 2, "the device could not keep them"]] for n in range(22)]
    for epoch in (0, 4, 5):  # of more than 16 only the last are told, each with the epoch that it had
        scribe.device(epoch=epoch, first=2)
        scribe.meets(known | {"epoch": 9, "taken": 1, "untold": untold})
    for most in (70, 3):
        scribe.device(epoch=3, received=9, groups={"all": 2, "shop": 40, "gone": 1}, most=most)
        known = scribe.meets(known, {"all": (6, 9), "shop": (1, 30), "new": (1, 4)})


def credits_and_gaps(scribe: Scribe) -> None:
    scribe.device()
    scribe.meets()
    for number in range(70):
        scribe.put("device", "events", number)
    frames = scribe.due("device")
    scribe.takes("gateway", *frames[:3], frames[1], frames[5], frames[3], frames[3])  # a repetition, a gap
    scribe.do("gateway", "on_disk", number=2)
    scribe.takes("gateway", frames[0])
    scribe.takes("device", *scribe.due("gateway"))
    scribe.takes("gateway", *frames[4:], *scribe.due("device"))
    scribe.takes("gateway", body_hex([3, 67, "events", 0]))  # beyond what may be sent
    scribe.do("gateway", "on_disk", number=66)
    scribe.takes("device", *scribe.due("gateway"))
    scribe.takes("gateway", *scribe.due("device"))
    scribe.takes("device", body_hex([4, 71, 200]))  # was not sent
    scribe.takes("device", body_hex([4, 10, 3]), body_hex([4, 60, 10]))  # credit does not fall
    for number in range(70):
        if number < 64:
            scribe.put("gateway", "command", {"key": f"k{number}", "name": "n", "body": None, "for_s": 9})
    scribe.takes("device", *scribe.due("gateway"))
    scribe.takes("device", body_hex([3, 65, "command", None]))
    scribe.takes("gateway", body_hex([4, 70, 200]))


def commands(scribe: Scribe) -> None:
    """A key is one command: given again with another number after a gateway lost its file, it is the same."""
    scribe.device()
    known = scribe.meets()
    made = {"blink": 30.0, "late": 0.4, "again": 30.0}
    for key, lives_s in made.items():
        for_s = max(0, round(lives_s - scribe.at))
        scribe.put("gateway", "command", {"key": key, "name": "blink", "body": {"times": 3}, "for_s": for_s})
    sent = scribe.due("gateway")
    scribe.takes("device", *sent[:2], sent[1])
    scribe.do("device", "on_disk", number=2)
    scribe.put("device", "result", {"key": "blink", "ok": True, "said": "done"})
    scribe.put("device", "result", {"key": "late", "ok": False, "said": "expired"})
    results = scribe.due("device")
    scribe.takes("gateway", *results)
    scribe.do("device", "cut")  # the acknowledgement is lost
    hello = scribe.do("device", "hello")["frame"]
    found = scribe.do("gateway", "resume", hello=hello, known=known | {"sent": 3, "taken": 2}, groups={})
    scribe.do("gateway", "open", kept=[sent[2]])
    scribe.takes("device", found["frame"], *scribe.due("gateway"), sent[2])
    scribe.takes("gateway", *scribe.due("device"))
    scribe.do("device", "on_disk", number=3)
    scribe.takes("gateway", *scribe.due("device"))


def kinds(scribe: Scribe) -> None:
    """Desired state, broadcasts, queries, presence, bye: none of them has a number that is acknowledged."""
    scribe.device(groups={"all": 4})
    scribe.meets(None, {"all": (1, 6)})
    for group, number in (("all", 5), ("all", 7), ("all", 7), ("all", 12), ("all", 3), ("other", 1)):
        scribe.takes("device", body_hex([6, group, number, {"n": number}]))
    for revision, flags in ((1, {}), (2, {"wide": True}), (5, {"wide": "b"})):
        scribe.takes("device", body_hex([5, revision, {"flags": flags}]))
    query = body_hex([7, 1, {"vector": bytes(8), "space": "s", "k": 8, "where": None}])
    photo = body_hex([7, 2, {"photo": bytes(9), "k": 1}])
    scribe.takes("gateway", query, photo, body_hex([9, 1]), body_hex([9, 77]), body_hex([10, {"here": True}]))
    for part, last in ((0, False), (1, False), (2, True)):
        scribe.takes("device", body_hex([8, 2, part, last, {"results": [part], "index": 1}]))
    scribe.takes("device", body_hex([8, 1, 0, True, {"error": "no"}]), body_hex([11, "the gateway is stopped", 20]))
    for frame in (query, body_hex([9, 1]), body_hex([10, None])):
        scribe.takes("device", frame)  # a gateway does not send these
    for frame in ([5, 1, None], [6, "all", 1, None], [8, 1, 0, True, None], [2, 1, 0, 1, 1, {}, []], [11, "", 0]):
        scribe.takes("gateway", body_hex(frame))
    hello = scribe.do("device", "hello")["frame"]
    scribe.takes("gateway", hello)
    for frame in ([3, 1, "command", None], [4, 0, 1], [5, 1, None], [6, "all", 1, None], [11, "busy", 3]):
        scribe.takes("device", body_hex(frame))  # before the welcome


def frames(scribe: Scribe) -> None:
    for data in read_data(scribe.chance):
        scribe.do("codec", "read", data=shortened(bytes.fromhex(data)))


def polling(scribe: Scribe) -> None:
    for do, takes in polled_bodies(scribe.chance):
        scribe.do("polling", do, **takes)


PROGRAMS: dict[str, tuple[str, Callable[[Scribe], None]]] = {
    "sessions": ("hello is answered: resumed, or a reset that says what was lost and why; epochs", sessions),
    "resets": ("what was dropped is told until it was heard; broadcasts that are not kept", resets),
    "credits": ("no more than the other side takes; gaps, repetitions, numbers never sent", credits_and_gaps),
    "commands": ("commands with keys, one that expired, and one that is given again", commands),
    "kinds": ("desired state, broadcasts, answers in parts, cancel, bye, and what is out of turn", kinds),
    "frames": ("bytes that are frames, and bytes that are none: every limit from both sides", frames),
    "polling": ("bodies of long polling", polling),
}


def transcripts() -> dict[str, str]:
    """By file name, the text."""
    made: dict[str, str] = {}
    for name, (says, program) in PROGRAMS.items():
        program(scribe := Scribe(name, says))
        made[f"{name}.jsonl"] = scribe.text()
    for seed in range(1, WALKS + 1):
        scribe = Scribe(f"walk-{seed:02}", "a network that loses, repeats and reorders; crashes of both sides", seed)
        TranscriptWalk(scribe, SESSION).walk(STEPS)
        made[f"walk-{seed:02}.jsonl"] = scribe.text()
    return made


def main() -> None:
    folder = FOLDER / __version__
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in transcripts().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
