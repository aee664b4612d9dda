"""``lykeion models``, continued: push, pull, copy, sign and delete versions; move aliases; collect garbage."""

from dataclasses import asdict
from pathlib import Path

import click

from lykeion import registry
from lykeion.cli.options import FiniteRange, json_option, quiet_option, registry_option, store_option, trust_option
from lykeion.cli.output import print_json, print_result
from lykeion.core import Reporter, print_line, write_atomically

coordinator_option = click.option(
    "--coordinator",
    envvar="LYKEION_COORDINATOR",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A directory shared by all who move aliases, used as a lock.  [env: LYKEION_COORDINATOR]",
)
expect_option = click.option(
    "--expect",
    metavar="MODEL",
    help='Move the alias only if it is now at this version, alias or digest; "nothing" if it must be new.',
)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("model")
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME=VALUE", help="A metric; may be given several times."
)
@click.option("--parent", "parents", multiple=True, metavar="MODEL", help="A model that this one was derived from.")
@click.option("--run", default="", help="The training run's name.")
@click.option("--data", default="", metavar="DIGEST", help="The digest of the data's manifest.")
@click.option("--code", default="", metavar="REVISION", help="The revision of the code.")
@click.option("--image", default="", metavar="DIGEST", help="The digest of the image it was trained in.")
@click.option(
    "--leave-out", multiple=True, metavar="PATTERN", help="Files or folders to leave out besides checkpoints."
)
@click.option("--all-files", is_flag=True, help="Store every file of any directory, such as an index; no metrics.")
@click.option("--alias", "aliases", multiple=True, metavar="ALIAS", help="A further alias to move to the version.")
@click.option(
    "--sign", "key", type=click.Path(path_type=Path), metavar="KEY", help="Sign with this private key (PEM)."
)
@expect_option
@coordinator_option
@store_option
@registry_option
@json_option
@quiet_option
def push(
    directory: Path,
    model: str,
    metrics: tuple[str, ...],
    parents: tuple[str, ...],
    run: str,
    data: str,
    code: str,
    image: str,
    leave_out: tuple[str, ...],
    all_files: bool,
    aliases: tuple[str, ...],
    key: Path | None,
    expect: str | None,
    coordinator: Path | None,
    store: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Store the files of DIRECTORY as the next version of MODEL; move MODEL's alias, if given, to it.

    \b
      lykeion models push runs/shoes shoes:canary
      lykeion models push ./shoes registry.example.com/shop/shoes --metric top1=0.91 --parent shoes:v3

    Accuracy, the data's digest and the name are read from a run directory of lykeion train. Content that exists
    already is not sent again, and an interrupted push resumes.
    """
    if all_files and (metrics or parents or run or data or code or image or leave_out):
        raise click.UsageError("--all-files stores the files alone: leave out metrics, lineage and --leave-out")
    publication = registry.Publication(
        metrics=metrics,
        parents=parents,
        lineage={"run": run, "data": data, "code": code, "image": image},
        leave_out=leave_out,
        key=key,
        expect=expect,
        coordinator=coordinator,
        aliases=aliases,
        whole=all_files,
    )
    pushed = registry.publish(directory, model, registry.Stores(store), publication, reporter=reporter)
    _print_pushed(pushed, as_json)


@click.command()
@click.argument("model")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@store_option
@registry_option
@trust_option
@json_option
@quiet_option
def pull(
    model: str, directory: Path | None, store: Path | None, trust: Path | None, as_json: bool, reporter: Reporter
) -> None:
    """Write the files of MODEL to DIRECTORY, by default one of the model's name.

    \b
      lykeion models pull registry.example.com/shop/shoes:champion ./shoes --trust trust.toml

    The directory is written completely or not at all. Files from registries are cached.
    """
    place, reference = registry.Stores(store).find(model)
    policy = registry.read_policy(trust) if trust else None
    target = directory or Path(reference.name)
    pulled = registry.pull(place, reference, target, policy=policy, reporter=reporter)
    as_before = "" if pulled.new else ", as it was"
    print_result(as_json, asdict(pulled), f"{pulled.directory}: {pulled.reference}{as_before}")


@click.command()
@click.argument("model")
@click.argument("link", type=click.Path(path_type=Path))
@click.option(
    "--every",
    "every_s",
    default=60.0,
    show_default=True,
    type=FiniteRange(0.1, 86_400),
    metavar="SECONDS",
    help="Between two looks where MODEL's alias is.",
)
@click.option("--once", is_flag=True, help="End when the link is right.")
@store_option
@registry_option
@trust_option
@quiet_option
def follow(
    model: str, link: Path, every_s: float, once: bool, store: Path | None, trust: Path | None, reporter: Reporter
) -> None:
    """Keep LINK leading to the version that MODEL names, for a program that swaps what it serves.

    \b
      lykeion models follow registry.example.com/shop/index:current ./index --every 10
      lykeion serve --index ./index

    Versions are written beside the link, completely or not at all; the last three stay.
    """
    place, reference = registry.Stores(store).find(model)
    policy = registry.read_policy(trust) if trust else None

    def flip() -> str:
        return registry.flip_link(place, reference, link, policy=policy, reporter=reporter)

    def flipped(digest: str) -> None:
        print_line(f"{link} is {reference.at(digest)}", err=True)

    if not once:
        registry.follow_link(flip, every_s, flipped, lambda error: print_line(f"{model}: {error}", err=True))
    elif digest := flip():
        flipped(digest)


@click.command()
@click.argument("model")
@click.argument("target", metavar="TO")
@coordinator_option
@store_option
@registry_option
@trust_option
@json_option
@quiet_option
def copy(
    model: str,
    target: str,
    coordinator: Path | None,
    store: Path | None,
    trust: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Store MODEL as the next version of TO, in another store or under another name. Digest and signatures stay.

    \b
      lykeion models copy shoes:champion registry.example.com/shop/shoes:champion
      lykeion models copy shoes mlflow:./mlruns

    mlflow:DIR writes all versions and aliases as an MLflow registry in a directory.
    """
    stores, reference = registry.Stores(store), registry.parse(model)
    policy = registry.read_policy(trust) if trust else None
    if target.startswith("mlflow:"):
        there = Path(target.removeprefix("mlflow:"))
        exported = registry.export_mlflow(*stores.find(model), there, policy=policy, reporter=reporter)
        print_result(as_json, {"versions": exported}, f"{target}: {reference.name}, {len(exported)} versions")
        return
    ends = stores.find(model), stores.find(target)
    copied = registry.copy(*ends, policy=policy, coordinator=coordinator, reporter=reporter)
    _print_pushed(copied, as_json)


@click.command()
@click.argument("model")
@click.argument("alias")
@expect_option
@coordinator_option
@store_option
@registry_option
@json_option
def tag(
    model: str, alias: str, expect: str | None, coordinator: Path | None, store: Path | None, as_json: bool
) -> None:
    """Point ALIAS to MODEL's version.

    \b
      lykeion models tag shoes:v3 champion --expect v2

    The move is recorded with user, time and origin; lykeion models show lists the moves.
    """
    stores, reference = registry.Stores(store), registry.parse(model)
    there = stores.of(reference.host)
    digest = registry.resolve(there, reference)
    moved = registry.move(
        there,
        reference.repository,
        alias,
        digest,
        expect=registry.expected(stores, reference, expect),
        coordinator=coordinator,
    )
    if as_json:
        print_json({"alias": alias, "digest": digest, "move": asdict(moved) if moved else None})
    else:
        was = f", was at {moved.before}" if moved and moved.before else "" if moved else ", as it was"
        print_line(f"{reference.at(alias)} is at {digest}{was}")


@click.command()
@click.argument("model")
@store_option
@registry_option
@json_option
def untag(model: str, store: Path | None, as_json: bool) -> None:
    """Remove an alias; the version that it points to stays. Not all registries support this."""
    place, reference = registry.Stores(store).find(model)
    if not reference.tag:
        raise click.UsageError("name an alias, as in shoes:canary")
    registry.remove(place, reference.repository, reference.tag)
    print_result(as_json, {"removed": str(reference)}, f"{reference} is no more")


@click.command()
@click.argument("model")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@registry_option
@json_option
def delete(model: str, yes: bool, store: Path | None, as_json: bool) -> None:
    """Delete a version and all tags that point to it, which are listed first. Not all registries support this."""
    there, reference = registry.Stores(store).find(model)
    digest = registry.resolve(there, reference)
    tags = registry.tags_at(there, reference.repository).get(digest, [])
    print_line(f"{reference.at(digest)} goes, and with it {', '.join(tags) or 'no tags'}", err=True)
    if not yes:
        click.confirm("Delete?", abort=True, err=True)
    there.delete(reference.repository, digest)
    if as_json:
        print_json({"deleted": digest, "tags": tags})


@click.command()
@click.option("--pin", "pins", multiple=True, metavar="MODEL", help="A version to keep; may be given several times.")
@click.option(
    "--keep-versions", type=click.IntRange(min=0), metavar="N", help="Keep the newest N versions of each model."
)
@click.option("--cache", is_flag=True, help="Also empty the cache of what was pulled from registries.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@store_option
@json_option
def gc(
    pins: tuple[str, ...],
    keep_versions: int | None,
    cache: bool,
    dry_run: bool,
    store: Path | None,
    as_json: bool,
) -> None:
    """Remove from the store on this machine what no tag, lineage or pin needs.

    \b
      lykeion models gc --keep-versions 5 --dry-run

    All versions are kept unless --keep-versions is given. Versions with an alias, and parents of kept versions,
    always stay.
    """
    collected = registry.collect(registry.Stores(store).disk, pins=pins, keep_versions=keep_versions, dry_run=dry_run)
    emptied = registry.BlobCache().clear() if cache and not dry_run else (0, 0)
    if as_json:
        print_json({**asdict(collected), "cache_files": emptied[0], "cache_bytes": emptied[1]})
        return
    for name in collected.manifests:
        print_line(name)
    size = (collected.size_bytes + emptied[1]) / 1e6
    print_line(f"{size:,.1f} MB in {collected.blobs + emptied[0]:,} files {'would go' if dry_run else 'gone'}")


@click.command()
@click.argument("model")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="A private key in PEM (NIST P-256, 384, 521)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Also write the bundle for model_signing."
)
@store_option
@registry_option
@json_option
def sign(model: str, key: Path, out: Path | None, store: Path | None, as_json: bool) -> None:
    """Sign a version's files and manifest, offline, and attach the signature to it.

    \b
      openssl ecparam -name prime256v1 -genkey -noout -out shop.key
      lykeion models sign registry.example.com/shop/shoes:v3 --key shop.key
    """
    place, reference = registry.Stores(store).find(model)
    signed, bundle = registry.sign(place, reference, key)
    if out:
        write_atomically(out, bundle)
    document = {"signed": signed.version, "name": signed.name}
    print_result(as_json, document, f"{reference} is signed as {signed.name} {signed.version}")


def _print_pushed(pushed: "registry.Pushed", as_json: bool) -> None:
    if as_json:
        print_json(asdict(pushed))
        return
    told = [pushed.reference]
    told += [f"version {pushed.version}"] if pushed.version else []
    told += [f"alias {pushed.alias}"] if pushed.alias else []
    print_line(", ".join(told) + ("" if pushed.new else ", was there already"))
