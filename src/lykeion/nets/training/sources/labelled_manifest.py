"""Labelled photos in a manifest: a row a photo with its path, its label and perhaps its split."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lykeion.core import first_line
from lykeion.nets.training.errors import DataError

from .splits import LabelledSource, labelled, split_of

MAX_LINE = 2**16


def read_csv(path: Path) -> LabelledSource:
    """A header with ``path``, ``label`` and perhaps ``split``; UTF-8, commas. Raises DataError."""

    def rows() -> Iterator[Mapping[str, Any]]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            table.fieldnames = [name.strip() for name in table.fieldnames or ()]
            yield from table

    return _read_rows(path, rows)


def read_json_lines(path: Path) -> LabelledSource:
    """An object a line with "path", "label" and perhaps "split". Raises DataError."""

    def rows() -> Iterator[Mapping[str, Any]]:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise ValueError(f"a line of more than {MAX_LINE:,} bytes")
                if line.strip():
                    yield json.loads(line)

    return _read_rows(path, rows)


def _read_rows(path: Path, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> LabelledSource:
    root = path.parent.resolve()
    found: dict[str, list[tuple[Path, str]]] = {}
    number = 0
    try:
        for row in rows():
            number += 1
            split, photo, label = _read_row(row)
            file = (root / photo).resolve()
            if not file.is_relative_to(root):
                raise ValueError(f"path {photo[:200]!r} leaves {root}")
            found.setdefault(split, []).append((file, label))
    except KeyError as error:
        raise DataError(f"{path}: row {number} has no {error}; columns are path, label, split") from None
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, csv.Error) as error:
        raise DataError(f"{path}: row {number}: {first_line(error)}") from None
    return labelled(path, found)


def _read_row(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Split, path and label, without the spaces around them. Raises KeyError, ValueError."""
    photo, label, split = row["path"], row["label"], row.get("split") or "train"
    if not isinstance(photo, str) or not isinstance(label, str | int) or isinstance(label, bool):
        raise ValueError("expected a path and a label, each a text; a label may be a whole number")
    if not isinstance(split, str) or not (meant := split_of(split) if split.strip() else "train"):
        raise ValueError(f"split is {str(split)[:60]!r}; it must be train, validation or test")
    for name, value in (("path", photo), ("label", label)):
        if not str(value).strip():
            raise ValueError(f"its {name} is empty")
    return meant, photo.strip(), str(label).strip()
