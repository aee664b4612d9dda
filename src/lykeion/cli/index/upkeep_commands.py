"""``lykeion index``, continued: statistics, maintenance, and copies from one index to another."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lykeion import search
from lykeion.cli.options import index_option, json_option, quiet_option, thumbnails_option
from lykeion.cli.output import describe, print_json, print_result, print_table
from lykeion.core import DONE_BUT, Reporter

if TYPE_CHECKING:
    from lykeion.search.index import ColumnType

_TYPES = ["string", "integer", "number", "boolean", "timestamp", "strings", "numbers"]


@click.command()
@index_option
@json_option
def stats(uri: str, as_json: bool) -> None:
    """Show what an index holds: products, photos, columns, segments and bytes.

    \b
      lykeion index stats --index shop.index
    """
    _print_stats(search.stats(uri), as_json)


@click.command()
@index_option
@json_option
def compact(uri: str, as_json: bool) -> None:
    """Merge small segments; reclaim the space of deleted photos.

    \b
      lykeion index compact --index shop.index

    Searches continue meanwhile. Compaction also runs automatically as the index is written; this runs all of it now.
    """
    _print_stats(search.compact(uri), as_json)


@click.command()
@index_option
@json_option
def verify(uri: str, as_json: bool) -> None:
    """Compare every byte of a local index with its checksums.

    \b
      lykeion index verify --index shop.index

    Damage is named by file, and the exit code is then 3.
    """
    problems = search.verify(uri)
    print_result(as_json, {"problems": problems}, *(problems or ["no damage found"]))
    if problems:
        sys.exit(DONE_BUT)


@click.command()
@click.argument("name")
@index_option
@click.option("--retype", type=click.Choice(_TYPES), help="Give it another type.")
@click.option("--rename", metavar="NEW", help="Give it another name.")
@click.option("--drop", is_flag=True, help="Take it from all products.")
@click.option("--clear", is_flag=True, help="With --retype: values that do not fit become null.")
@json_option
def column(
    name: str, uri: str, retype: "ColumnType | None", rename: str | None, drop: bool, clear: bool, as_json: bool
) -> None:
    """Change the type or the name of a column, or drop it.

    \b
      lykeion index column price --retype number --index shop.index
      lykeion index column price --rename "price (EUR)" --index shop.index
      lykeion index column price --drop --index shop.index

    With --retype each value becomes the one that has the same text: "12.50" becomes 12.5. If a value does not fit,
    nothing changes and it is named; with --clear such values become null, and the exit code is 3. Snapshots keep the
    columns that they have.
    """
    if (retype is not None) + (rename is not None) + drop != 1:
        raise click.UsageError("give one of --retype, --rename and --drop")
    if clear and retype is None:
        raise click.UsageError("--clear goes with --retype")
    cleared = search.column(uri, name, retype=retype, rename=rename, drop=drop, clear=clear)
    columns = search.stats(uri).columns
    what = f"is of type {retype}" if retype else f"is called {rename}" if rename is not None else "was dropped"
    lost = f"; {cleared:,} {'product' if cleared == 1 else 'products'} lost a value that does not fit" * bool(cleared)
    print_result(as_json, {"columns": columns, "cleared": cleared}, f"{name} {what}{lost}")
    if cleared:
        sys.exit(DONE_BUT)


@click.command()
@click.argument("name", required=False)
@index_option
@click.option("--export", type=click.Path(path_type=Path), metavar="DIR", help="Write an independent copy there.")
@click.option("--drop", is_flag=True, help="Delete the snapshot NAME; compaction reclaims its space.")
@json_option
def snapshot(name: str | None, uri: str, export: Path | None, drop: bool, as_json: bool) -> None:
    """Keep the current state under a name, or export it.

    \b
      lykeion index snapshot before-sale --index shop.index
      lykeion index snapshot --export /backup/shop.index --index shop.index
      lykeion index snapshot --drop before-sale --index shop.index

    The name is by default the time. A snapshot is instant, shares its files with the index and keeps them until it is
    dropped. An export shares nothing, and can be moved and restored anywhere; it keeps a snapshot only with a NAME.
    """
    if drop:
        if name is None or export is not None:
            raise click.UsageError("--drop takes the name of a snapshot, and nothing else")
        search.drop_snapshot(uri, name)
        _print_stats(search.stats(uri), as_json)
        return
    kept = search.snapshot(uri, name, export=export)
    said = [f"kept as {kept}"] if kept else []
    said += [f"exported to {export}"] if export else []
    print_result(as_json, {"snapshot": kept, "export": str(export) if export else None}, ", ".join(said))


@click.command()
@click.argument("name", required=False)
@index_option
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="DIR", help="An exported copy.")
@json_option
def restore(name: str | None, uri: str, source: Path | None, as_json: bool) -> None:
    """Return to a snapshot, or restore an exported copy.

    \b
      lykeion index restore before-sale --index shop.index
      lykeion index restore --from /backup/shop.index --index new.index

    What was written since the snapshot is no longer visible; take another snapshot first if you may want it.
    """
    if (name is None) == (source is None):
        raise click.UsageError("name a snapshot, or an exported copy with --from")
    search.restore(uri, name, source=source)
    _print_stats(search.stats(uri), as_json)


@click.command()
@index_option
@json_option
def rebuild(uri: str, as_json: bool) -> None:
    """Rebuild the search kernels from the stored vectors.

    \b
      lykeion index rebuild --index shop.index

    Kernels are a cache: rebuild where verify finds one damaged, or after an upgrade that says so.
    """
    search.rebuild(uri)
    _print_stats(search.stats(uri), as_json)


@click.command()
@click.argument("out", metavar="OUT")
@click.argument("sources", metavar="IN...", nargs=-1, required=True)
@thumbnails_option
@json_option
@quiet_option
def merge(
    out: str, sources: tuple[str, ...], thumbnails: "search.ThumbnailPlace", as_json: bool, reporter: Reporter
) -> None:
    """Copy all products of several indexes into one.

    \b
      lykeion index add catalogue.csv --shard 1/2 --index part-1.index    # on one machine
      lykeion index add catalogue.csv --shard 2/2 --index part-2.index    # on another
      lykeion index merge shop.index part-1.index part-2.index

    OUT is made if it is not there. A product that several hold comes from the last of them. Local indexes share
    their files where the file system can, so that merging takes seconds.
    """
    _print_count(search.merge(out, sources, thumbnails=thumbnails, reporter=reporter), out, as_json)


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("to", metavar="TO")
@thumbnails_option
@json_option
@quiet_option
def copy(source: str, to: str, thumbnails: "search.ThumbnailPlace", as_json: bool, reporter: Reporter) -> None:
    """Copy all products of an index into another, for example on Milvus.

    \b
      lykeion index copy shop.index milvus://host:19530/shop
    """
    _print_count(search.copy(source, to, thumbnails=thumbnails, reporter=reporter), to, as_json)


def _print_stats(figures: object, as_json: bool) -> None:
    values = asdict(figures)  # type: ignore[call-overload]
    if as_json:
        print_json(values)
        return
    details = values.pop("details")
    values["columns"] = ", ".join(f"{name} ({kind})" for name, kind in values["columns"].items())
    rows: list[tuple[str, object]] = list(values.items())
    for name, value in details.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows += [(name, describe(part)) for part in value]
        else:
            rows.append((name, value))
    print_table(["", ""], rows)


def _print_count(products: int, uri: str, as_json: bool) -> None:
    print_result(as_json, {"products": products}, f"{uri} now holds {products:,} products")
