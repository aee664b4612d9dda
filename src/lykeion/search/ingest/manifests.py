"""Manifests: a table with one photo per row. Columns: ``id``, the photo, and attributes.

The photo is in the first of the columns ``photo``, ``path``, ``url`` that the manifest has: a path, or an http(s)
URL. Rows with the same id are several photos of one product. Paths are relative to the root folder and may not leave
it, even through links, since a manifest is not trusted with access to the rest of the disk.
"""

import codecs
import csv
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from lykeion.core import first_line
from lykeion.search.index import ColumnType, Schema, Value, parse_value

from .column_types import Inference, convert, go_together
from .photo_source import Failure, ListedPhoto, PhotoSource, SourceError, id_problem, photo_problem, printable

PHOTO_COLUMNS = ("photo", "path", "url")
MAX_LINE_BYTES = 1 << 20
"""The limit for a JSON line; for a CSV cell it is 131,072 characters."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_manifest(path: Path, types: Mapping[str, ColumnType], root: Path) -> PhotoSource:
    """The manifest, by its extension. Raises SourceError."""
    kinds = {
        ".csv": CsvManifest,
        ".tsv": CsvManifest,
        ".jsonl": JsonLinesManifest,
        ".ndjson": JsonLinesManifest,
        ".parquet": ParquetManifest,
    }
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise SourceError(f"{path} is neither a folder nor a manifest ({', '.join(kinds)})")
    return kind(path, types, root)


class _Manifest:
    """Shared by the formats: converts a row's cells to an item."""

    def __init__(self, path: Path, types: Mapping[str, ColumnType], root: Path) -> None:
        self.path, self.root = path, root.resolve()
        self.types: dict[str, ColumnType] = dict(types)

    def fit(self, columns: Mapping[str, ColumnType]) -> list[str]:
        for name, kind in self.types.items():
            if not go_together(kind, columns.get(name, kind)):
                raise SourceError(
                    f"{name} is declared as {kind}, but the index has it as {columns[name]}; declare that, or change "
                    f"the index: lykeion index column {shlex.quote(name)} --retype {kind}"
                )
        return []

    def _columns(self, names: Sequence[str]) -> str:
        """Check the columns; return the name of the photo's. Raises SourceError, SchemaError."""
        if "" in names:
            place = f"after {names[names.index('') - 1]!r}"
            raise SourceError(f"{self.path}: the column {place} has no name; name or remove it")
        photo = next((name for name in PHOTO_COLUMNS if name in names), None)
        if "id" not in names or photo is None:
            raise SourceError(f"{self.path} needs a column id and one of photo, path, url; it has {', '.join(names)}")
        if len(set(names)) < len(names):
            raise SourceError(f"{self.path}: a column's name is there twice in {', '.join(names)}")
        if missing := self.types.keys() - set(names):
            raise SourceError(f"{self.path} has no column {', '.join(sorted(missing))}, whose type is declared")
        Schema({name: self.types.get(name, "string") for name in names if name not in ("id", photo)})
        return photo

    def _item(
        self, id: object, photo: object, attributes: dict[str, Value] | ValueError, place: str
    ) -> ListedPhoto | Failure:
        if isinstance(id, ValueError):
            return Failure("", "", place, f"id: {id}")
        if isinstance(id, bool) or not isinstance(id, str | int):
            return Failure("", "", place, f"the id must be a string or an integer, not {type(id).__name__}")
        name = str(id)
        if problem := id_problem(name):
            return Failure("", "", place, problem)
        if isinstance(photo, ValueError):
            return Failure("", "", place, f"product {name!r}: photo: {photo}")
        if not isinstance(photo, str) or not photo:
            return Failure("", "", place, f"product {name!r}: no photo is given")
        if problem := photo_problem(photo):
            return Failure("", "", place, f"product {name!r}: {problem}")
        try:
            location = self._locate(photo)
        except ValueError as error:
            return Failure(name, photo, printable(photo), str(error))
        if isinstance(attributes, ValueError):
            return Failure(name, photo, printable(photo), str(attributes))
        return ListedPhoto(name, photo, location, attributes or None)

    def _locate(self, photo: str) -> Path | str:
        if scheme := _SCHEME.match(photo):
            if scheme[0].lower() not in ("http://", "https://"):
                raise ValueError(f"{scheme[0]} is not fetched, only http:// and https://")
            return photo
        try:
            path = (self.root / photo).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a zero byte
            raise ValueError("this path cannot be") from None
        if not path.is_relative_to(self.root):
            raise ValueError(f"the path leaves {self.root}; allow a wider folder with --root")
        return path

    def _place(self, number: int) -> str:
        return f"{self.path}:{number}"


class CsvManifest(_Manifest):
    """CSV in UTF-8 with a header, separated by comma, semicolon or tab.

    Cells are trimmed. Types are inferred from all cells of a column, in a first pass; an empty cell is null. Columns
    without a name on the left are skipped, since pandas writes its index there.
    """

    def __init__(self, path: Path, types: Mapping[str, ColumnType], root: Path) -> None:
        super().__init__(path, types, root)
        self._inferred: dict[str, ColumnType] = {}
        self._warnings: list[str] = []
        self._rows = -1

    def __iter__(self) -> Iterator[ListedPhoto | Failure]:
        self._infer()
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = self._read(file)
            _, names = next(rows)
            id_at, photo_at = names.index("id"), names.index(self._columns(names))
            kinds: dict[int, tuple[str, ColumnType]] = {
                at: (name, self._inferred[name]) for at, name in enumerate(names) if at not in (id_at, photo_at)
            }
            for number, row in rows:
                if len(row) != len(names):
                    cause = f"the row has {len(row)} cells, the header {len(names)}"
                    yield Failure("", "", self._place(number), cause)
                else:
                    yield self._item(row[id_at], row[photo_at], _parsed(row, kinds), self._place(number))

    def fit(self, columns: Mapping[str, ColumnType]) -> list[str]:
        """A column that the index has is read with its type there, so that only the cells that do not fit fail."""
        super().fit(columns)
        self._infer()
        warnings = list(self._warnings)
        for name, kind in self._inferred.items():
            stored = columns.get(name, kind)
            if stored == "string" and kind in ("integer", "number") and name not in self.types:
                quoted = shlex.quote(name)
                warnings.append(
                    f"{name} is a column of strings in the index, and all its cells in {self.path} are numbers; "
                    f"lykeion index column {quoted} --retype {kind} changes it, --type {quoted}=string keeps it"
                )
            if (kind, stored) != ("number", "integer"):  # here the index's column becomes one of numbers
                self._inferred[name] = stored
        return warnings

    def count(self) -> int:
        self._infer()
        return self._rows

    def _infer(self) -> None:
        if self._rows >= 0:
            return
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = self._read(file)
            _, names = next(rows, (0, []))
            photo = self._columns(names)
            columns = [(at, Inference()) for at, name in enumerate(names) if name not in self.types]
            count = 0
            for count, (line, row) in enumerate(rows, 1):  # noqa: B007 - read after the loop
                if len(row) == len(names):
                    for at, inference in columns:
                        inference.see(row[at], line)
        self._inferred = dict(self.types)
        for at, inference in columns:
            self._inferred[names[at]] = inference.kind
            if inference.is_mostly_numbers and names[at] not in ("id", photo):
                self._warnings.append(
                    f"{self.path}: {names[at]} is read as text, for {inference.cells - inference.numbers:,} of its "
                    f"{inference.cells:,} cells are no numbers: first {inference.first_other}; correct them, or "
                    f"declare --type {shlex.quote(names[at])}=string"
                )
        self._rows = count

    def _read(self, file: Any) -> Iterator[tuple[int, list[str]]]:
        """Rows with their line numbers, the header first; cells are trimmed. Raises SourceError."""
        line, first = 0, None
        try:
            header = file.readline(MAX_LINE_BYTES)
            file.seek(0)
            delimiter = max(",;\t", key=header.count)
            for row in (reader := csv.reader(file, delimiter=delimiter, strict=True)):
                cells = [cell.strip() for cell in row]
                if any(cells):
                    first = next(at for at, name in enumerate(cells) if name) if first is None else first
                    yield reader.line_num, cells[first:]
                line = reader.line_num
        except csv.Error as error:
            raise SourceError(f"{self._place(line + 1)}: not CSV: {error}") from None
        except UnicodeDecodeError:
            raise SourceError(f"{self._place(line + 1)}: not UTF-8; save the manifest as UTF-8") from None


class JsonLinesManifest(_Manifest):
    """One JSON object per line, in UTF-8."""

    def __iter__(self) -> Iterator[ListedPhoto | Failure]:
        with self.path.open("rb") as file:
            if file.read(1024).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
                raise SourceError(f"{self.path} is a JSON array; write one object a line, as jq -c '.[]' does")
            file.seek(0)
            for number, line in enumerate(_lines(file), 1):
                if len(line) > MAX_LINE_BYTES:
                    raise SourceError(f"{self._place(number)}: the line is longer than {MAX_LINE_BYTES:,} bytes")
                if line.strip():
                    yield self._read(line, self._place(number))

    def count(self) -> int:
        with self.path.open("rb") as file:
            return sum(bool(line.strip()) for line in _lines(file))

    def _read(self, line: bytes, place: str) -> ListedPhoto | Failure:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Failure("", "", place, f"not JSON: {error}")
        if not isinstance(row, dict):
            return Failure("", "", place, "not a JSON object")
        id = row.pop("id", None)
        photo = next((row.pop(name) for name in PHOTO_COLUMNS if name in row), None)
        return self._item(id, photo, _converted(row, self.types), place)


class ParquetManifest(_Manifest):
    """Parquet; timestamps without a time zone are read as UTC, and dates as midnight."""

    def __iter__(self) -> Iterator[ListedPhoto | Failure]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from .arrow_values import python_values

        try:
            with pq.ParquetFile(self.path, coerce_int96_timestamp_unit="us") as file:
                names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
                photo = self._columns(names)
                number = 0
                for batch in file.iter_batches(batch_size=1024, columns=names):
                    for values in zip(*map(python_values, batch.columns), strict=True):
                        number += 1
                        row = dict(zip(batch.schema.names, values, strict=True))
                        id, location = row.pop("id"), row.pop(photo)
                        yield self._item(id, location, _converted(row, self.types), self._place(number))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{self.path}: not readable as Parquet: {first_line(error)}") from None

    def count(self) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_metadata(self.path).num_rows
        except (pa.ArrowException, OSError):  # reading the rows will report it
            return 0


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; a line that is too long is split."""
    return iter(lambda: file.readline(MAX_LINE_BYTES + 1), b"")


def _parsed(row: list[str], kinds: Mapping[int, tuple[str, ColumnType]]) -> dict[str, Value] | ValueError:
    values: dict[str, Value] = {}
    for at, (name, kind) in kinds.items():
        try:
            values[name] = parse_value(row[at], kind)
        except ValueError as error:
            return ValueError(f"{name}: {error}")
    return values


def _converted(row: Mapping[str, Any], types: Mapping[str, ColumnType]) -> dict[str, Value] | ValueError:
    values: dict[str, Value] = {}
    for name, value in row.items():
        try:
            if isinstance(value, ValueError):
                raise value
            values[name] = convert(value, types.get(name))
        except ValueError as error:
            return ValueError(f"{name}: {error}")
    return values
