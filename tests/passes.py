"""For tests that measure for what is done with the times: passes follow one another at once."""

import pytest

from lykeion.engines.choosing import measure


@pytest.fixture(autouse=True)
def passes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measure.__kwdefaults__, "sleep", lambda seconds: None)
