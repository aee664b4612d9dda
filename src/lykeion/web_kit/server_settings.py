"""Settings that all servers share."""

from dataclasses import dataclass, field
from pathlib import Path

from lykeion.core import Invalid, core_count

MIN_TOKEN_CHARACTERS = 16


class SettingsError(Invalid):
    """Invalid settings."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits of a server. What exceeds them is refused at once with 413, 429 or 503; nothing queues without bound."""

    token: str = field(default="", repr=False)
    """API token that requests must carry. Without one only loopback may be served."""
    max_body_bytes: int = 32 << 20
    """Of one request; all uploads in progress together may use 16 times as much."""
    threads: int = field(default_factory=core_count)
    """Searches, embeddings and writes that run at the same time."""
    waiting: int = 128
    """Tasks that may wait for a thread."""
    per_client: int = 64
    """Requests in progress from one address."""
    timeout_s: float = 30.0
    """From a request's first byte to the end of its response; to its start where it outlives the timeout."""

    def __post_init__(self) -> None:
        sendable = self.token.isascii() and self.token.isprintable() and self.token == self.token.strip()
        if self.token and (len(self.token) < MIN_TOKEN_CHARACTERS or not sendable):
            raise SettingsError(f"the API token must be one line of at least {MIN_TOKEN_CHARACTERS} ASCII characters")


def read_token(path: Path) -> str:
    """The token in a file, without surrounding white space. Raises SettingsError."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read the API token: {error}") from None
    if not token:
        raise SettingsError(f"{path}: the file with the API token is empty")
    return token
