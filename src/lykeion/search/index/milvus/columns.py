"""The columns of a collection, which other processes may extend, and what depends on them."""

import time
from collections.abc import Sequence
from dataclasses import replace

from lykeion.core.expression import WhereError
from lykeion.search.index import filters
from lykeion.search.index.protocol import Attributes, Value
from lykeion.search.index.schema import Schema

from .client import Client
from .filter import to_milvus
from .rows import Row, attached, attributes_of, names

_FOLLOW_SECONDS = 1.0


class Columns:
    """Reads the schema from the collection's properties again when it is older than a second, or seems outdated."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._read()

    def schema(self, *, seconds: float = _FOLLOW_SECONDS) -> Schema:
        """At most ``seconds`` old."""
        if time.monotonic() - self._read_at >= seconds:
            self._read()
        return self._schema

    def extend(self, rows: Sequence[Attributes], ids: Sequence[str]) -> list[dict[str, Value]]:
        """The coerced rows, after adding the columns that they need. Raises SchemaError and then changes nothing."""
        schema = self.schema(seconds=0.0)
        extended = schema.extended(rows, ids)
        coerced = extended.coerce(rows, ids)
        for product, row in zip(ids, coerced, strict=True):
            attached(product, row)  # raises if they are too long
        if extended is not schema:
            self.settings = replace(self.settings, columns=extended.to_json())
            self._client.keep(self.settings)
            self._schema = extended
        return coerced

    def condition(self, where: str | None) -> str:
        """A filter in Milvus's language, "" for none. Raises WhereError."""
        if where is None:
            return ""
        expression = filters.parse(where)
        try:
            return to_milvus(filters.check(expression, self.schema()))
        except WhereError:  # perhaps the column is new
            return to_milvus(filters.check(expression, self.schema(seconds=0.0)))

    def attributes(self, row: Row) -> dict[str, Value]:
        if not names(row) <= self._schema.columns.keys():  # written by another process since
            self._read()
        return attributes_of(row, self._schema.columns)

    def _read(self) -> None:
        self.settings, self._read_at = self._client.settings(), time.monotonic()
        self._schema = Schema.from_json(self.settings.columns)
