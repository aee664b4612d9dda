"""``lykeion up``: where its proxy listens for other machines."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app

FILES = ("--tls-certificate", "c.pem", "--tls-key", "k.pem", "--token-file", "token")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--listen", "0.0.0.0:8443"), "--listen, --tls-certificate, --tls-key and --token-file go together"),
        (FILES, "--listen, --tls-certificate, --tls-key and --token-file go together"),
        (("--listen", "0.0.0.0", *FILES), "--listen is '0.0.0.0'; write HOST:PORT"),
        (("--listen", "0.0.0.0:99999", *FILES), "--listen is '0.0.0.0:99999'; write HOST:PORT"),
        (("--port", "0"), "0 is not in the range 1<=x<=65535"),
    ],
)
def test_an_address_without_tls_and_a_token_is_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["up", *arguments])
    assert done.exit_code == 2
    assert message in done.output
    assert list(tmp_path.iterdir()) == []
