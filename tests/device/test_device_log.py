"""A device's log is bounded, and has nothing that may be of a person."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.device.fleet.device_log import MAX_ANSWER_BYTES, MAX_LOG_BYTES, DeviceLog, cleaned
from lykeion.device.fleet.device_messages import LogAnswer, read_log_answer, to_plain


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("photo /home/ann/Pictures/boots.jpg cannot be read", "photo [path] cannot be read"),
        ("boots.HEIC of ann@example.com", "[photo] of [mail]"),
        ("https://ann:secret@shop.example/cart?id=7 answered 503", "https://shop.example answered 503"),
        ("vector [0.12, -0.5, 1e-3, 0.25, 0.0]", "vector [numbers]"),
        ("from 192.168.7.21 and fe80:0:0:1::3", "from [address] and [address]"),
        ("called +49 170 1234567 at 48.137154, 11.576124", "called [number] at [number], [number]"),
        ("credential dGhpcyBpcyBhIHNlY3JldCBjcmVkZW50aWFsIQ==", "credential [data]"),
        ("a\nb\x1b[31m\u202e c", "a b [31m c"),
        (
            "shoes v3: run_times {'p50_ms': 12.5, 'p90_ms': 40.25}",
            "shoes v3: run_times {'p50_ms': 12.5, 'p90_ms': 40.25}",
        ),
        ("LiteRT 2.1.0, 4 threads, 60 s", "LiteRT 2.1.0, 4 threads, 60 s"),
        ("disk /var/lib/shop is full", "disk [path] is full"),
    ],
)
def test_what_may_be_of_a_person_is_not_written(text: str, line: str, tmp_path: Path) -> None:
    log = DeviceLog(tmp_path / "device.log", clock=lambda: 0.0)
    log.add(text)
    assert log.last(10) == (f"1970-01-01T00:00:00Z {line}",)
    assert (tmp_path / "device.log").read_text() == f"1970-01-01T00:00:00Z {line}\n"


@given(st.text(max_size=3_000))
def test_a_line_is_one_line_that_may_be_sent(text: str) -> None:
    line = cleaned(text)
    assert line.isprintable()
    assert not re.search(r"\S@\S", line)
    answer = LogAnswer(1, (f"1970-01-01T00:00:00Z {line}",))
    assert len(line) <= 480
    assert read_log_answer(json.dumps(to_plain(answer)).encode()) == answer


def test_the_file_and_an_answer_are_bounded_and_the_last_lines_are_kept(tmp_path: Path) -> None:
    log = DeviceLog(tmp_path / "device.log", clock=lambda: 0.0)
    for number in range(3_000):
        log.add(f"line {number} " + "boots " * 60)
    assert (tmp_path / "device.log").stat().st_size < MAX_LOG_BYTES + 1_000
    last = log.last(1_000)
    assert sum(map(len, last)) <= MAX_ANSWER_BYTES
    assert "line 2999 " in last[-1]
    assert len(log.last(3)) == 3


def test_a_log_that_cannot_be_written_ends_no_app(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    log = DeviceLog(tmp_path / "file" / "device.log")
    log.add("started")
    assert log.last(10) == ()
