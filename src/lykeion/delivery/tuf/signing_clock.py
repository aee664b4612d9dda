"""Whether the clock of the machine that signs can be right: metadata say when they were signed, by their expiry.

By a clock that is behind, metadata would be signed that have expired for every device; by one that is ahead, metadata
that an attacker could hold devices at for years.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from datetime import datetime, timedelta
from typing import Any

from tuf.api.metadata import Metadata, Timestamp

from lykeion.core import Refused

from .delivery_settings import DeliverySettings
from .tuf_state import TufState

TOLERANCE = timedelta(days=1)


class WrongClock(Refused):
    """The clock is behind, or was ahead when the timestamp was signed; nobody here can know which."""


def check_clock(state: TufState, settings: DeliverySettings, now: datetime) -> None:
    """Raises WrongClock."""
    if was_signed_later(Timestamp.type, state.timestamp, settings, now):
        signed = signed_at(Timestamp.type, state.timestamp, settings)
        raise WrongClock(
            f"the clock of this machine says {now:%Y-%m-%d %H:%M}, but the timestamp was signed at "
            f"{signed:%Y-%m-%d %H:%M}; set the clock, or, if it was wrong then, run "
            "lykeion delivery refresh --clock-is-right"
        )


def was_signed_later(role: str, metadata: Metadata[Any], settings: DeliverySettings, now: datetime) -> bool:
    """Whether its expiry is further ahead than if it was signed now."""
    return signed_at(role, metadata, settings) > now + TOLERANCE


def signed_at(role: str, metadata: Metadata[Any], settings: DeliverySettings) -> datetime:
    """As far as its validity is that of the settings."""
    expires: datetime = metadata.signed.expires
    return expires - timedelta(days=settings.days_of(role))
