"""From the text of a filter to its tree: an LALR(1) grammar, built when the first filter is read."""

# Lark's own types are partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args

from .expression import And, Comparison, Constant, Contains, Expression, In, IsNull, Not, Or, WhereError

MAX_TEXT_LENGTH = 65_536
MAX_DEPTH = 64
"""Of nested brackets and ``not``."""
MAX_CONDITIONS = 256
"""Each takes one pass over a column; the values of an ``in`` are not counted."""

GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: _NOT negation                            -> negated
         | "(" disjunction ")"
         | predicate
?predicate: column                                  -> is_true
         | column OPERATOR constant                 -> comparison
         | column _IN "(" constants ")"             -> among
         | column _NOT _IN "(" constants ")"        -> not_among
         | column _BETWEEN constant _AND constant   -> between
         | column _NOT _BETWEEN constant _AND constant -> not_between
         | column _IS _NULL                         -> is_null
         | column _IS _NOT _NULL                    -> is_not_null
         | column _CONTAINS constant                -> contains
         | column _NOT _CONTAINS constant           -> not_contains
column: NAME | QUOTED_NAME
constants: constant ("," constant)*
?constant: STRING -> string
         | NUMBER -> number
         | TRUE   -> true
         | FALSE  -> false

_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b/i
_IN.2: /in\b/i
_IS.2: /is\b/i
_NULL.2: /null\b/i
_BETWEEN.2: /between\b/i
_CONTAINS.2: /contains\b/i
TRUE.2: /true\b/i
FALSE.2: /false\b/i
OPERATOR: "==" | "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
NAME: /[^\W\d_]\w*(\.\w+)*/
QUOTED_NAME: /`([^`\\]|\\.)+`/s
STRING: /'([^'\\]|\\.)*'|"([^"\\]|\\.)*"/s
NUMBER: /[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?(?!\w)/i
%ignore /\s+/
"""

_EXPECTED = {
    "OPERATOR": "a comparison such as = or <",
    "NAME": "a column",
    "STRING": "a value ('text', 12, true)",
    "NUMBER": "a value ('text', 12, true)",
    "_AND": "and",
    "_OR": "or",
    "_IN": "in",
    "_NULL": "null",
    "_IS": "is null",
    "_CONTAINS": "contains",
    "_BETWEEN": "between",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
}
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "`": "`", "n": "\n", "r": "\r", "t": "\t"}


def parse(text: str) -> Expression:
    """The tree of a filter. Raises WhereError with the position of the first error."""
    if len(text) > MAX_TEXT_LENGTH:
        raise WhereError(f"filter of {len(text):,} characters; at most {MAX_TEXT_LENGTH:,} are allowed")
    if not text.strip():
        raise WhereError("filter: it is empty; leave it out to match everything")
    try:
        expression: Any = _parser().parse(text)
    except UnexpectedInput as error:
        raise _explain(text, error) from None
    _limit_size(expression)
    return expression


def error_at(position: int, what: str) -> WhereError:
    """``position`` counts characters from 1."""
    return WhereError(f"filter, character {position}: {what}")


@v_args(inline=True)
class _Builder(Transformer[Token, Expression]):
    """Builds the tree while parsing, so that no recursion depends on the input."""

    def disjunction(self, *terms: Expression) -> Or:
        return Or(terms)

    def conjunction(self, *terms: Expression) -> And:
        return And(terms)

    def negated(self, term: Expression) -> Not:
        return Not(term)

    def is_true(self, column: Token) -> Comparison:
        return Comparison(str(column), "=", True, at=_at(column))

    def comparison(self, column: Token, operator: Token, value: Constant) -> Comparison:
        symbol: Any = {"==": "=", "<>": "!="}.get(operator, str(operator))
        return Comparison(str(column), symbol, value, at=_at(column))

    def among(self, column: Token, values: tuple[Constant, ...]) -> In:
        return In(str(column), values, at=_at(column))

    def not_among(self, column: Token, values: tuple[Constant, ...]) -> Not:
        return Not(self.among(column, values))

    def between(self, column: Token, low: Constant, high: Constant) -> And:
        return And(
            (
                self.comparison(column, Token("OPERATOR", ">="), low),
                self.comparison(column, Token("OPERATOR", "<="), high),
            )
        )

    def not_between(self, column: Token, low: Constant, high: Constant) -> Not:
        return Not(self.between(column, low, high))

    def is_null(self, column: Token) -> IsNull:
        return IsNull(str(column), at=_at(column))

    def is_not_null(self, column: Token) -> Not:
        return Not(self.is_null(column))

    def contains(self, column: Token, value: Constant) -> Contains:
        return Contains(str(column), value, at=_at(column))

    def not_contains(self, column: Token, value: Constant) -> Not:
        return Not(self.contains(column, value))

    def column(self, name: Token) -> Token:
        return name.update(value=_unquote(name)) if name.type == "QUOTED_NAME" else name

    def constants(self, *values: Constant) -> tuple[Constant, ...]:
        return values

    def string(self, text: Token) -> str:
        return _unquote(text)

    def number(self, text: Token) -> int | float:
        if text.lstrip("+-").isdecimal():
            if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
                raise error_at(_at(text), f"the integer {text[:24]} does not fit 64 bits")
            return int(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise error_at(_at(text), f"the number {text[:24]} is too large")
        return number

    def true(self, _text: Token) -> bool:
        return True

    def false(self, _text: Token) -> bool:
        return False


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", transformer=_Builder())


def _at(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _unquote(token: Token) -> str:
    """The text between the quotes, with backslash escapes resolved."""
    if "\\" not in token:
        return token[1:-1]
    characters: list[str] = []
    inner = iter(token[1:-1])
    for character in inner:
        if character == "\\":
            escaped = next(inner)
            if escaped not in _ESCAPES:
                raise error_at(_at(token), f"unknown escape \\{escaped}; write \\\\ for a backslash")
            character = _ESCAPES[escaped]
        characters.append(character)
    return "".join(characters)


def _explain(text: str, error: UnexpectedInput) -> WhereError:
    if isinstance(error, UnexpectedToken):
        names = error.accepts or error.expected
        found = "it ends" if error.token.type == "$END" else f"unexpected {str(error.token)[:40]!r}"
        position = len(text) + 1 if error.token.type == "$END" else _at(error.token)
    else:
        names = getattr(error, "allowed", None) or set()
        position = (error.pos_in_stream or 0) + 1
        found = f"unexpected {text[position - 1 :][:20]!r}"
    expected = sorted({_EXPECTED[name] for name in names if name in _EXPECTED})
    return error_at(position, found + (f"; expected one of: {' · '.join(expected)}" if expected else ""))


def _limit_size(expression: Expression) -> None:
    level, depth, conditions = [expression], 0, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise WhereError(f"filter: brackets and 'not' nest deeper than {MAX_DEPTH} levels")
        below: list[Expression] = []
        for node in level:
            if isinstance(node, And | Or):
                below += node.terms
            elif isinstance(node, Not):
                below.append(node.term)
            else:
                conditions += 1
        level = below
    if conditions > MAX_CONDITIONS:
        raise WhereError(
            f"filter: {conditions:,} conditions; at most {MAX_CONDITIONS} are allowed; 'in' may replace several"
        )
