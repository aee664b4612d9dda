"""Whether an object is as we want it: in the fields that we write, whatever others and the API server have added."""

from typing import Any, cast


def holds(there: Any, wanted: Any) -> bool:
    """Whether all of ``wanted`` is in ``there``; lists have the same length and order."""
    if isinstance(wanted, dict):
        if not isinstance(there, dict):
            return not wanted and there is None  # what is empty is not kept
        found = cast(dict[str, Any], there)
        return all(holds(found.get(name), each) for name, each in cast(dict[str, Any], wanted).items())
    if isinstance(wanted, list):
        if not isinstance(there, list):
            return not wanted and there is None
        pairs = cast(list[Any], there), cast(list[Any], wanted)
        return len(pairs[0]) == len(pairs[1]) and all(holds(a, b) for a, b in zip(*pairs, strict=True))
    return there == wanted
