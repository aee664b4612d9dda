"""The documentation: its links lead somewhere, its commands and imports exist, and its tables name every option."""

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lykeion.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = {
    "index": ("index", "duplicates", "evaluation"),
    "serve": ("service", "model-server"),
    "nets": ("nets",),
    "train": ("training",),
    "compress": ("compress",),
    "nas": ("device-latency", "architecture-search"),
    "engines": ("engines",),
    "models": ("models", "embedders"),
    "images": ("images",),
    "platform": ("platform", "kubernetes"),
    "delivery": ("delivery", "fleet"),
    "gateway": ("gateway",),
    "simulate": ("simulation",),
    "rollout": ("rollouts",),
    "flags": ("flags",),
    "experiment": ("experiments",),
}
"""The pages that document a command group's options."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def commands(command: click.Command = app, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    for each in command.list_commands(click.Context(command)):
        inner = command.get_command(click.Context(command), each)
        assert inner is not None
        yield from commands(inner, f"{name} {each}".strip())


COMMANDS = dict(commands())


def group_of(name: str) -> str:
    """The first word of a command; those of the platform are one group, though each is at the top level."""
    module = COMMANDS[name].callback.__module__ if COMMANDS[name].callback else ""
    return "platform" if ".cli.platform." in module else name.split()[0]


def options(command: click.Command) -> list[str]:
    """The long name of each, or the only one."""
    return [max(each.opts, key=len) for each in command.params if isinstance(each, click.Option)]


def code_blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and content."""
    for block in re.finditer(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        yield block[1], block[2]


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_lines(page: Path) -> Iterator[list[str]]:
    """What a page tells its readers to type after ``lykeion``, word by word."""
    for language, content in code_blocks(page):
        for line in content.replace("\\\n", " ").splitlines() if language in ("", "console") else ():
            found = re.match(r"(?:\$ )?(?:\.venv/bin/)?lykeion (.*)", line)
            if found:
                yield shlex.split(found[1], comments=True)


def taken(words: list[str]) -> tuple[str, click.Command, list[str]]:
    """A command's name, itself, and its arguments."""
    for length in (3, 2, 1):
        if (name := " ".join(words[:length])) in COMMANDS:
            return name, COMMANDS[name], words[length:]
    raise AssertionError(f"no command: lykeion {' '.join(words)}")


@every_page
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@every_page
def test_every_command_line_is_one_that_the_command_takes(page: Path) -> None:
    for words in command_lines(page):
        if words[0].startswith("-"):
            continue
        _, command, arguments = taken(words)
        context = click.Context(command, **command.context_settings)
        command.make_parser(context).parse_args(arguments)  # raises NoSuchOption, BadOptionUsage


@every_page
def test_every_import_of_a_snippet_is_of_what_a_face_shows(page: Path) -> None:
    for language, content in code_blocks(page):
        for statement in ast.walk(ast.parse(content)) if language == "python" else ():
            if isinstance(statement, ast.ImportFrom) and (module := statement.module or "").startswith("lykeion"):
                face = importlib.import_module(module)
                for name in statement.names:
                    if module == "lykeion":
                        importlib.import_module(f"lykeion.{name.name}")
                    else:
                        assert name.name in face.__all__, module


@pytest.mark.parametrize("group", GUIDES)
def test_the_guides_name_every_option_of_their_commands(group: str) -> None:
    text = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in GUIDES[group])
    missing = [
        f"{name} {option}"
        for name, command in COMMANDS.items()
        if group_of(name) == group
        for option in options(command)
        if not re.search(rf"{re.escape(option.removeprefix('--') if group == 'train' else option)}\b", text)
    ]
    assert not missing


@pytest.mark.parametrize("group", GUIDES)
def test_the_guides_tables_name_no_option_that_is_gone(group: str) -> None:
    known = {
        option
        for name, command in COMMANDS.items()
        if group_of(name) == group
        for each in command.params
        for option in (*each.opts, *each.secondary_opts)
    }
    for guide in GUIDES[group]:
        rows = [line.split(" | ")[0] for line in prose(ROOT / "docs" / f"{guide}.md").splitlines() if line[:1] == "|"]
        code = " ".join(re.findall(r"`([^`]*)`", " ".join(rows)))
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", code)) <= known, guide
