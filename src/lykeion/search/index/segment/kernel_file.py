"""The folder ``kernel`` of a segment: its codes and cells in files, described by kernel.json.

In formats 1 and 2, which are read, all cells are in one group, and centroids.bin has them coded like the rows, or as
whole vectors in float16. In format 1 each row is a node of the graph, and there are no copies.
"""

from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import digest_file
from lykeion.search.index import checked_json
from lykeion.search.index.errors import CorruptIndex, IndexFormatError

from .byte_matrix import TOGETHER, ByteMatrix, in_bytes, nearness, shape_of
from .cells import cell_count
from .kernel import Effort, SegmentCodes

KERNEL_FORMAT = 3
_COPIES_FORMAT, _GROUPS_FORMAT = 2, 3
"""From which on a graph has copies, and cells are in groups."""
_MAX_EFFORT = 65_536
_NORM_BYTES = 4


def write_kernel(directory: Path, codes: SegmentCodes, kind: str, effort: Effort, *, seconds: float) -> None:
    directory.mkdir()
    for name, array in _arrays(codes).items():
        (directory / f"{name}.bin").write_bytes(np.ascontiguousarray(array).data)
    description = {
        "format": KERNEL_FORMAT,
        "kind": kind,
        "seconds": round(seconds, 3),
        "effort": effort._asdict(),
        "scale": float(codes.scale),
        "zero": float(codes.zero),
        "nibbles": codes.nibbles,
        "stride": codes.codes.shape[1],
        "reduced": len(codes.bias),
        "cells": len(codes.cells),
        "groups": len(codes.group_cells) - 1,
        "whole_cells": codes.whole,
        "degree": codes.links.shape[1] if codes.links is not None else 0,
        "copies": codes.copies,
        "files": describe_files(directory),
    }
    (directory / "kernel.json").write_bytes(checked_json.to_json(description))


def _arrays(codes: SegmentCodes) -> dict[str, np.ndarray]:
    names = ("codes", "projection", "bias", "group_cells", "cell_rows", "entries")
    arrays = {name: getattr(codes, name) for name in names}
    for name in ("cells", "groups"):
        matrix: ByteMatrix = getattr(codes, name)
        arrays |= {name: matrix.rows, f"{name}_terms": matrix.terms}
    return arrays if codes.links is None else {**arrays, "links": codes.links}


def read_kernel(path: Path, rows: int, dimension: int) -> tuple[dict[str, Any] | None, SegmentCodes | None]:
    """The kernel's description and arrays; (None, None) if there is none or it cannot be used."""
    try:
        where = path / "kernel.json"
        description = checked_json.from_json(where.read_bytes(), where, newest=KERNEL_FORMAT)
        if any((path / name).stat().st_size != file["size"] for name, file in description["files"].items()):
            return None, None
        stride, reduced, degree = (description[name] for name in ("stride", "reduced", "degree"))
        codes = SegmentCodes(
            codes=map_file(path / "codes.bin", "u1", (rows, stride)),
            projection=map_file(path / "projection.bin", "<f2", (reduced, dimension)),
            bias=map_file(path / "bias.bin", "<f4", (reduced,)),
            **_read_cells(path, description, dimension),
            links=map_file(path / "links.bin", "<u4", (rows, degree)) if degree else None,
            scale=description["scale"],
            zero=description["zero"],
            nibbles=description["nibbles"],
            copies=description.get("copies", 0),
        )
    except (OSError, ValueError, KeyError, TypeError, CorruptIndex, IndexFormatError):
        return None, None
    in_range = (
        stride % 64 == 0
        and 0 < reduced <= (stride - _NORM_BYTES) * (2 if codes.nibbles else 1)
        and _divides(codes.cell_rows, rows)
        and _divides(codes.group_cells, len(codes.cell_rows) - 1)
        and bool((codes.group_cells[:-1] % TOGETHER == 0).all())
        and bool((codes.entries < rows).all())
        and _possible(description.get("effort"))
    )
    return (description, codes) if in_range else (None, None)


def is_outdated(description: dict[str, Any], rows: int) -> bool:
    """Whether a kernel of today's format would be better: in the older one many copies of one vector hide others of a
    graph, and many rows are in too few cells."""
    copies = description["kind"] == "hnsw" and description["format"] < _COPIES_FORMAT
    return copies or (description["format"] < _GROUPS_FORMAT and 2 * description["cells"] < cell_count(rows))


def _read_cells(path: Path, description: dict[str, Any], dimension: int) -> dict[str, Any]:
    cells, whole = description["cells"], bool(description.get("whole_cells"))
    read = {
        "cell_rows": map_file(path / "cell_rows.bin", "<i8", (cells + 1,)),
        "entries": map_file(path / "entries.bin", "<u4", (cells,)),
        "whole": whole,
    }
    if description["format"] < _GROUPS_FORMAT:
        centroids = _centroids(path / "centroids.bin", description, dimension)
        matrix = nearness(centroids, np.einsum("ij,ij->i", centroids, centroids) / 2)
        any_group = in_bytes(centroids[:1], np.zeros(1, np.float32))
        return {**read, "cells": matrix, "groups": any_group, "group_cells": np.array([0, cells], np.int64)}
    groups, columns = description["groups"], dimension if whole else description["reduced"]
    return {
        **read,
        "cells": _map_matrix(path, "cells", cells, columns),
        "groups": _map_matrix(path, "groups", groups, columns),
        "group_cells": map_file(path / "group_cells.bin", "<i8", (groups + 1,)),
    }


def _map_matrix(path: Path, name: str, rows: int, columns: int) -> ByteMatrix:
    shape = shape_of(rows, columns)
    terms = map_file(path / f"{name}_terms.bin", "<f4", (3, shape[0] * TOGETHER))
    return ByteMatrix(map_file(path / f"{name}.bin", "i1", shape), terms)


def _centroids(path: Path, description: dict[str, Any], dimension: int) -> np.ndarray:
    """The centroids of an older format, float32 (cells, …)."""
    cells, stride, reduced = (description[name] for name in ("cells", "stride", "reduced"))
    if description.get("whole_cells"):
        return map_file(path, "<f2", (cells, dimension)).astype(np.float32)
    units = map_file(path, "u1", (cells, stride))[:, : stride - _NORM_BYTES]
    if description["nibbles"]:
        units = np.concatenate([units & 15, units >> 4], axis=1)
    return (units[:, :reduced].astype(np.float32) - np.float32(description["zero"])) * np.float32(
        description["scale"]
    )


def _divides(bounds: np.ndarray, total: int) -> bool:
    """Whether the bounds ascend from 0 to this total."""
    return bool(bounds[0] == 0 and bounds[-1] == total and (np.diff(bounds) >= 0).all())


def _possible(effort: dict[str, float] | None) -> bool:
    if effort is None:
        return True
    return set(effort) == set(Effort._fields) and min(effort.values()) > 0 and max(effort.values()) <= _MAX_EFFORT


def describe_files(directory: Path) -> dict[str, dict[str, Any]]:
    return {
        path.name: {"size": path.stat().st_size, "sha256": digest_file(path)}
        for path in sorted(directory.iterdir())
        if path.is_file()
    }


def map_file(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A file of numbers, mapped."""
    if not path.stat().st_size:
        return np.empty([max(size, 0) for size in shape], dtype)
    return np.asarray(np.memmap(path, dtype, "r")).reshape(shape)
