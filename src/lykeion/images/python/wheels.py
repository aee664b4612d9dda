"""Wheels unpacked into entries of an image's virtual environment (binary distribution format, PEP 427 and 491).

What depends on the installing machine (paths, times, bytecode, origin of files) is omitted.
"""

import base64
import configparser
import csv
import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from lykeion.core import first_line
from lykeion.images.errors import WheelError
from lykeion.images.layers.entries import FILE_MODE, LIMIT_DEPTH, PROGRAM_MODE, WHITEOUT, TarEntry, file_entry

from .environment import Environment

LIMIT_FILES = 200_000
LIMIT_BYTES = 16 << 30
LIMIT_METADATA_BYTES = 16 << 20
LIMIT_READ_BYTES = 64 << 20
"""Of an archive's directory, which zipfile reads as a whole."""
INSTALLER = b"lykeion\n"

_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
_OBJECT = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*", re.ASCII)


@dataclass(frozen=True)
class Unpacked:
    """``entries`` are relative to the image's root; ``metadata`` has the descriptive fields of METADATA."""

    entries: tuple[TarEntry, ...]
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def unpack_wheel(path: Path, environment: Environment) -> Unpacked:
    """Entries of a wheel. Content is compared with RECORD as it is read. Raises WheelError, also while reading."""
    try:
        archive = zipfile.ZipFile(_BoundedFile(path))  # pyright: ignore[reportArgumentType]
        return _Wheel(path, archive, environment).unpack()
    except _UNREADABLE as error:
        raise WheelError(f"{path.name} cannot be read: {str(error)[:200]}") from None


class _Wheel:
    """A wheel that is being unpacked. Its entries keep the archive open."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, environment: Environment) -> None:
        self.name, self.archive, self.environment = path.name, archive, environment
        self.members = dict(_checked_members(path.name, archive))
        self.info = self._info_directory()
        self.data = self.info.removesuffix(".dist-info") + ".data"
        self.site = environment.site_packages
        self.recorded = self._recorded()

    def unpack(self) -> Unpacked:
        wheel = HeaderParser().parsestr(self._metadata("WHEEL"))
        if (wheel.get("Wheel-Version") or "").split(".")[0] != "1":
            raise WheelError(f"{self.name} has Wheel-Version {wheel.get('Wheel-Version')}; 1.x is supported")
        rows: list[tuple[str, str, int | str]] = []
        entries: list[TarEntry] = []
        for name, member in self.members.items():
            if name.rpartition("/")[0] == self.info and name.rpartition("/")[2] in (*_UNRECORDED, "INSTALLER"):
                continue
            entry, content = self._entry(name, member)
            entries.append(entry)
            digest = _digest(content) if content is not None else self.recorded[name]
            rows.append((self.environment.relative(entry.path), digest, entry.size))
        for path, content, program in [
            *self._programs(),
            (f"{self.site}/{self.info}/INSTALLER", INSTALLER, False),
        ]:
            entries.append(file_entry(path, content, program=program))
            rows.append((self.environment.relative(path), _digest(content), len(content)))
        entries.append(self._record(rows))
        metadata = HeaderParser().parsestr(self._metadata("METADATA"))
        self._check_owner(str(metadata.get("Name", "")), str(metadata.get("Version", "")), "METADATA")
        return Unpacked(tuple(entries), {key: str(value) for key, value in metadata.items()})

    def _info_directory(self) -> str:
        found = {part for part in (member.split("/")[0] for member in self.members) if part.endswith(".dist-info")}
        if len(found) != 1:
            raise WheelError(f"{self.name} has {len(found)} .dist-info directories; a wheel must have one")
        info = found.pop()
        owner, _, its_version = info.removesuffix(".dist-info").rpartition("-")
        self._check_owner(owner, its_version.replace("_", "+", 1), info)
        return info

    def _check_owner(self, project: str, version: str, where: str) -> None:
        """Raises WheelError if the wheel's metadata does not match its name."""
        from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

        try:
            name, its_version, _, _ = parse_wheel_filename(self.name)
        except InvalidWheelFilename as error:
            raise WheelError(first_line(error)) from None
        if canonicalize_name(project) != name or not is_same_version(version, str(its_version)):
            raise WheelError(f"{self.name} has the metadata of another project or version: {where}")

    def _recorded(self) -> dict[str, str]:
        """The digest of each file, as RECORD writes it."""
        try:
            rows = [row for row in csv.reader(io.StringIO(self._metadata("RECORD"))) if row]
        except csv.Error as error:
            raise WheelError(f"{self.name}: RECORD is damaged: {error}") from None
        recorded = {row[0]: row[1] for row in rows if len(row) == 3}
        for name in self.members:
            known = recorded.get(name, "").partition("=")[0] in ("sha256", "sha384", "sha512")
            if not known and not (name.startswith(f"{self.info}/") and name.rpartition("/")[2] in _UNRECORDED):
                raise WheelError(f"{self.name}: {name} is not in RECORD with a sha256; the wheel is damaged")
        return recorded

    def _entry(self, name: str, member: zipfile.ZipInfo) -> tuple[TarEntry, bytes | None]:
        """A file's destination, and its content if it differs from the wheel's."""
        if not name.startswith(f"{self.data}/"):
            return self._file(f"{self.site}/{name}", name, member), None
        scheme, _, rest = name.removeprefix(f"{self.data}/").partition("/")
        if scheme == "scripts" and rest:
            return self._script(f"{self.environment.programs}/{rest}", name, member)
        root = self.environment.schemes.get(scheme)
        if root is None or not rest:
            raise WheelError(f"{self.name} tries to install {name}, which is not allowed for wheels")
        root = root.replace("{name}", self.info.removesuffix(".dist-info").rpartition("-")[0])
        return self._file(f"{root}/{rest}", name, member), None

    def _file(self, to: str, name: str, member: zipfile.ZipInfo, *, program: bool = False) -> TarEntry:
        program = program or bool(member.external_attr >> 16 & stat.S_IXUSR)
        mode = PROGRAM_MODE if program else FILE_MODE
        return TarEntry(to, "file", mode, member.file_size, open=partial(self._open, name, member))

    def _open(self, name: str, member: zipfile.ZipInfo) -> BinaryIO:
        try:
            file = self.archive.open(member)
        except _UNREADABLE as error:
            raise WheelError(f"{self.name}: {name} cannot be read: {str(error)[:200]}") from None
        return io.BufferedReader(_Verified(file, self.recorded[name], member.file_size, f"{self.name}: {name}"))

    def _script(self, to: str, name: str, member: zipfile.ZipInfo) -> tuple[TarEntry, bytes | None]:
        """A program; if it is a Python script, its first line has the environment's Python."""
        if member.file_size > LIMIT_METADATA_BYTES:
            return self._file(to, name, member, program=True), None
        with self._open(name, member) as file:
            content = file.read()
        if not re.match(rb"#!pythonw?\b", content):
            return self._file(to, name, member, program=True), None
        content = b"#!" + self.environment.python.encode() + content[content.find(b"\n") :]
        return file_entry(to, content, program=True), content

    def _programs(self) -> Iterator[tuple[str, bytes, bool]]:
        """Programs for the entry points (entry points specification)."""
        if f"{self.info}/entry_points.txt" not in self.members:
            return
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
        try:
            parser.read_string(self._metadata("entry_points.txt"))
        except configparser.Error as error:
            raise WheelError(f"{self.name}: entry_points.txt: {first_line(error)}") from None
        for group in ("console_scripts", "gui_scripts"):
            for name, target in parser.items(group) if parser.has_section(group) else ():
                module, _, attribute = target.split("[")[0].replace(" ", "").partition(":")
                fits = _OBJECT.fullmatch(module) and _OBJECT.fullmatch(attribute)
                if not fits or not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
                    raise WheelError(f"{self.name}: entry point {name[:80]!r} = {target[:80]!r} is not a program")
                text = self.environment.program(module, attribute)
                yield f"{self.environment.programs}/{name}", text.encode(), True

    def _record(self, rows: list[tuple[str, str, int | str]]) -> TarEntry:
        """RECORD after installation (recording installed projects, PEP 376 and 627)."""
        path = f"{self.site}/{self.info}/RECORD"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(sorted([*rows, (self.environment.relative(path), "", "")]))
        return file_entry(path, text.getvalue().encode())

    def _metadata(self, name: str) -> str:
        member = self.members.get(f"{self.info}/{name}")
        if member is None:
            raise WheelError(f"{self.name} has no {self.info}/{name}; it is not a wheel")
        if member.file_size > LIMIT_METADATA_BYTES:
            raise WheelError(f"{self.name}: {name} has {member.file_size:,} bytes")
        return self.archive.read(member).decode("utf-8", "replace")


class _BoundedFile(io.FileIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LIMIT_READ_BYTES:
            raise zipfile.BadZipFile(f"{size:,} bytes are read at once; at most {LIMIT_READ_BYTES:,} are read")
        return super().read(size)


class _Verified(io.RawIOBase):
    """A file that raises WheelError at its end if its content does not match RECORD."""

    def __init__(self, file: IO[bytes], expected: str, size: int, where: str) -> None:
        self._file, self._expected, self._left, self._where = file, expected, size, where
        self._hash = hashlib.new(expected.partition("=")[0])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            piece = self._file.read(len(buffer))
        except _UNREADABLE as error:
            raise WheelError(f"{self._where} cannot be read: {str(error)[:200]}") from None
        self._left -= len(piece)
        if not piece and (self._left or _encoded(self._hash) != self._expected):
            raise WheelError(f"{self._where} does not match RECORD; fetch the wheel again")
        self._hash.update(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


def _checked_members(wheel: str, archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    members = archive.infolist()
    if len(members) > LIMIT_FILES:
        raise WheelError(f"{wheel} has {len(members):,} files; at most {LIMIT_FILES:,} are allowed")
    if sum(member.file_size for member in members) > LIMIT_BYTES:
        raise WheelError(f"{wheel} would unpack to over {LIMIT_BYTES >> 30} GiB")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
            raise WheelError(f"{wheel} tries to write {name[:200]!r}, outside of its directory")
        if len(parts) > LIMIT_DEPTH:
            raise WheelError(f"{wheel} has a file more than {LIMIT_DEPTH} directories deep: {name[:200]!r}")
        if any(part.startswith(WHITEOUT) for part in parts):
            raise WheelError(f"{wheel} has {name[:200]!r}, which would delete a file of the layers below")
        if member.is_dir():
            continue
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise WheelError(f"{wheel}: {name[:200]} is a link or device; wheels may have only files")
        if str(PurePosixPath(name)) in seen:
            raise WheelError(f"{wheel} has {name[:200]} twice")
        seen.add(str(PurePosixPath(name)))
        yield str(PurePosixPath(name)), member


def _digest(content: bytes) -> str:
    return _encoded(hashlib.sha256(content))


def _encoded(digest: "hashlib._Hash") -> str:
    """In RECORD's form: ``sha256=<urlsafe base64, no padding>``."""
    return f"{digest.name}={base64.urlsafe_b64encode(digest.digest()).rstrip(b'=').decode()}"


def is_same_version(written: str, expected: str) -> bool:
    """1.0 equals 1.0.0, but not 1.0+local."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(written) == Version(expected)
    except InvalidVersion:
        return written == expected
