"""``lykeion models``: import networks; list, show, compare and verify versions."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lykeion import nets, registry, search, vision
from lykeion.cli.options import json_option, quiet_option, registry_option, store_option, trust_option
from lykeion.cli.output import describe, print_json, print_result, print_table
from lykeion.core import DONE_BUT, Reporter, print_line


@click.command("import")
@click.argument("network")
@click.argument("name", required=False)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help='For keras.applications: "imagenet", "none" (random), or a file of weights.',
)
@store_option
@json_option
def import_(network: str, name: str | None, weights: str, store: Path | None, as_json: bool) -> None:
    """Convert NETWORK to a LiteRT file with a model card, and print its path.

    NETWORK is efficientnet-lite0, a network in keras.applications, or a .keras file. mlflow:DIR, MLflow's registry in
    a directory, imports all its models' versions and aliases to the store instead, or those of model NAME.
    """
    if network.startswith("mlflow:"):
        _import_mlflow(Path(network.removeprefix("mlflow:")), name, store, as_json)
        return
    if name:
        raise click.UsageError("NAME goes with mlflow:DIR")
    if network == nets.DEFAULT_MODEL:
        path = nets.default_model()
    else:
        path = nets.import_keras(network, weights=None if weights == "none" else weights)
    model = search.describe_embedder(path)
    print_result(as_json, model, model["path"])


@click.command("list")
@click.argument("name", required=False)
@click.option("--where", help="""Only versions that fit, as in 'top1 > 0.9 and device = "host"'.""")
@click.option(
    "--sort", "by", metavar="[-]FIELD", help="By a field, with a minus in descending order; default: newest first."
)
@store_option
@registry_option
@json_option
def list_(name: str | None, where: str | None, by: str | None, store: Path | None, as_json: bool) -> None:
    """List versions of models; without NAME those of all models in the store, and the networks that were imported.

    \b
      lykeion models list shoes --where 'top1 > 0.9 and latency_ms < 5' --sort -top1
      lykeion models list registry.example.com/shop/shoes

    Fields are the metrics, name, version, digest, size_bytes and the list aliases.
    """
    found = registry.find_versions(registry.Stores(store), name, where, by)
    imported = [] if name or where else _imported()
    if as_json:
        versions = [{**version.fields, "metrics": dict(version.metrics)} for version in found]
        print_json({"versions": versions} if name or where else {"models": imported, "versions": versions})
        return
    if found:
        print_table(
            ("model", "version", "aliases", "MB", "metrics", "digest"),
            [
                (
                    v.name,
                    v.version or "",
                    ", ".join(v.aliases),
                    f"{v.size_bytes / 1e6:.1f}",
                    describe(v.metrics),
                    v.digest[:19],
                )
                for v in found
            ],
            right=("MB",),
        )
    for model in imported:
        print_line(f"{model['name']}  dimension {model['dimension']}  {model['size_bytes'] / 1e6:.1f} MB")
        print_line(f"  {model['path']}")
        print_line(f"  {model['digest']}")
    if not found and not imported:
        print_line("No versions fit." if name or where else "No models yet; lykeion models push keeps one.", err=True)


@click.command()
@click.argument("model")
@store_option
@registry_option
@json_option
def show(model: str, store: Path | None, as_json: bool) -> None:
    """Show one version: files, metrics, lineage, and the history of its aliases."""
    place, reference = registry.Stores(store).find(model)
    shown = registry.show(place, reference)
    if as_json:
        print_json({**asdict(shown), "facts": json.loads(shown.facts.to_json())})
        return
    version = shown.version
    rows: list[tuple[str, object]] = [
        ("model", version.name),
        ("version", version.version or ""),
        ("aliases", ", ".join(version.aliases)),
        ("digest", version.digest),
        ("signatures", shown.signatures),
        *shown.told.items(),
    ]
    print_table(("", ""), rows)
    print_table(("file", "bytes"), [(name, f"{size:,}") for name, size in shown.files.items()], right=("bytes",))
    if shown.moves:
        moves = [(move.at, move.alias, move.by, move.before[:19], move.after[:19]) for move in shown.moves]
        print_table(("moved", "alias", "by", "from", "to"), moves)
    for problem in registry.problems(shown.moves):
        print_line(f"warning: {problem}", err=True)


@click.command()
@click.argument("first")
@click.argument("second")
@store_option
@registry_option
@json_option
def diff(first: str, second: str, store: Path | None, as_json: bool) -> None:
    """Compare two versions: files, metrics and lineage.

    \b
      lykeion models diff shoes:champion shoes:canary
    """
    stores = registry.Stores(store)
    difference = registry.compare(stores.find(first), stores.find(second))
    if as_json:
        print_json(asdict(difference))
        return
    rows = [(name, _or_nothing(a), _or_nothing(b)) for name, (a, b) in difference.facts.items()]
    rows += [(f"{name}, bytes", _or_nothing(a), _or_nothing(b)) for name, (a, b) in difference.files.items()]
    print_table(("", first, second), rows, right=(first, second))
    print_line(f"{difference.same_files} files are the same", err=True)


@click.command()
@click.argument("model")
@click.option(
    "--registry", "hosts", multiple=True, metavar="HOST", help="Also ask this registry for parents that are there."
)
@store_option
@registry_option
@json_option
def lineage(model: str, hosts: tuple[str, ...], store: Path | None, as_json: bool) -> None:
    """Show what a version was made from: its run, data and code, its parents, and theirs.

    Of registries, only MODEL's own is asked, and those given with --registry.
    """
    found = registry.lineage(registry.Stores(store).of, registry.parse(model), hosts=hosts)
    if as_json:
        print_json(_plain(found))
    else:
        _print_ancestor(found, "")


@click.command()
@click.argument("model")
@store_option
@registry_option
@trust_option
@json_option
@quiet_option
def verify(model: str, store: Path | None, trust: Path | None, as_json: bool, reporter: Reporter) -> None:
    """Read every byte of a version and check it against its digest, the schema, and the trust policy.

    Exits with code 3 if anything is wrong, after listing it.
    """
    place, reference = registry.Stores(store).find(model)
    policy = registry.read_policy(trust) if trust else None
    problems = registry.verify(place, reference, policy=policy, reporter=reporter)
    print_result(as_json, {"problems": problems}, *(problems or ["no damage found"]))
    if problems:
        sys.exit(DONE_BUT)


def _imported() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in nets.installed_models():
        try:
            found.append(search.describe_embedder(path))
        except vision.CardError as error:
            print_line(f"warning: {error}", err=True)
    return found


def _print_ancestor(ancestor: "registry.Ancestor", indent: str) -> None:
    told = {name: value for name, value in _plain(ancestor)["lineage"].items() if name != "parents"}
    missing = "" if ancestor.found else f"  ({ancestor.problem or 'not here'})"
    print_line(indent + " ".join(filter(None, (ancestor.version, ancestor.reference))) + missing)
    if told or ancestor.facts.metrics:
        print_line(f"{indent}  {describe({**told, **ancestor.facts.metrics})}")
    for parent in ancestor.parents:
        _print_ancestor(parent, indent + "    ")


def _plain(ancestor: "registry.Ancestor") -> dict[str, Any]:
    return {
        "reference": ancestor.reference,
        "found": ancestor.found,
        **({"problem": ancestor.problem} if ancestor.problem else {}),
        "version": ancestor.version,
        **{name: value for name, value in json.loads(ancestor.facts.to_json()).items() if name != "schema"},
        "parents": [_plain(parent) for parent in ancestor.parents],
    }


def _or_nothing(value: object) -> object:
    return "" if value is None else value


def _import_mlflow(directory: Path, name: str | None, store: Path | None, as_json: bool) -> None:
    imported = registry.import_mlflow(directory, registry.Stores(store).disk, name)
    if as_json:
        print_json({"versions": [asdict(each) for each in imported]})
    else:
        for each in imported:
            print_line(f"{each.version or ''} {each.reference}".strip())
