"""Frames as bytes. What is read is bounded in size, depth and types before anything else looks at it."""

import io
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from cbor2 import CBORDecoder, CBORError, dumps

from lykeion.core import Invalid

from .frames import (
    AckFrame,
    AnswerFrame,
    BroadcastFrame,
    ByeFrame,
    CancelFrame,
    DesiredFrame,
    Frame,
    HelloFrame,
    MessageFrame,
    PresenceFrame,
    QueryFrame,
    Reset,
    WelcomeFrame,
)

MAX_FRAME_BYTES = 1 << 18
"""Of a frame that is no query."""
MAX_QUERY_BYTES = 4 << 20
"""Of a query, which may hold a photo."""
MAX_QUERY_ITEMS = 1_000
"""In a frame that only a query may be as long as: items take far more memory than their bytes."""
MAX_ITEMS = 16_384
"""In any other frame: so many are read in a few milliseconds, however short they are."""
MAX_DEPTH = 8
MAX_GROUPS = 64
MAX_RESETS = 80
MAX_NAME = 80
MAX_REASON = 256
MAX_NUMBER = 1 << 53
"""What JavaScript counts to."""
SESSION_BYTES = 16
# Of these tags cbor2 would make objects, some at great cost.
_TAGS = (*range(6), 25, 28, 29, 30, 35, 36, 37, 43, 44, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)


class FrameError(Invalid):
    """Bytes that are no frame of ``lykeion.v1``."""


def write_frame(frame: Frame) -> bytes:
    """Equal frames give equal bytes (RFC 8949, deterministic encoding)."""
    return write_cbor((_CODES[type(frame)], *frame))


def read_frame(data: bytes) -> Frame:
    """Raises FrameError."""
    if len(data) > MAX_ITEMS:  # or it has no more values than bytes
        _refuse_many_items(data)
    value = read_cbor(data)
    if type(value) is not list or not value or type(value[0]) is not int:  # true is one, too
        raise FrameError("not a frame: an array that begins with the code of a frame is expected")
    if value[0] == _MESSAGE and len(value) == 4 and len(data) <= MAX_FRAME_BYTES:  # as most of all frames are
        return MessageFrame(_number(value[1]), _name(value[2]), _body(value[3]))
    made, reads = _KINDS.get(value[0], (None, ()))
    if made is None:
        raise FrameError(f"there is no frame with the code {value[0]}")
    if len(value) != len(reads) + 1:
        raise FrameError(f"{made.__name__} has {len(reads)} fields, not {len(value) - 1}")
    if len(data) > MAX_FRAME_BYTES and made is not QueryFrame:
        raise FrameError(f"{made.__name__} of {len(data):,} bytes; at most {MAX_FRAME_BYTES:,} are read")
    return made(*(read(field) for read, field in zip(reads, value[1:], strict=True)))


def write_cbor(value: Any) -> bytes:
    return dumps(value, canonical=True)


def read_cbor(data: bytes, most: int = MAX_QUERY_BYTES) -> Any:
    """One value of at most ``most`` bytes. Raises FrameError."""
    if len(data) > most:
        raise FrameError(f"{len(data):,} bytes; at most {most:,} are read")
    source = io.BytesIO(data)
    decoder, _OWN.decoder = getattr(_OWN, "decoder", None) or _made_decoder(), None
    try:
        decoder.fp = source
        value = decoder.decode()
    except (CBORError, ValueError, OverflowError) as error:
        raise FrameError(f"not CBOR as it may be sent: {str(error)[:80]}") from None
    _OWN.decoder = decoder  # not after an error
    if source.tell() != len(data):
        raise FrameError("more bytes follow the frame")
    return value


_OWN = threading.local()
"""The decoder of each thread: to make one takes half as long as to read a frame."""


def _made_decoder() -> CBORDecoder:
    return CBORDecoder(
        io.BytesIO(),
        tag_hook=_refuse,
        semantic_decoders=_REFUSED,
        max_depth=MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )


def _refuse_many_items(data: bytes) -> None:
    long = len(data) > MAX_FRAME_BYTES
    most = MAX_QUERY_ITEMS if long else MAX_ITEMS
    if _has_more_items(data, most):
        raise FrameError(
            f"{len(data):,} bytes with more than {most:,} values{'; only a photo is so long' if long else ''}"
        )


def _has_more_items(data: bytes, most: int) -> bool:
    """Whether there are more CBOR items, by their heads (RFC 8949, 3), whatever contains them."""
    place = items = 0
    while place < len(data) and items <= most:
        kind, detail = data[place] >> 5, data[place] & 31
        place, items = place + 1, items + 1
        more = 1 << detail - 24 if 24 <= detail < 28 else 0
        value = int.from_bytes(data[place : place + more]) if more else detail
        place += more + (value if kind in (2, 3) else 0)  # bytes and text
    return items > most


def _refuse(*_: object) -> NoReturn:
    raise ValueError("a tag")


_REFUSED: Mapping[int, Any] = dict.fromkeys(_TAGS, _refuse)
_PLAIN = frozenset((type(None), bool, int, float, str, bytes))


def _number(value: Any) -> int:
    if type(value) is int and 0 <= value <= MAX_NUMBER:
        return value
    raise FrameError(f"{str(value)[:20]!r} is not a number from 0 to 2^53")


def _text(most: int, value: Any) -> str:
    if type(value) is str and len(value) <= most and value.isprintable():
        return value
    raise FrameError(f"a text of up to {most} printable letters is expected")


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise FrameError("true or false is expected")


def _session(value: Any) -> bytes:
    if type(value) is bytes and len(value) == SESSION_BYTES:
        return value
    raise FrameError(f"a session is named by {SESSION_BYTES} bytes")


def _groups(value: Any) -> dict[str, int]:
    if type(value) is not dict or len(value) > MAX_GROUPS:
        raise FrameError(f"a map of up to {MAX_GROUPS} groups is expected")
    return {_name(group): _number(number) for group, number in value.items()}


def _resets(value: Any) -> tuple[Reset, ...]:
    if type(value) is not list or len(value) > MAX_RESETS:
        raise FrameError(f"a list of up to {MAX_RESETS} resets is expected")
    return tuple(_reset(each) for each in value)


def _reset(value: Any) -> Reset:
    if type(value) is not list or len(value) != 4:
        raise FrameError("a reset has 4 fields")
    return Reset(_name(value[0]), _number(value[1]), _number(value[2]), _reason(value[3]))


def _body(value: Any) -> Any:
    """What other languages have too: neither ``undefined`` nor bytes as keys, which cbor2 reads."""
    kind = type(value)
    if kind is dict:
        for key, each in value.items():
            if type(key) is not str:
                raise FrameError("the keys of a map are text")
            _body(each)
    elif kind is list:
        for each in value:
            _body(each)
    elif kind not in _PLAIN:
        raise FrameError(f"a body does not hold {str(value)[:20]}")
    return value


_name, _reason = partial(_text, MAX_NAME), partial(_text, MAX_REASON)
_MESSAGE = 3
_KINDS: Mapping[int, tuple[Callable[..., Frame], tuple[Callable[[Any], Any], ...]]] = {
    1: (HelloFrame, (_session, _number, _number, _number, _number, _number, _groups)),
    2: (WelcomeFrame, (_number, _number, _number, _number, _groups, _resets)),
    _MESSAGE: (MessageFrame, (_number, _name, _body)),
    4: (AckFrame, (_number, _number)),
    5: (DesiredFrame, (_number, _body)),
    6: (BroadcastFrame, (_name, _number, _body)),
    7: (QueryFrame, (_number, _body)),
    8: (AnswerFrame, (_number, _number, _truth, _body)),
    9: (CancelFrame, (_number,)),
    10: (PresenceFrame, (_body,)),
    11: (ByeFrame, (_reason, _number)),
}
_CODES = {made: code for code, (made, _) in _KINDS.items()}
