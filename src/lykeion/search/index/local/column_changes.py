"""Changing columns: every segment that has the column is written again as a new one, and one manifest names them.

Vectors, ids and kernels of a segment remain the same files, shared by links; only its attributes are new. Files that
a crash leaves before the manifest is current are removed as after any other crash, and snapshots keep their columns.

Requires the writer lock, that no other compaction runs, and a sealed state.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from lykeion.core import NotFound
from lykeion.search.index.errors import SchemaError
from lykeion.search.index.local.disk.store import Store
from lykeion.search.index.local.memory.layers import mask_of
from lykeion.search.index.local.memory.state import State
from lykeion.search.index.protocol import Value
from lykeion.search.index.schema import ARROW, ColumnType, Schema
from lykeion.search.index.segment.rewriting import with_attributes
from lykeion.search.index.value_text import retyped

from .seal import commit

_CHUNK = 16_384

_Change: TypeAlias = Callable[[pa.Table, np.ndarray, Callable[[int], str]], pa.Table]
"""Returns the changed form of a table that has the column. The array has one bool per row, whether its values count:
those of rows that were deleted or changed since do not. The function returns the product of a row."""


def drop(store: Store, state: State, name: str) -> None:
    """Raises NotFound."""
    _check(store, state, name)
    columns = {other: kind for other, kind in state.schema.columns.items() if other != name}
    _rewrite(store, state, name, columns, lambda table, _rows, _id: table.drop_columns([name]))


def rename(store: Store, state: State, name: str, to: str) -> None:
    """Raises NotFound, and SchemaError for a name that is invalid or taken."""
    _check(store, state, name)
    if to in state.schema.columns:
        raise SchemaError(f"{store.path} has a column {to!r} already; drop it before, or choose another name")
    columns: dict[str, ColumnType] = {
        to if other == name else other: kind for other, kind in state.schema.columns.items()
    }
    Schema(columns)
    _rewrite(store, state, name, columns, lambda table, _rows, _id: table.rename_columns({name: to}))


def retype(store: Store, state: State, name: str, kind: ColumnType, *, clear: bool) -> int:
    """Returns how many products had a value that could not be converted and became null.

    Raises NotFound, and SchemaError if there are such products and ``clear`` is not set.
    """
    _check(store, state, name)
    if kind not in ARROW or kind == "list":
        raise SchemaError(f"{kind!r} is no type of a column; there are {', '.join(k for k in ARROW if k != 'list')}")
    if kind == state.schema.columns[name]:
        return 0
    misfits: dict[str, str] = {}

    def change(table: pa.Table, rows: np.ndarray, id_of: Callable[[int], str]) -> pa.Table:
        column = state.schema.column(table, name)
        chunks: list[pa.Array] = []
        for start in range(0, len(column), _CHUNK):
            values: list[Value] = []
            for row, value in enumerate(column.slice(start, _CHUNK).to_pylist(), start):
                try:
                    values.append(None if value is None else retyped(value, kind))
                except (ValueError, OverflowError) as error:
                    values.append(None)
                    if rows[row]:
                        misfits.setdefault(id_of(row), str(error))
            chunks.append(pa.array(values, ARROW[kind]))
        at = table.column_names.index(name)
        return table.set_column(at, name, pa.chunked_array(chunks, ARROW[kind]))

    def complain() -> None:
        if misfits and not clear:
            product, cause = next(iter(misfits.items()))
            others = f", and so have {len(misfits) - 1:,} other products" if len(misfits) > 1 else ""
            raise SchemaError(
                f"product {product!r} has a {name!r} that cannot be of type {kind}: {cause}{others}; correct them, "
                f"or let them become null (clear, --clear)"
            )

    _rewrite(store, state, name, {**state.schema.columns, name: kind}, change, complain)
    return len(misfits)


def _check(store: Store, state: State, name: str) -> None:
    if name not in state.schema.columns:
        known = ", ".join(state.schema.columns) or "none"
        raise NotFound(f"{store.path} has no column {name!r}; its columns: {known}")


def _rewrite(
    store: Store,
    state: State,
    name: str,
    columns: Mapping[str, str],
    change: _Change,
    before_commit: Callable[[], None] = lambda: None,
) -> None:
    entries = []
    for layer in state.segments:
        entry, patches = layer.entry, layer.patches.table
        rows = np.ones(layer.rows, bool) if layer.deleted is None else ~mask_of(layer.deleted, layer.rows)
        if patches is not None:
            patched = patches.column("_row").to_numpy()
            if name in patches.column_names:
                table = change(patches, rows[patched], lambda n, id=layer.id, at=patched: id(int(at[n])))
                entry = replace(entry, patches=store.write_patches(table))
            rows[patched] = False
        if name in layer.segment.attributes.column_names:
            table = change(layer.segment.attributes, rows, layer.id)
            entry = replace(entry, digest=with_attributes(store.segments, layer.segment, table))
        entries.append(entry)
    before_commit()
    commit(store, state.manifest.next(segments=tuple(entries), columns=dict(columns)))
