"""The state machine of browsers does what ours does: any steps, in Python and in Node."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lykeion.device.conversation import BroadcastFrame, WelcomeFrame, write_frame
from tests.device.test_frames import FRAMES
from tests.device.transcript_machine import Step, TranscriptMachine, body_hex, shortened

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "web" / "device" / "test"
LINES = PROGRAMS / "transcript_lines.mjs"
FILES = sorted((ROOT / "tests" / "device" / "transcripts").glob("*/*/*.jsonl"))
SMALL = st.integers(0, 9)
CREDIT = st.integers(0, 80)
GROUPS = st.dictionaries(st.sampled_from(["all", "shop", "__proto__", "constructor"]), SMALL, max_size=3)
BODIES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.floats().filter(lambda each: not each.is_integer())
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=4), each, max_size=3),
    max_leaves=5,
).map(body_hex)

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


class NodeMachine:
    """A process that does lists of steps."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(LINES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, steps: list[Step]) -> list[Step]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(steps) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@pytest.fixture(scope="module")
def node() -> Iterator[NodeMachine]:
    made = NodeMachine()
    yield made
    made.close()


def raw(*fields: object) -> str:
    return body_hex(list(fields))


def step(side: str, do: str, **takes: st.SearchStrategy) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries({"side": st.just(side), "do": st.just(do), **takes})


def message(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return st.builds(lambda number, body: f"8403{raw(number)[2:]}616e{body}", numbers, BODIES)


KEPT = st.integers(1, 4).flatmap(
    lambda first: st.fixed_dictionaries(
        {
            "first": st.just(first),
            "kept": st.integers(0, 3).map(lambda n: [raw(3, first + each, "n", each) for each in range(n)]),
        }
    )
)
BEGIN = st.builds(
    lambda disk, begin: begin | disk,
    KEPT,
    step(
        "device",
        "begin",
        session=st.just(bytes(16).hex()),
        epoch=SMALL,
        received=SMALL,
        groups=GROUPS,
        most=st.integers(1, 9),
    ),
)
WELCOMES = st.builds(WelcomeFrame, SMALL, SMALL, st.integers(1, 9), CREDIT, GROUPS, st.just(()))
DOWN = st.one_of(
    WELCOMES.map(lambda frame: write_frame(frame).hex()),
    st.builds(lambda epoch, taken: raw(2, epoch, taken, 1, 64, {}, [["numbers", 1, taken, "why"]]), SMALL, SMALL),
    message(SMALL),
    st.builds(lambda number, limit: raw(4, number, limit), SMALL, CREDIT),
    st.builds(BroadcastFrame, st.sampled_from(["all", "shop", "__proto__"]), SMALL, st.none()).map(
        lambda frame: write_frame(frame).hex()
    ),
    FRAMES.map(lambda frame: write_frame(frame).hex()),
)
PUT = {"name": st.text("ab", max_size=2), "body": BODIES}
DEVICE = st.one_of(
    step("device", "hello"),
    step("device", "receive", frame=DOWN),
    step("device", "receive", frame=DOWN),
    step("device", "put", **PUT),
    step("device", "due"),
    step("device", "on_disk", number=SMALL),
    step("device", "cut"),
)
HELLOS = st.builds(
    lambda session, epoch, received, first, more, limit, groups: raw(
        1, session, epoch, received, first, first + more, limit, groups
    ),
    st.sampled_from([bytes(16), bytes(range(16))]), SMALL, SMALL, st.integers(1, 9), SMALL, CREDIT, GROUPS,
)  # fmt: skip
RESETS = st.tuples(SMALL, st.tuples(st.sampled_from(["up", "down"]), SMALL, SMALL, st.just("why")).map(list)).map(
    list
)
KNOWN = st.none() | st.fixed_dictionaries(
    {
        "session": st.just(bytes(16).hex()),
        "epoch": SMALL,
        "taken": SMALL,
        "first": st.integers(1, 9),
        "sent": SMALL,
        "untold": st.lists(RESETS, max_size=20),
    }
)
LOGS = st.dictionaries(st.sampled_from(["all", "shop", "__proto__"]), st.tuples(SMALL, SMALL).map(list), max_size=3)
UP = st.one_of(message(SMALL), st.builds(lambda number, limit: raw(4, number, limit), SMALL, CREDIT), HELLOS)
GATEWAY = st.one_of(
    step("gateway", "receive", frame=UP | FRAMES.map(lambda frame: write_frame(frame).hex())),
    step("gateway", "put", **PUT),
    step("gateway", "due"),
    step("gateway", "on_disk", number=SMALL),
)
SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def both(node: NodeMachine, steps: list[Step]) -> None:
    machine = TranscriptMachine()
    ours = [machine.do(each) for each in steps]
    assert node.do(steps) == json.loads(json.dumps(ours))


@SETTINGS
@given(begin=BEGIN, steps=st.lists(DEVICE, min_size=1, max_size=30))
def test_a_device_in_typescript_does_what_one_in_python_does(
    node: NodeMachine, begin: Step, steps: list[Step]
) -> None:
    both(node, [begin, *steps])


@SETTINGS
@given(hello=HELLOS, known=KNOWN, groups=LOGS, steps=st.lists(GATEWAY, max_size=20))
def test_a_gateway_in_typescript_does_what_one_in_python_does(
    node: NodeMachine, hello: str, known: Step | None, groups: Step, steps: list[Step]
) -> None:
    begin = [
        {"side": "gateway", "do": "resume", "hello": hello, "known": known, "groups": groups},
        {"side": "gateway", "do": "open", "kept": []},
    ]
    both(node, [*begin, *steps])


@SETTINGS
@given(
    st.lists(st.binary(max_size=40) | BODIES.map(lambda body: bytes.fromhex(f"820a{body}")), max_size=40), st.data()
)
def test_any_bytes_are_the_same_frame_in_both_or_none_in_both(
    node: NodeMachine, data: list[bytes], draw: st.DataObject
) -> None:
    changed = [bytearray(write_frame(each)) for each in draw.draw(st.lists(FRAMES, max_size=40))]
    for each in changed:
        each[draw.draw(st.integers(0, len(each) - 1))] = draw.draw(st.integers(0, 255))
    steps = [{"side": "codec", "do": "read", "data": shortened(bytes(each))} for each in (*data, *changed)]
    ours = [TranscriptMachine().do(each) for each in steps]
    theirs = node.do(steps)
    assert [each.get("value", "refused") for each in theirs] == [each.get("value", "refused") for each in ours]


def test_the_transcripts_are_replayed_in_typescript() -> None:
    tests = sorted(map(str, PROGRAMS.glob("*.test.mjs")))
    done = subprocess.run(["node", "--test", *tests], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert all(f"{path.parent.name}/{path.name} is replayed" in done.stdout for path in FILES)
