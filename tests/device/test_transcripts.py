"""Transcripts of lykeion.v1 of every version are replayed: no released conversation may come to anything else."""

import json
from pathlib import Path

import pytest

from lykeion import __version__
from lykeion.device.conversation import read_frame
from tests.device.record_transcripts import FOLDER, transcripts
from tests.device.transcript_machine import TranscriptMachine

FILES = sorted(FOLDER.glob("*/*.jsonl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_transcript_comes_to_what_it_came_to_when_it_was_recorded(path: Path) -> None:
    head, *steps = (json.loads(line) for line in path.read_text().splitlines())
    assert head["protocol"] == "lykeion.v1"
    machine = TranscriptMachine()
    for number, step in enumerate(steps, 2):
        assert machine.do(step) == step["gives"], f"line {number}"


def test_the_transcripts_of_this_version_are_those_that_its_program_writes() -> None:
    folder = FOLDER / __version__
    assert {path.name: path.read_text() for path in folder.iterdir()} == transcripts()


def test_the_transcripts_have_every_frame_every_step_and_every_refusal() -> None:
    steps = [json.loads(line) for path in FILES for line in path.read_text().splitlines()[1:]]
    assert {step["gives"].get("refused") for step in steps} == {None, "no-frame", "not-in-turn", "old-gateway"}
    received = [step["frame"] for step in steps if step["do"] == "receive" and "refused" not in step["gives"]]
    assert {int(frame[2:4], 16) for frame in received} == {2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
    welcomes = [read_frame(bytes.fromhex(step["gives"]["frame"])) for step in steps if step["do"] == "resume"]
    resets = {reset.what for welcome in welcomes for reset in welcome.resets}
    assert resets == {"up", "down", "numbers", "session", "group:all", "group:shop"}
    dropped = [step["gives"]["state"]["dropped_broadcasts"] for step in steps if step["side"] == "device"]
    assert max(dropped) > 4
