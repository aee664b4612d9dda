"""The Python of a base, from its files: version, machine, C library, and the tags of compatible wheels."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from lykeion.images.errors import BaseError
from lykeion.images.layers.layer_files import Files, resolve
from lykeion.oci import Platform

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Architectures of images by their OCI names, with Python's names."""

_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}
_LIBRARY_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class Interpreter:
    """``path`` is absolute; ``full_version`` is like 3.11.2, or empty if unknown.

    ``glibc`` and ``musl`` are a version or (0, 0).
    """

    path: str
    version: tuple[int, int]
    machine: str
    glibc: tuple[int, int] = (0, 0)
    musl: tuple[int, int] = (0, 0)
    full_version: str = ""

    @property
    def name(self) -> str:
        """``python3.11``"""
        return "python" + self.short

    @property
    def short(self) -> str:
        return "{}.{}".format(*self.version)

    @cached_property
    def tags(self) -> dict[str, int]:
        """Tags of compatible wheels, and the rank of each: lower is more specific, so preferred."""
        from packaging import tags

        abi, platforms = "cp{}{}".format(*self.version), self.platforms
        found = [
            *tags.cpython_tags(self.version, [abi], platforms),
            *tags.compatible_tags(self.version, abi, platforms),
        ]
        ranks: dict[str, int] = {}
        for rank, tag in enumerate(found):
            ranks.setdefault(str(tag), rank)
        return ranks

    @property
    def platforms(self) -> list[str]:
        """Platform tags, the best first (PEP 600, PEP 656)."""
        found: list[str] = []
        if self.glibc > (2, 0):
            oldest = 5 if self.machine == "x86_64" else 17
            for minor in range(self.glibc[1], oldest - 1, -1):
                found.append(f"manylinux_2_{minor}_{self.machine}")
                if alias := _LEGACY.get(minor):
                    found.append(f"{alias}_{self.machine}")
        if self.musl > (1, 0):
            found += [f"musllinux_1_{minor}_{self.machine}" for minor in range(self.musl[1], 0, -1)]
        return [*found, f"linux_{self.machine}"]

    def environments(self) -> list[dict[str, str]]:
        """Environments for evaluating markers of requirements (PEP 508): one for each possible full version."""
        versions = [self.full_version] if self.full_version else [f"{self.short}.{patch}" for patch in range(50)]
        return [self._environment(version) for version in versions]

    def _environment(self, full_version: str) -> dict[str, str]:
        return {
            "implementation_name": "cpython",
            "implementation_version": full_version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full_version,
            "python_version": self.short,
            "sys_platform": "linux",
            "extra": "",
        }


_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def find_interpreter(files: Files, search: str, platform: Platform) -> Interpreter | None:
    """The first ``python3`` on ``search`` (a PATH), None if there is none. Raises BaseError if it is for another
    machine."""
    links = files.links
    for directory in search.split(":"):
        path = resolve(f"{directory}/python3", links)
        if not files.is_file(path):
            continue
        version = _version(path, files)
        machine = _machine(files.read(path, 20), path)
        if machine != MACHINES.get(platform.architecture):
            raise BaseError(f"the base's /{path} is for {machine}, and the image is for {platform}")
        glibc, musl = _libraries(files, machine)
        return Interpreter(f"/{path}", version, machine, glibc, musl, _full_version(path, version, machine, files))
    return None


def _full_version(path: str, version: tuple[int, int], machine: str, files: Files) -> str:
    """PY_VERSION from the header, the program or its library; a linker may have merged it with another string."""
    short, prefix = "{}.{}".format(*version), str(PurePosixPath(path).parent.parent)
    libraries = [f"{prefix}/{it}/libpython{short}.so.1.0" for it in ("lib", "lib64", f"lib/{machine}-linux-gnu")]
    pattern = re.compile(rb"[\0\"](%s\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?)\+?[\0\"]" % re.escape(short.encode()))
    for place in (f"{prefix}/include/python{short}/patchlevel.h", path, *libraries):
        found = {match.decode() for match in pattern.findall(files.read(place, _LIBRARY_LIMIT_BYTES))}
        if len(found) == 1:
            return found.pop()
    return ""


def _version(path: str, files: Files) -> tuple[int, int]:
    if match := re.search(r"python3\.(\d{1,2})$", path):
        return 3, int(match[1])
    prefix = str(PurePosixPath(path).parent.parent)
    versions = {int(match[1]) for match in _libraries_of_python(prefix, files)}
    if len(versions) != 1:
        raise BaseError(f"the version of the base's /{path} is unknown; make it a link to python3.N")
    return 3, versions.pop()


def _libraries_of_python(prefix: str, files: Files) -> Iterator[re.Match[str]]:
    pattern = re.compile(re.escape(f"{prefix}/lib/python3.".lstrip("./")) + r"(\d{1,2})/os\.py")
    return (match for path in files.paths() if (match := pattern.fullmatch(path)))


def _machine(head: bytes, path: str) -> str:
    if len(head) < 20 or head[:5] != b"\x7fELF\x02":
        raise BaseError(f"the base's /{path} is not a program for 64-bit Linux")
    (code,) = struct.unpack_from("<H", head, 18)
    return _ELF_MACHINES.get(code, f"ELF machine {code}")


def _libraries(files: Files, machine: str) -> tuple[tuple[int, int], tuple[int, int]]:
    for directory in (f"lib/{machine}-linux-gnu", f"usr/lib/{machine}-linux-gnu", "lib64", "usr/lib64", "lib"):
        content = files.read(f"{directory}/libc.so.6", _LIBRARY_LIMIT_BYTES)
        if match := re.search(rb"GNU C Library [^\n]{0,200}version (\d{1,2})\.(\d{1,3})(?!\d)", content):
            return (int(match[1]), int(match[2])), (0, 0)
    if files.is_file(f"lib/ld-musl-{machine}.so.1"):
        return (0, 0), (1, 2)
    raise BaseError("the base has neither glibc nor musl, so compatible wheels are unknown")
