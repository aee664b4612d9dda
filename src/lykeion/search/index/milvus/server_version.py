"""The supported versions of Milvus's server, as in docs/milvus.md."""

import re

from lykeion.core import Unsupported

OLDEST, NEWEST = (2, 3, 5), (2, 6)


def check_version(version: str, uri: str) -> None:
    """Raises Unsupported for other versions, given as a server reports them: ``v2.3.5-lite``, ``2.6.1``."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    numbers = tuple(int(number or 0) for number in found.groups()) if found else ()
    if numbers < OLDEST or numbers[:2] > NEWEST:
        raise Unsupported(f"{uri} is Milvus {version or 'of an unknown version'}; 2.3.5 to 2.6 are supported")
