"""Known greetings are dropped; everything else that is written to standard error meanwhile gets there."""

import os

import pytest

from lykeion.core.library_output import quiet_import, without_lines


def test_lines_that_begin_otherwise_appear(capfd: pytest.CaptureFixture[str]) -> None:
    with without_lines(b"INFO:"):
        os.write(2, b"INFO: hello\nERROR: INFO: it fails\n")
    assert capfd.readouterr().err == "ERROR: INFO: it fails\n"


def test_errors_of_tensorflow_appear_and_greetings_do_not(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with quiet_import():
        os.write(2, b"I0000 00:00:17.2 port.cc:153] oneDNN custom operations are on.\nE0000 00:00:17.3 no device\n")
    assert capfd.readouterr().err == "E0000 00:00:17.3 no device\n"


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    before = dict(os.environ)
    with quiet_import(KERAS_BACKEND="tensorflow", ELSE="1"):
        inside = (os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["KERAS_BACKEND"], os.environ["ELSE"])
    assert inside == ("2", "jax", "1")
    assert dict(os.environ) == before
