"""Translation of a checked filter to Milvus's language, with SQL's semantics of null.

Milvus editions differ in the result of a comparison with a missing JSON key, and of its ``not``. So filters do not
rely on either: ``not`` is pushed down to the leaves, and each leaf first checks whether the column is present in the
row, by an array field that lists the columns that are.
"""

import json
from collections.abc import Iterable

from lykeion.core.expression import (
    And,
    Comparison,
    Constant,
    Contains,
    Expression,
    In,
    IsNull,
    Never,
    Not,
    Operator,
    Or,
)

PRESENT = "present"
ATTRIBUTES = "attributes"

_OPPOSITE: dict[Operator, Operator] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def to_milvus(expression: Expression, *, negated: bool = False) -> str:
    """Milvus's expression for where a checked ``expression`` is true, or with ``negated``, is false."""
    match expression:
        case Not(term):
            return to_milvus(term, negated=not negated)
        case And(terms) | Or(terms):
            word = "and" if isinstance(expression, And) is not negated else "or"
            return _joined(word, (to_milvus(term, negated=negated) for term in terms))
        case IsNull(column):
            return _present(column) if negated else f"not {_present(column)}"
        case Comparison(column, operator, value):
            leaf = _compare(column, _OPPOSITE[operator] if negated else operator, value)
        case In(column, values):
            operator, word = ("!=", "and") if negated else ("=", "or")
            leaf = _joined(word, (_compare(column, operator, value) for value in values))
        case Contains(column, value):  # in a list, since json_contains accepts no negative numbers on Milvus Lite
            leaf = f"{'not ' if negated else ''}json_contains_any({_field(column)}, [{_literal(value)}])"
        case Never(column):
            return _present(column) if negated else "ordinal < 0"
    return f"({_present(column)} and {leaf})"


def key_of(column: str) -> str:
    """The column's JSON key: its name, or for a name that Milvus's parser might reject, its bytes in hex."""
    plain = column.isascii() and column.isidentifier()
    return column if plain else "_" + column.encode().hex()  # attributes never begin with an underscore


def column_of(key: str) -> str:
    return bytes.fromhex(key[1:]).decode() if key.startswith("_") else key


def _present(column: str) -> str:
    return f'array_contains({PRESENT}, "{key_of(column)}")'


def _field(column: str) -> str:
    return f'{ATTRIBUTES}["{key_of(column)}"]'


def _compare(column: str, operator: Operator, value: Constant) -> str:
    return f"{_field(column)} {'==' if operator == '=' else operator} {_literal(value)}"


def _literal(value: Constant) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(word: str, parts: Iterable[str]) -> str:
    return "(" + f" {word} ".join(parts) + ")"
