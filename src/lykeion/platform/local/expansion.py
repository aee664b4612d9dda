"""``$(NAME)`` in commands and variables, replaced as in Kubernetes."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace references to variables; those to unknown ones stay, and ``$$(NAME)`` becomes ``$(NAME)``.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """

    def value_of(found: re.Match[str]) -> str:
        return "$" if found[1] is None else variables.get(found[1], found[0])

    return _REFERENCE.sub(value_of, text)
