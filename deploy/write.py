"""Writes from the source what a cluster is given (crds/) and the tables of fields (docs/resources.md).

Run it when the test of either fails: python deploy/write.py
"""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from lykeion.control import AnyKind, custom_resource_definition, field_rows
from lykeion.platform import DEFINED

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "resources.md"
HEAD = """# Resources

Every field that may be written, in `apiVersion: lykeion.github.io/v1alpha1`. [platform.md](platform.md) says what is
done with them. `deploy/crds/` has the same for a cluster. This page is written by `python deploy/write.py`.
"""


def definitions() -> Iterator[tuple[Path, str]]:
    """The files of deploy/crds and their content."""
    for kind in DEFINED.values():
        document = json.loads(json.dumps(custom_resource_definition(kind)))
        yield ROOT / "deploy" / "crds" / f"{kind.plural}.yaml", yaml.safe_dump(document, sort_keys=False, width=118)


def page() -> str:
    return "\n".join([HEAD, *("\n".join(_section(kind)) for kind in DEFINED.values())])


def _section(kind: AnyKind) -> Iterator[str]:
    yield f"## {kind.name}\n"
    yield f"{kind.about} Short for `get`: {', '.join(f'`{each}`' for each in kind.short_names)}.\n"
    yield "| field of `spec` | what it may be | default | meaning |"
    yield "|---|---|---|---|"
    for row in field_rows(kind.spec):
        yield f"| `{row.name}` | {row.values} | {row.default} | {row.description} |"
    yield ""


if __name__ == "__main__":
    for file, content in definitions():
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    PAGE.write_text(page())
