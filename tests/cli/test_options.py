"""Options that many commands have are had by all that need them."""

import click
import pytest

from lykeion.cli import app
from tests.cli.test_exit_codes import COMMANDS

ON_DISK = {("models", "gc"), ("models", "import")}
"""Commands with a store that reach no registry."""


def command(words: tuple[str, ...]) -> click.Command:
    found: click.Command = app
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word) or pytest.fail(word)
    return found


def options(words: tuple[str, ...]) -> set[str]:
    return {name for option in command(words).params for name in option.opts + option.secondary_opts}


@pytest.mark.parametrize(
    "words",
    [it for it in COMMANDS if "--store" in options(it) or (it[0] == "images" and it[1:] in (("push",), ("pull",)))],
)
def test_every_command_that_reaches_a_registry_is_told_how_to_speak_to_it(words: tuple[str, ...]) -> None:
    assert ({"--plain-http", "--tls"} <= options(words)) == (words not in ON_DISK)


@pytest.mark.parametrize(("option", "said"), [("--plain-http", "http://"), ("--tls", "https://")])
def test_how_to_speak_is_for_one_command(option: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lykeion import registry
    from lykeion.oci.distribution import Transport

    met: list[str] = []
    monkeypatch.setattr(registry, "find_versions", lambda *_: met.append(Transport("r.example").base) or [])
    app(["models", "list", "r.example/shoes", option], standalone_mode=False)
    assert met == [f"{said}r.example"]
    assert Transport("r.example").base == "https://r.example"


@pytest.mark.parametrize("words", [("run", "pipeline/nightly"), ("render", "-f", "x.yaml")])
def test_a_parameter_that_is_not_utf8_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match=r"--parameter 'day=\\udcff': the value is not UTF-8"):
        app([*words, "-p", "day=\udcff"], standalone_mode=False)
