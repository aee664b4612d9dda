"""Bytes for transcripts: frames, what is nearly one, and bodies of long polling."""

import random
from collections.abc import Iterator
from typing import Any

from lykeion.device.conversation.frame_codec import (
    MAX_FRAME_BYTES,
    MAX_GROUPS,
    MAX_ITEMS,
    MAX_NAME,
    MAX_QUERY_ITEMS,
    MAX_REASON,
    MAX_RESETS,
)
from tests.device.transcript_machine import body_hex

BODIES: tuple[Any, ...] = (
    None, True, False, 0, 1, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, 1 << 53,
    (1 << 53) + 1, (1 << 64) - 1, -1, -24, -25, -256, -257, -(1 << 31), -(1 << 53), -(1 << 53) - 1, -(1 << 64),
    0.5, -0.0, 1.5, 0.1, 1e300, -1e-300, 5.960464477539063e-08, 6.1e-05, 65504.5, 3.4028234663852886e38, 1e-45,
    float(1 << 60), float("inf"), float("-inf"), float("nan"), "", "a", "é", "\ufeff", "\U0001f600", "x" * 23,
    "x" * 24, "x" * 256, "\u0000\n", b"", b"\x00\xff", bytes(24), [], [1, [2, [3]]], {}, {"": 0},
    {"b": 1, "aa": 2, "a": 3},
    {"é": 1, "zz": 2, "\U00010000": 3, "\uffff": 4}, {"__proto__": 1, "constructor": 2, "10": 3, "9": 4},
    [[[[[[[0]]]]]]], [[[[[[[[]]]]]]]], {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}},
)  # fmt: skip
SESSION = bytes(range(16))
FRAMES: tuple[list[Any], ...] = (
    [1, SESSION, 0, 0, 1, 1, 64, {}],
    [1, SESSION, 1 << 53, 1, 2, 3, 4, {"all": 1, "b": 2}],
    [1, SESSION, 0, 0, 1, 1, 64, {f"group-{number}": number for number in range(MAX_GROUPS)}],
    [2, 1, 0, 1, 64, {}, []],
    [2, 1, 0, 1, 64, {"all": 7}, [["up", 1, 2, "why"], ["group:all", 3, 4, "é"]]],
    [2, 1, 0, 1, 64, {}, [["up", 1, 2, "why"]] * MAX_RESETS],
    [3, 1, "state", {"software": "1", "models": {}}],
    [3, 1, "é" * MAX_NAME, None],
    [4, 0, 0],
    [11, "w" * MAX_REASON, 300],
)
ALMOST: tuple[list[Any], ...] = (
    [1, SESSION[:15], 0, 0, 1, 1, 64, {}],
    [1, SESSION.hex(), 0, 0, 1, 1, 64, {}],
    [1, SESSION, 0, 0, 1, 1, 64, {f"group-{number}": number for number in range(MAX_GROUPS + 1)}],
    [1, SESSION, 0, 0, 1, 1, 64, []],
    [1, SESSION, 0, 0, 1, 1, 64, {"all": -1}],
    [1, SESSION, 0, 0, 1, 1, 64, {"a" * (MAX_NAME + 1): 1}],
    [2, 1, 0, 1, 64, {}, [["up", 1, 2, "why"]] * (MAX_RESETS + 1)],
    [2, 1, 0, 1, 64, {}, [["up", 1, 2]]],
    [2, 1, 0, 1, 64, {}, {}],
    [2, 1, 0, 1, 64, {}, [["up", 1, 2, "w" * (MAX_REASON + 1)]]],
    [2, 1, 0, 1, 64, {}, [["up", True, 2, "why"]]],
    [3, (1 << 53) + 1, "state", None],
    [3, 1, "n" * (MAX_NAME + 1), None],
    [3, 1, "a\nb", None],
    [3, 1, "a\u2028b", None],
    [3, 1, "a\u00a0b", None],
    [3, 1, "a\u202eb", None],
    [3, 1, b"state", None],
    [3, 1, None, None],
    [4, 1.5, 0],
    [4, 1.0, 0],
    [8, 1, 0, 1, None],
    [8, 1, 0, None, None],
    [11, "w" * (MAX_REASON + 1), 0],
    [True, SESSION, 0, 0, 1, 1, 64, {}], [1.0, SESSION, 0, 0, 1, 1, 64, {}],
    [0], [12], [True], ["hello"], [-1], [], [4, 1], [4, 1, 2, 3],
)  # fmt: skip
MALFORMED = (
    "", "01", "f6", "8118ff", "83042001", "83041b002000000000000101", "8304f501", "8304fb3ff800000000000001",
    "9b00000000ffffffff", "bb00000000ffffffff", "7b00000000ffffffff", "5b00000000ffffffff", "7bffffffffffffffff",
    "8304010200", "9f04010200ff", "820abf6161ffff", "820a7f6161ff", "820a5f4161ff", "820aa10101", "820aa1416101",
    "820aa1f601", "820aa2616101616101", "820ac24901ffffffffffffffff", "820ad8236161", "820ad81c80", "820ad9ffff00",
    "820ac074323031332d30332d32315432303a30343a30305a", "820ad9d9f700", "820a" + "81" * 8 + "00",
    "820a" + "81" * 8 + "80", "820a" + "a16161" * 8 + "00", "820af7", "840301616ef7", "820ae0", "820af818",
    "820af820", "820a8181f0",
    "820a61ff", "820a63eda080", "820a62c080", "820a64f4908080", "820a1c", "820a1d", "820a1e", "820a1f", "820aff",
    "820afc", "820af93c", "820a19", "820a1901", "820a62" + "61", "8a", "820a82", "820aa1", "820aa16161", "82",
)  # fmt: skip
UNUSUAL = (
    "8304180002", "9a000000030400 02".replace(" ", ""), "9b00000000000000030400 1b0000000000000040".replace(" ", ""),
    "820afa3fc00000", "820afb3ff8000000000000", "820afb7ff8000000000001", "820af97e01", "820a7801" + "61",
    "820ab80161611801", "820afb7ff0000000000000", "820aa2616201616102",
)  # fmt: skip
"""Frames in another encoding than the deterministic one: they are read."""


def read_data(chance: random.Random) -> Iterator[str]:
    for body in BODIES:
        yield body_hex([10, body])
        yield body_hex([5, 3, {"body": body}])
    for frame in (*FRAMES, *ALMOST):
        yield body_hex(frame)
    yield from (*MALFORMED, *UNUSUAL)
    yield from sizes()
    whole = [body_hex(frame) for frame in FRAMES[3:9]]
    for _ in range(400):
        yield _changed(bytearray.fromhex(chance.choice(whole)), chance)


def sizes() -> Iterator[str]:
    """About 256 KiB or 16,384 values: what fits in any frame, what only a query has, and what not even that may.

    The limit of a query, 4 MiB, is not here: such a file would be too large. The tests of each codec have it.
    """
    over = len(bytes.fromhex(body_hex([3, 1, "n", bytes(MAX_FRAME_BYTES - 10)]))) - MAX_FRAME_BYTES
    yield body_hex([3, 1, "n", bytes(MAX_FRAME_BYTES - 10 - over)])
    yield body_hex([3, 1, "n", bytes(MAX_FRAME_BYTES - 9 - over)])
    yield body_hex([7, 1, {"photo": bytes(MAX_FRAME_BYTES)}])
    photo = bytes(MAX_FRAME_BYTES)
    fits = MAX_QUERY_ITEMS - 6  # the array, code, number, map, two keys, the photo and the list are eight, less two
    yield body_hex([7, 1, {"photo": photo, "x": [1] * (fits - 2)}])
    yield body_hex([7, 1, {"photo": photo, "x": [1] * (fits - 1)}])
    heads = 5  # of the frame, its code, number, name and body
    yield body_hex([3, 1, "n", [[]] * (MAX_ITEMS - heads)])
    for item in (0, [], "a"):
        yield body_hex([3, 1, "n", [item] * (MAX_ITEMS - heads + 1)])


def polled_bodies(chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    some = [body_hex(frame) for frame in FRAMES[3:9]]
    for count in (0, 1, 3):
        yield "join", {"frames": chance.sample(some, count)}
    whole = "".join(f"{len(each) // 2:08x}{each}" for each in some)
    for data in ("", whole, whole[:-2], whole[:6], "00000000", "00000000" * 3, "ffffffff00", "0000000101" + "00"):
        yield "split", {"data": data}


def _changed(data: bytearray, chance: random.Random) -> str:
    """One byte is another, is gone, or is there twice."""
    place = chance.randrange(len(data))
    match chance.randrange(3):
        case 0:
            data[place] = chance.randrange(256)
        case 1:
            del data[place]
        case _:
            data.insert(place, data[place])
    return data.hex()
