"""Metrics of a run: read from a file that a program writes, followed, summed up and drawn."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.platform.local.metrics_file import (
    LIMIT_FILE_BYTES,
    LIMIT_LINE_BYTES,
    LIMIT_NUMBERS,
    follow_rows,
    metrics_row,
    read_rows,
)
from lykeion.platform.run_metrics import MetricSummary, draw_metrics, summarize_metrics


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def _append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b'{"step": 3, "loss": 0.5, "val/top1": 1}', {"step": 3, "loss": 0.5, "val/top1": 1}),
        (b'{"loss": NaN, "rate": Infinity, "step": 1}', {"step": 1}),
        (b'{"loss": 1e999, "large": ' + b"9" * 400 + b"}", {}),
        (b'{"ok": true, "name": "x", "list": [1], "none": null, "a": 2}', {"a": 2}),
        (b'{"\\u001b[2J": 1, "": 1, "two words": 1, "' + b"x" * 65 + b'": 1}', {}),
        (b"[" * 60_000, {}),
        (b'{"a":' * 10_000, {}),
        (b"9" * 60_000, {}),
        (b"\xff\xfe{}", {}),
        (b"", {}),
        (b"epoch 1: loss 0.5", {}),
    ],
)
def test_of_a_line_only_finite_numbers_with_plain_names_are_kept(line: bytes, row: dict[str, float]) -> None:
    assert metrics_row(line) == row


@given(st.binary(max_size=200))
def test_whatever_a_line_holds_its_row_is_json(line: bytes) -> None:
    assert json.loads(json.dumps(metrics_row(line), allow_nan=False)) == metrics_row(line)


def test_a_line_has_at_most_so_many_numbers() -> None:
    assert len(metrics_row(json.dumps({f"m{n}": n for n in range(1000)}).encode())) == LIMIT_NUMBERS


def test_a_line_is_read_once_it_is_complete(file: Path) -> None:
    assert read_rows(file, None) == ([], 0)
    _append(file, '{"step": 1}\n{"st')
    rows, offset = read_rows(file, None)
    assert rows == [{"step": 1}]
    _append(file, 'ep": 2}\n')
    assert read_rows(file, offset)[0] == [{"step": 2}]


def test_of_a_large_file_the_end_is_read(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(1 << 40)
        opened.seek(0, os.SEEK_END)
        opened.write(b'\n{"step": 1}\n')
    rows, offset = read_rows(file, None)
    assert rows == [{"step": 1}]
    assert offset == file.stat().st_size


def test_a_line_without_an_end_is_passed_over(file: Path) -> None:
    _append(file, '{"a": "' + "x" * LIMIT_FILE_BYTES)
    offset = 0
    for _ in range(2):
        rows, offset = read_rows(file, offset)
        assert rows == []
    assert offset >= LIMIT_FILE_BYTES
    _append(file, '"}\n{"step": 2}\n')
    assert read_rows(file, offset)[0] == [{"step": 2}]


def test_a_line_that_is_too_long_is_left_out(file: Path) -> None:
    _append(file, '{"a": 1, "b": "' + "x" * LIMIT_LINE_BYTES + '"}\n{"step": 2}\n')
    assert read_rows(file, 0)[0] == [{"step": 2}]


def test_after_a_file_was_shortened_what_is_appended_follows(file: Path) -> None:
    _append(file, '{"step": 1}\n{"step": 2}\n')
    _, offset = read_rows(file, 0)
    os.truncate(file, len('{"step": 1}\n'))
    rows, offset = read_rows(file, offset)
    assert rows == []
    _append(file, '{"step": 2}\n')
    assert read_rows(file, offset)[0] == [{"step": 2}]


def test_links_and_pipes_and_directories_are_not_read(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text('{"secret": 1}\n')
    file.symlink_to(tmp_path / "other")
    assert read_rows(file, None) == ([], 0)
    file.unlink()
    os.mkfifo(file)
    assert read_rows(file, None) == ([], 0)
    file.unlink()
    file.mkdir()
    assert read_rows(file, None) == ([], 0)


def test_rows_are_followed_to_the_last_one_before_the_end(file: Path) -> None:
    written = iter(range(3))

    async def has_ended() -> bool:
        """Ended with the last row, which is written just before."""
        step = next(written, 2)
        if step < 2 or '"step": 2' not in file.read_text():
            _append(file, f'{{"step": {step}}}\n')
        return step == 2

    async def all_rows() -> list[dict[str, float]]:
        return [row async for rows in follow_rows(file, has_ended) for row in rows]

    assert asyncio.run(all_rows()) == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_a_metric_is_summed_up_by_its_last_value_and_its_bounds() -> None:
    rows = [{"step": 10, "loss": 2.0}, {"step": 20, "loss": 0.5}, {"step": 30, "loss": 1.0, "top1": 0.7}]
    assert summarize_metrics(rows) == [
        MetricSummary("loss", 1.0, 30, 0.5, 2.0),
        MetricSummary("top1", 0.7, 30, 0.7, 0.7),
    ]
    assert summarize_metrics([{"loss": 2.0}, {"loss": 1.0}]) == [MetricSummary("loss", 1.0, 2, 1.0, 2.0)]
    assert summarize_metrics([]) == []


def test_steps_that_were_repeated_after_a_checkpoint_count_once() -> None:
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 9.0}, {"step": 2, "loss": 2.0}]
    assert summarize_metrics(rows) == [MetricSummary("loss", 2.0, 2, 2.0, 3.0)]


def test_of_very_many_metrics_the_first_are_shown() -> None:
    assert len(summarize_metrics([{f"m{n}": n} for n in range(100_000)])) == 64


@pytest.mark.parametrize(
    "rows",
    [[], [{"step": 1}], [{"loss": 1e308}, {"loss": -1e308}], [{"step": 10**300, f"m{n}": n} for n in range(40)]],
)
def test_whatever_the_numbers_are_they_can_be_drawn(rows: list[dict[str, float]], tmp_path: Path) -> None:
    draw_metrics(rows, "training/shoes", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
