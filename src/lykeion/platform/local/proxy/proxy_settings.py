"""Where the proxy listens: written by the platform, read by the proxy when it starts."""

from pathlib import Path

import msgspec

from lykeion.core import Invalid, write_atomically

ROUTES, REQUESTS, SETTINGS = "routes.json", "requests.log", "settings.json"
"""Files in the proxy's directory."""


class ProxySettingsError(Invalid):
    """Settings that cannot be used."""


class TlsListener(msgspec.Struct, frozen=True):
    """An address for other machines. The files are PEM; the token is the first line of its file."""

    host: str
    port: int
    certificate: str
    key: str
    token_file: str


class ProxySettings(msgspec.Struct, frozen=True):
    """``port`` is on loopback, for programs of this machine; it stays the same, so that URLs do."""

    port: int
    elsewhere: TlsListener | None = None

    @classmethod
    def read(cls, directory: Path) -> "ProxySettings | None":
        """None if there are none yet. Raises ProxySettingsError."""
        try:
            return msgspec.json.decode((directory / SETTINGS).read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, OSError) as error:
            raise ProxySettingsError(f"{directory / SETTINGS}: {error}") from None

    def write(self, directory: Path) -> None:
        write_atomically(directory / SETTINGS, msgspec.json.encode(self))
