"""References and filters of steps in the words of Argo Workflows: templates ``{{…}}`` of expr-lang.

https://argo-workflows.readthedocs.io/en/release-3.7/variables/
"""

import json
import re

from lykeion.core import Unsupported
from lykeion.core.expression import And, Comparison, Contains, Expression, In, IsNull, Never, Not, Or
from lykeion.core.grammar import parse

_REFERENCE = re.compile(r"\$\$|\$\(((?:parameters|steps|run)\.[A-Za-z0-9_.-]{1,200})\)")
RESULT = "result"
"""The output parameter of a step that has the JSON object which its program wrote."""


def with_templates(text: str) -> str:
    """The text of a step's template with references as those of Argo; results are the template's inputs.

    Raises Unsupported for what Argo does not know, and for ``{{`` in it.
    """
    if "{{" in text:
        raise Unsupported("'{{' begins a template of Argo")
    return _REFERENCE.sub(lambda found: _template(found[1]) if found[1] else found[0], text)


def result_input(reference: str) -> str:
    """The name of the input that has a result, such as ``list__days``."""
    _, step, _, name = reference.split(".")
    return f"{step}__{name}"


def result_value(reference: str) -> str:
    """A result as text, where the tasks are known: text as it is, all else as JSON."""
    value = _value(reference)
    return f"{{{{=type({value}) == 'string' ? {value} : toJson({value})}}}}"


def as_condition(when: str) -> str:
    """A filter as the text of ``when``. Raises Unsupported."""
    return f"{{{{={_condition(parse(when))}}}}}"


def as_items(for_each: str) -> str:
    """A reference to a list, as the text of ``withParam``. Raises Unsupported for other text."""
    found = _REFERENCE.fullmatch(for_each.strip())
    if not found or not found[1]:
        raise Unsupported("forEach is neither a JSON list nor a single reference")
    value = _value(found[1])
    return f"{{{{=toJson({value})}}}}" if ".results." in found[1] else f"{{{{={value}}}}}"


def _template(reference: str) -> str:
    if ".results." in reference:
        return f"{{{{inputs.parameters.{result_input(reference)}}}}}"
    return f"{{{{{_value(reference)}}}}}"


def _value(reference: str) -> str:
    """As an expression."""
    match reference.split("."):
        case ["parameters", name]:
            return f"workflow.parameters.{name}"
        case ["run", "name" | "namespace" as field]:
            return f"workflow.{field}"
        case ["steps", step, "results", name]:
            return f"jsonpath(tasks[{_text(step)}].outputs.parameters.{RESULT}, {_text(f'$.{name}')})"
        case _:
            raise Unsupported(f"$({reference}) is unknown to Argo")


def _condition(filter_: Expression) -> str:
    match filter_:
        case And(terms):
            return "(" + " && ".join(map(_condition, terms)) + ")"
        case Or(terms):
            return "(" + " || ".join(map(_condition, terms)) + ")"
        case Not(term):
            return f"!({_condition(term)})"
        case Comparison(column, operator, value):
            return _comparison(column, operator, value)
        case In(column, values):
            return "(" + " || ".join(_comparison(column, "=", each) for each in values) + ")"
        case Contains(column, value):
            return f"{_literal(value)} in {_value(column)}"
        case IsNull(column) | Never(column):
            raise Unsupported(f"when: whether {column} has a value is unknown to Argo")


def _comparison(column: str, operator: str, value: object) -> str:
    if column == "run.outcome":
        column, value = "workflow.status", {"Complete": "Succeeded"}.get(str(value), value)
    elif re.fullmatch(r"steps\.[^.]+\.outcome", column):
        raise Unsupported(f"when: {column} is unknown to Argo")
    else:
        column = _value(column)
    return f"{column} {'==' if operator == '=' else operator} {_literal(value)}"


def _literal(value: object) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    """In single quotes, as templates are in YAML's double ones."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
