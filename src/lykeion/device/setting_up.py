"""A device set up: its settings, the root that it trusts, and, with a server, its enrolment."""

from pathlib import Path

from lykeion.core import first_line, read_bounded, write_atomically, writing
from lykeion.device.fleet.device_attributes import device_attributes
from lykeion.device.fleet.enrolment import DeviceIdentity

from .device_settings import ROOT_FILE, DeviceSettings, DeviceSettingsError
from .fetching.server_calls import HttpPost

MAX_ROOT_BYTES = 512_000


def set_up_device(
    home: Path,
    settings: DeviceSettings,
    root: bytes,
    token: str = "",
) -> str:
    """The name that the server gave it; empty without a server.

    Raises DeviceSettingsError, and what ``DeviceIdentity.enrol`` raises: settings are written last.
    """
    _check_root(root)
    name = ""
    if settings.server:
        identity = DeviceIdentity(
            home / "identity", HttpPost(settings.server), attributes=device_attributes(settings.attributes)
        )
        name = identity.enrol(token).device
    with writing(home / ROOT_FILE, DeviceSettingsError):
        write_atomically(home / ROOT_FILE, root)
    settings.write(home)
    return name


def read_root(path: Path) -> bytes:
    """Raises DeviceSettingsError."""
    return read_bounded(path, DeviceSettingsError, "root of a repository", limit=MAX_ROOT_BYTES)


def _check_root(data: bytes) -> None:
    from tuf.api.exceptions import RepositoryError

    from .metadata_checks import self_signed_root

    try:
        self_signed_root(data)
    except RepositoryError as error:
        raise DeviceSettingsError(f"not the root of a repository: {first_line(error)}") from None
