"""Frames as bytes: what is written is read again, equal frames are equal bytes, and nothing else is taken."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lykeion.device.conversation.frame_codec import (
    _KINDS,
    MAX_FRAME_BYTES,
    MAX_ITEMS,
    MAX_QUERY_BYTES,
    FrameError,
    read_cbor,
    read_frame,
    write_cbor,
    write_frame,
)
from lykeion.device.conversation.frames import (
    AckFrame,
    AnswerFrame,
    BroadcastFrame,
    ByeFrame,
    CancelFrame,
    DesiredFrame,
    HelloFrame,
    MessageFrame,
    PresenceFrame,
    QueryFrame,
    Reset,
    WelcomeFrame,
)

NUMBERS = st.integers(0, 1 << 53)
NAMES = st.text("abcdefgh_:", min_size=1, max_size=20)
BODIES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(NAMES, each, max_size=3),
    max_leaves=6,
)
GROUPS = st.dictionaries(NAMES, NUMBERS, max_size=3)
RESETS = st.lists(st.builds(Reset, NAMES, NUMBERS, NUMBERS, NAMES), max_size=3).map(tuple)
FRAMES = st.one_of(
    st.builds(HelloFrame, st.binary(min_size=16, max_size=16), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, GROUPS),
    st.builds(WelcomeFrame, NUMBERS, NUMBERS, NUMBERS, NUMBERS, GROUPS, RESETS),
    st.builds(MessageFrame, NUMBERS, NAMES, BODIES),
    st.builds(AckFrame, NUMBERS, NUMBERS),
    st.builds(DesiredFrame, NUMBERS, BODIES),
    st.builds(BroadcastFrame, NAMES, NUMBERS, BODIES),
    st.builds(QueryFrame, NUMBERS, BODIES),
    st.builds(AnswerFrame, NUMBERS, NUMBERS, st.booleans(), BODIES),
    st.builds(CancelFrame, NUMBERS),
    st.builds(PresenceFrame, BODIES),
    st.builds(ByeFrame, NAMES, NUMBERS),
)


@given(FRAMES)
def test_a_frame_is_read_as_it_was_written_and_written_as_it_was_read(frame: AckFrame) -> None:
    data = write_frame(frame)
    assert read_frame(data) == frame
    assert write_frame(read_frame(data)) == data


@given(st.binary(max_size=60))
def test_any_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    try:
        read_frame(data)
    except FrameError:
        return


@given(FRAMES, st.data())
def test_a_frame_with_a_changed_byte_is_a_frame_or_a_frame_error(frame: AckFrame, draw: st.DataObject) -> None:
    data = bytearray(write_frame(frame))
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read_frame(bytes(data))
    except FrameError:
        return


def test_maps_with_their_keys_in_another_order_are_equal_bytes() -> None:
    assert write_cbor({"b": 1, "aa": 2, "a": 1.5}) == write_cbor({"aa": 2, "a": 1.5, "b": 1})
    assert write_cbor({"b": 1, "a": 2}).hex() == "a2616102616201"


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("nothing", ""),
        ("a bare number", "01"),
        ("an unknown code", "8118ff"),
        ("a truth value as the code", "82f500"),
        ("too few fields", "820401"),
        ("too many fields", "8404010200"),
        ("a negative number", "83042001"),
        ("a number beyond 2^53", "83041b002000000000000101"),
        ("a truth value as a number", "8304f501"),
        ("half a number", "8304fb3ff800000000000001"),
        ("an array of more than there is", "9b00000000ffffffff"),
        ("text of more than there is", "7b00000000ffffffff"),
        ("bytes after the frame", "8304010200"),
        ("an array without an end", "9f04010200ff"),
        ("a key that is a number", "820aa10101"),
        ("a key twice", "820aa2616101616101"),
        ("a tag: a large number", "820ac24901ffffffffffffffff"),
        ("a tag: a regular expression", "820ad8236161"),
        ("a tag: a date", "820ac074323031332d30332d32315432303a30343a30305a"),
        ("a tag: shared values", "820ad81c80"),
        ("a tag that nobody knows", "820ad9ffff00"),
        ("too deep", "820a" + "81" * 8 + "00"),
        ("undefined", "820af7"),
        ("undefined in a message", "840301616ef7"),
        ("a simple value inside", "820aa1616181e0"),
        ("a key of bytes", "820aa1416101"),
    ],
)
def test_what_is_no_frame_is_refused(what: str, data: str) -> None:
    with pytest.raises(FrameError):
        read_frame(bytes.fromhex(data))


def test_what_is_too_large_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(FrameError, match="at most"):
        read_cbor(bytes(MAX_QUERY_BYTES + 1))
    with pytest.raises(FrameError, match="MessageFrame"):
        read_frame(write_frame(MessageFrame(1, "events", bytes(MAX_FRAME_BYTES))))
    photo = QueryFrame(1, {"photo": bytes(MAX_FRAME_BYTES)})
    assert read_frame(write_frame(photo)) == photo


@pytest.mark.parametrize("item", ["80", "a0", "00", "4100", "6161", "1a00000000", "fb0000000000000000"])
def test_a_long_query_has_few_values_for_they_take_far_more_memory_than_their_bytes(item: str) -> None:
    many = bytes.fromhex(item) * (MAX_FRAME_BYTES // len(bytes.fromhex(item)))
    count = len(many) // len(bytes.fromhex(item))
    query = bytes.fromhex("830701") + b"\x9a" + count.to_bytes(4) + many
    with pytest.raises(FrameError, match="only a photo is so long"):
        read_frame(query)
    photo = QueryFrame(1, {"photo": many * 2, "where": "a = 1", "k": 5, "more": [1.5, "text", b"bytes"] * 50})
    assert read_frame(write_frame(photo)) == photo


@pytest.mark.parametrize("item", ["80", "00", "6161", "fb0000000000000000"])
def test_a_frame_has_no_more_values_than_are_read_in_a_moment(item: str) -> None:
    def message(count: int) -> bytes:
        return bytes.fromhex("8403016161") + b"\x9a" + count.to_bytes(4) + count * bytes.fromhex(item)

    heads = 5  # of the frame, its code, number, name and body
    assert len(read_frame(message(MAX_ITEMS - heads)).body) == MAX_ITEMS - heads
    with pytest.raises(FrameError, match="more than 16,384 values"):
        read_frame(message(MAX_ITEMS - heads + 1))


def test_the_description_for_programs_has_the_frames_and_fields_that_are_read() -> None:
    path = Path(__file__).parents[2] / "docs" / "lykeion.v1.asyncapi.yaml"
    described = {}
    for message in yaml.safe_load(path.read_text())["components"]["messages"].values():
        code, *fields = message["payload"]["prefixItems"]
        described[code["const"]] = [field["title"] for field in fields]
    assert described == {code: list(made._fields) for code, (made, _) in _KINDS.items()}
