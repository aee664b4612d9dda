"""Addresses of the proxy: plain HTTP on loopback, and elsewhere TLS with a token."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from lykeion.web_kit import ServerSettings, read_token

from .proxy_settings import ProxySettings, ProxySettingsError, TlsListener


@dataclass(frozen=True)
class Listener:
    """``token`` is empty on loopback; elsewhere ``tls`` is given as well."""

    host: str
    port: int
    token: str = ""
    tls: ssl.SSLContext | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


def listeners_of(settings: ProxySettings) -> list[Listener]:
    """Raises ProxySettingsError, and SettingsError for a token that is none."""
    here = Listener("127.0.0.1", settings.port)
    return [here, _elsewhere(settings.elsewhere)] if settings.elsewhere else [here]


def _elsewhere(settings: TlsListener) -> Listener:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:
        files = f"{settings.certificate} and {settings.key}"
        raise ProxySettingsError(f"{files} are no certificate in PEM with its key ({error})") from None
    token = ServerSettings(token=read_token(Path(settings.token_file))).token
    return Listener(settings.host, settings.port, token, context)
