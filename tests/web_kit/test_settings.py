from pathlib import Path

import pytest

from lykeion.web_kit import ServerSettings, read_token
from lykeion.web_kit.server_settings import SettingsError


@pytest.mark.parametrize(
    "token",
    ["short", "sixteen letters é", "sixteen letters\n", " sixteen letters", "sixteen\nletters more", "\0" * 16],
)
def test_a_token_that_can_be_guessed_or_not_sent_is_refused(token: str):
    with pytest.raises(SettingsError):
        ServerSettings(token=token)


def test_a_token_is_not_shown_with_the_settings():
    assert "battery" not in repr(ServerSettings(token="correct-horse-battery"))


def test_a_token_is_read_without_the_white_space_around_it(tmp_path: Path):
    (tmp_path / "token").write_text("  correct-horse-battery\n")
    assert read_token(tmp_path / "token") == "correct-horse-battery"


@pytest.mark.parametrize("content", [None, b"", b" \n", "sixteen letters é".encode()])
def test_a_file_without_a_token_is_an_error_that_names_it(tmp_path: Path, content: bytes | None):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=str(file)):
        read_token(file)
