"""Which registries are spoken to over TLS, and which over plain HTTP.

Those on loopback are taken to speak plain HTTP, all others TLS. ``$LYKEION_REGISTRIES`` names those that differ, by
addresses with spaces between them: ``http://registry.shop.svc:5000 https://localhost:5001``. A command may say it of
all that it meets.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from lykeion.core import is_loopback

from .connections import read_url
from .errors import InvalidReference, StoreError

Scheme: TypeAlias = Literal["http", "https"]

SCHEMES_VARIABLE = "LYKEION_REGISTRIES"
_for_all: list[Scheme] = []


@contextmanager
def speaking(scheme: Scheme) -> Generator[None]:
    """Every registry that is met meanwhile, in any thread, is spoken to so."""
    _for_all.append(scheme)
    try:
        yield
    finally:
        _for_all.pop()


def scheme_of(host: str) -> Scheme:
    """Of a registry's host, a name with or without a port. Raises InvalidReference where the variable is wrong."""
    if _for_all:
        return _for_all[-1]
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    named = named_schemes(os.environ.get(SCHEMES_VARIABLE, ""), SCHEMES_VARIABLE)
    return named.get(host.lower()) or ("http" if is_loopback(name) else "https")


def named_schemes(addresses: str, where: str) -> dict[str, Scheme]:
    """By host, perhaps with a port; ``where`` names the text in errors. Raises InvalidReference."""
    found: dict[str, Scheme] = {}
    for address in addresses.replace(",", " ").split():
        try:
            url = read_url(address)
        except StoreError:
            raise InvalidReference(f"{where}: {address[:100]!r}: write http://HOST:PORT or https://HOST") from None
        found[url.netloc.lower()] = "http" if url.scheme == "http" else "https"
    return found
