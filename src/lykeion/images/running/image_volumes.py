"""What of this machine a program in an image sees, besides the image."""

import os
from dataclasses import dataclass
from pathlib import Path

from lykeion.images.errors import ImageError


@dataclass(frozen=True)
class Volume:
    """The host's ``origin`` is mounted at ``to`` in the image; if ``owned``, it is given to the image's user."""

    origin: Path
    to: str
    read_only: bool = False
    owned: bool = False

    @classmethod
    def parse(cls, text: str) -> "Volume":
        """``HOST:IMAGE``, with ``:ro``, or ``:U`` as podman has it, or both: ``:ro,U``. Raises ImageError."""
        origin, _, rest = text.partition(":")
        to, _, mode = rest.partition(":")
        modes = set(mode.split(",")) - {""}
        if not origin or not to.startswith("/") or modes - {"ro", "rw", "U"} or ".." in Path(to).parts:
            raise ImageError(
                f"{text!r} is not a volume; write HOST_PATH:IMAGE_PATH, and :ro to forbid writing, "
                "or :U to give it to the image's user"
            )
        if not Path(origin).exists():
            raise ImageError(f"volume {text!r}: {origin} does not exist")
        return cls(Path(origin).absolute(), to, "ro" in modes, "U" in modes)


def give_to(user: str, place: Path) -> None:
    """Make ``UID:GID`` the owner of a file, or of a directory and all that is in it, unless it is already.

    Links are not followed. Raises ImageError.
    """
    uid, gid = map(int, user.split(":"))
    try:
        if place.stat().st_uid == uid:
            return
        if place.is_dir():
            for _, directories, files, at in os.fwalk(place, topdown=False):
                for name in (*directories, *files):
                    os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)
        os.chown(place, uid, gid, follow_symlinks=False)
    except OSError as error:
        raise ImageError(f"{place} cannot be given to the image's user {user} ({error.strerror})") from None
