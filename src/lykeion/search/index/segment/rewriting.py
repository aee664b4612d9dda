"""Rewriting a segment with other attributes; its vectors, ids and kernel remain the same files, shared by links."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa

from lykeion.core import copy_tree, digest_file, digest_json, fsync_directory

from .segment import Segment, appears, sync_tree

_NEW = ("rows.arrow", "segment.json")


def with_attributes(directory: Path, segment: Segment, attributes: pa.Table) -> str:
    """Write the segment again, durably, with this table of attributes, one per row. Returns its digest."""
    rows = segment.table.select(["_id", "_photo", "_digest"])
    for name in attributes.column_names:
        rows = rows.append_column(name, attributes.column(name))
    rows = rows.combine_chunks()
    temporary = Path(tempfile.mkdtemp(dir=directory, prefix=".writing-"))
    try:
        copy_tree(segment.path, temporary, link_or_copy, leave_out=lambda name: name in _NEW)
        path = temporary / "rows.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)
        description = json.loads((segment.path / "segment.json").read_bytes())
        description["files"]["rows.arrow"] = {"size": path.stat().st_size, "sha256": digest_file(path)}
        (temporary / "segment.json").write_text(json.dumps(description, indent=1))
        sync_tree(temporary)
        target = directory / digest_json(description).removeprefix("sha256:")
        if not appears(temporary, target):  # such as after a column was renamed and renamed back
            shutil.rmtree(temporary)
        fsync_directory(directory)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target.name


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
