import logging
import time

import pytest

from lykeion.web_kit.sparing_log import PERIOD_S, REPEATS, SparingLog


@pytest.fixture
def log() -> logging.Logger:
    log = logging.Logger("sparing")
    log.addFilter(SparingLog())
    return log


def test_a_line_is_written_a_few_times_a_minute_and_says_that_more_are_left_out(
    log: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    log.addHandler(caplog.handler)

    def flood() -> list[str]:
        caplog.clear()
        for number in range(1_000):
            log.warning("request %d is bad", number)
        return caplog.messages

    written = flood()
    assert len(written) == REPEATS
    assert written[-1].endswith("(more like this are left out for up to 60 s)")
    assert flood() == []
    later = time.monotonic() + PERIOD_S + 1
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert len(flood()) == REPEATS


def test_lines_of_another_place_or_exception_are_written(log: logging.Logger, caplog: pytest.LogCaptureFixture):
    log.addHandler(caplog.handler)
    for _ in range(REPEATS + 1):
        for error in (ValueError("a"), OSError("b")):
            log.error("failed", exc_info=error)
    log.error("failed, too")
    assert len(caplog.records) == 2 * REPEATS + 1
