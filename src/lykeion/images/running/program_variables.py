"""Variables for a program, passed in an anonymous file: every user can read the arguments of processes."""

import os
import tempfile
from collections.abc import Mapping

from lykeion.images.errors import ImageError


def variables_file(environment: Mapping[str, str]) -> int:
    """An inherited descriptor of a file without a name that holds the variables, each ended by NUL."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("variables")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.set_inheritable(descriptor, True)
    with open(descriptor, "wb", closefd=False) as file:
        file.writelines(f"{name}={value}\0".encode(errors="surrogateescape") for name, value in environment.items())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read_variables(descriptor: int) -> dict[str, str]:
    """Variables as ``variables_file`` writes them; the descriptor is closed. Raises ImageError."""
    try:
        with open(descriptor, "rb") as file:
            lines = file.read().decode(errors="surrogateescape").split("\0")[:-1]
    except OSError as error:
        raise ImageError(f"file descriptor {descriptor} cannot be read ({error.strerror})") from None
    if wrong := [line for line in lines if line.find("=") < 1]:
        raise ImageError(f"file descriptor {descriptor}: {wrong[0][:60]!r} is not NAME=VALUE")
    return dict(line.split("=", 1) for line in lines)
