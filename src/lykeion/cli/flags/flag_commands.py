"""``lykeion flags``: set, get, list, archive and evaluate flags."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lykeion.cli.delivery.fleet_commands import fleet_option
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import json_value, print_line, read_yaml
from lykeion.delivery import flags

from .flag_options import edit_options, environment_option, open_flags, time_text


@click.command("set")
@click.argument("name")
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="The whole flag, YAML or JSON; as get prints it."
)
@click.option("--type", "type_", type=click.Choice(("boolean", "string", "number", "json")), help="Of a new flag.")
@click.option("--default", metavar="VALUE", help="The value where no rule applies.")
@click.option("--on/--off", "enabled", default=None, help="Whether rules apply.")
@click.option("--new-phase", is_flag=True, help="Divide the units of all variations anew.")
@click.option("--version", type=click.IntRange(0), help="Refuse it unless this is the last version; 0 for none.")
@edit_options
@fleet_option
@environment_option
@json_option
def set_flag(
    name: str,
    file: Path | None,
    type_: str | None,
    default: str | None,
    enabled: bool | None,
    new_phase: bool,
    version: int | None,
    edit: "flags.FlagEdit",
    fleet: Path,
    environment: str,
    as_json: bool,
) -> None:
    """Make a flag, or change it: the whole of it by --file, or what the other options say.

    More coverage moves no unit. Other weights begin a phase, in which units are divided anew, unless the rule is
    sticky: then clients keep what each unit got.
    """
    with open_flags(fleet, environment) as store:
        if file:
            document = dict(read_yaml(file, flags.FlagError).values)
        else:
            document = {} if type_ else flags.flag_document(store.get(name).flag)
        document |= {"type": type_} if type_ else {}
        if default is not None:
            document["default"] = _value(default, document.get("type"))
        document |= {} if enabled is None else {"enabled": enabled}
        flag = flags.read_flag(document, str(file or f"flag {name}"))
        change = store.put(name, flag, edit, new_phase=new_phase, expected=version)
    made = f"flag {name} of {environment} is at version {change.version.number}"
    print_result(as_json, {**_document(change.version), "notes": change.notes}, made, *change.notes)


@click.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), help="An earlier one.")
@click.option("--history", is_flag=True, help="Who changed it, when and why.")
@fleet_option
@environment_option
@json_option
def get(name: str, version: int | None, history: bool, fleet: Path, environment: str, as_json: bool) -> None:
    """Print a flag as YAML, which set --file takes."""
    with open_flags(fleet, environment) as store:
        found = store.history(name) if history else [store.get(name, version)]
    if as_json:
        documents = [_document(each) for each in found]
        print_json(documents if history else documents[0])
        return
    if history:
        rows = [(each.number, time_text(each.at), each.who, _state(each), each.why) for each in found]
        print_table(("version", "at", "who", "state", "why"), rows)
        return
    import yaml

    (one,) = found
    archived = ", archived" if one.archived else ""
    print_line(f"# version {one.number}{archived}, {time_text(one.at)}, by {one.who}: {one.why}")
    for line in yaml.safe_dump(flags.flag_document(one.flag), sort_keys=False, allow_unicode=True).splitlines():
        print_line(line)


@click.command("list")
@click.option("--archived", is_flag=True, help="Also flags that are archived.")
@fleet_option
@environment_option
@json_option
def list_flags(archived: bool, fleet: Path, environment: str, as_json: bool) -> None:
    """All flags of an environment."""
    with open_flags(fleet, environment) as store:
        found = store.listing(archived)
    if as_json:
        print_json([_document(each) for each in found])
        return
    rows = [
        (
            each.name,
            each.flag.type,
            json.dumps(each.flag.default, ensure_ascii=False)[:40],
            len(each.flag.ordered_rules),
            _state(each),
            time_text(each.at),
            each.who,
        )
        for each in found
    ]
    print_table(("flag", "type", "default", "rules", "state", "changed", "by"), rows, right=("rules",))


@click.command()
@click.argument("name")
@edit_options
@fleet_option
@environment_option
def archive(name: str, edit: "flags.FlagEdit", fleet: Path, environment: str) -> None:
    """Take a flag away; its history stays, and set brings it back.

    Clients get the value that their own code gives for a flag that there is not.
    """
    with open_flags(fleet, environment) as store:
        store.archive(name, edit)
    print_line(f"flag {name} of {environment} is archived")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--attribute", "given", multiple=True, metavar="NAME=VALUE", help="Of the unit; may be repeated.")
@fleet_option
@environment_option
@json_option
def evaluate(names: Sequence[str], given: Sequence[str], fleet: Path, environment: str, as_json: bool) -> None:
    """Say what flags are for a unit, and which rule decides: lykeion flags evaluate --attribute id=u1."""
    with open_flags(fleet, environment) as store:
        declared = store.read()
    attributes = dict(_attribute(each, declared) for each in given)
    found = flags.evaluate_flags(declared, attributes)
    for name in names:
        if name not in found:
            raise flags.NoSuchFlag(f"there is no flag {name[:80]!r} in {environment}; see: lykeion flags list")
    chosen = {name: found[name] for name in names or sorted(found)}
    if as_json:
        print_json(
            {name: {"value": each.value, "why": each.source, "rule": each.rule} for name, each in chosen.items()}
        )
        return
    rows = [
        (name, json.dumps(each.value, ensure_ascii=False), each.source, each.rule) for name, each in chosen.items()
    ]
    print_table(("flag", "value", "why", "rule"), rows)


def _attribute(text: str, environment: "flags.FlagEnvironment") -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--attribute")
    return name, _value(value, environment.attributes.get(name, "string"))


def _value(text: str, type_: str | None) -> Any:
    return text if type_ == "string" else json_value(text, flags.FlagError, "value", where=f"{text[:40]!r}: ")


def _state(version: "flags.FlagVersion") -> str:
    return "archived" if version.archived else "on" if version.flag.enabled else "off"


def _document(version: "flags.FlagVersion") -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.number,
        "archived": version.archived,
        "at": time_text(version.at),
        "by": version.who,
        "because": version.why,
        "flag": flags.flag_document(version.flag),
    }
