"""Add photos to an index, search it, and judge the results."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from lykeion import search
from lykeion.cli.embedder_option import embed_precision_option, embedder_option, engine_option
from lykeion.cli.options import index_option, json_option, quiet_option, thumbnails_option
from lykeion.cli.output import describe, print_json, print_result, print_table
from lykeion.core import DONE_BUT, Reporter, print_line
from lykeion.search import ingest


@click.command()
@click.argument("source", type=click.Path())
@index_option
@embedder_option
@engine_option("auto", "default: auto, the fastest, measured once if there are 1,000 photos")
@click.option("--sync", is_flag=True, help="Delete from the index what the source no longer lists.")
@click.option("--reembed", multiple=True, metavar="PATTERN", help="Embed photos of these names again; repeatable.")
@click.option("--shard", metavar="N/COUNT", help="Only the N-th of COUNT parts, such as 3/16; the first is 1/16.")
@click.option("--shard-index", type=int, metavar="I", help="The same by an index that counts from 0, with a count.")
@click.option("--shard-count", type=int, metavar="N", help="How many parts, with --shard-index.")
@click.option("--type", "types", multiple=True, metavar="NAME=TYPE", help="Declare a manifest's column; repeatable.")
@click.option("--root", type=click.Path(), metavar="DIR", help="The folder of a manifest's photos, if not its own.")
@click.option(
    "--empty",
    type=click.Choice(["keep", "clear"]),
    default="keep",
    show_default=True,
    help="What an empty cell does beside another row of the product that fills it.",
)
@click.option("--failures", type=click.Path(), metavar="FILE", help="Where to list what failed, as JSON lines.")
@click.option("--skipped", type=click.Path(), metavar="FILE", help="Where to list what was skipped, as JSON lines.")
@thumbnails_option
@click.option("--no-thumbnails", is_flag=True, help="Keep no thumbnails.")
@click.option("--workers", type=click.IntRange(1, 256), help="Threads that embed; default: one per core.")
@click.option("--durability", type=click.Choice(["fsync", "os"]), help="os: do not wait until writes are on disk.")
@click.option("--kernel", type=click.Choice(["auto", "exact", "hnsw", "ivf"]), help="How a new index searches.")
@click.option("--dtype", type=click.Choice(["float16", "float32"]), help="How a new index stores vectors.")
@click.option("--compaction", type=click.Choice(["size", "time"]), help="How a new index merges its segments.")
@json_option
@quiet_option
def add(
    source: str,
    uri: str,
    embedder: str | None,
    engine: str,
    sync: bool,
    reembed: tuple[str, ...],
    shard: str | None,
    shard_index: int | None,
    shard_count: int | None,
    types: tuple[str, ...],
    root: str | None,
    empty: "ingest.Empty",
    failures: str | None,
    skipped: str | None,
    thumbnails: "search.ThumbnailPlace",
    no_thumbnails: bool,
    workers: int | None,
    as_json: bool,
    reporter: Reporter,
    **options: str | None,
) -> None:
    """Add the photos of a folder or manifest to an index.

    \b
      lykeion index add ./photos --index shop.index
      lykeion index add catalogue.csv --index shop.index --sync --type size=string

    A manifest is CSV, JSON Lines or Parquet with one photo per row: columns id, path (or url), and attributes. Rows
    with the same id are several photos of one product.

    Run it again at any time: unchanged photos are not embedded again, changed attributes are written, and an
    interrupted run resumes. A bad photo never aborts indexing; it is reported, and the exit code is then 3, as it is
    where the source lists no photo at all. The index may be searched and served meanwhile.
    """
    report = ingest.add(
        ingest.open_source(source, types=dict(map(ingest.parse_declaration, types)), root=root),
        uri,
        ingest.IngestOptions(
            sync=sync,
            reembed=reembed,
            shard=ingest.Shard.chosen(shard, shard_index, shard_count),
            thumbnails=replace(thumbnails, kept=not no_thumbnails),
            workers=workers,
            engine=engine,
            empty=empty,
            failures=failures,
            skipped=skipped,
        ),
        embedder=embedder,
        reporter=reporter,
        **{name: value for name, value in options.items() if value},
    )
    for line in report.complaints():
        print_line(line, err=True)
    print_result(as_json, report.to_json(), report.summary())
    if not report.complete:
        sys.exit(DONE_BUT)


@click.command()
@click.argument("photos", nargs=-1, type=click.Path())
@index_option
@embedder_option
@engine_option("litert", "default: litert, which starts fastest")
@embed_precision_option
@click.option("--id", "ids", multiple=True, help="Search by a product of the index instead; repeatable.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 10_000), help="How many products.")
@click.option("--where", metavar="EXPRESSION", help="Only products that match, such as 'price < 50'.")
@click.option("--box", metavar="L,T,R,B", help="Search by a part of the photo: left,top,right,bottom in pixels.")
@click.option("--sheet", type=click.Path(path_type=Path), metavar="PNG", help="Draw the photo and its results.")
@thumbnails_option
@json_option
def query(
    photos: tuple[str, ...],
    uri: str,
    embedder: str | None,
    engine: str,
    precision: "search.EmbedPrecision",
    ids: tuple[str, ...],
    k: int,
    where: str | None,
    box: str | None,
    sheet: Path | None,
    thumbnails: "search.ThumbnailPlace",
    as_json: bool,
) -> None:
    """Find the products nearest to a photo, or to a product.

    \b
      lykeion index query photo.jpg --index shop.index -k 20 --sheet answers.png
      lykeion index query photo.jpg --where 'price < 5000 and category in ("shoes", "bags")' --box 10,20,200,240
      lykeion index query --id A123

    The score is the cosine: 1 is the same. With --json one query prints {"query", "results": [{"id", "score",
    "photo", "attributes"}]}, and several print {"queries": [...]} of those.
    """
    if not photos and not ids:
        raise click.UsageError("name a photo, or a product with --id")
    if box and not photos:
        raise click.UsageError("--box cuts out a part of a photo; a product has the vector of its whole photo")
    if sheet and len(photos) + len(ids) > 1:
        raise click.UsageError("--sheet draws the answers to one query")
    wish = search.EngineWish(engine, precision, measuring=_told)
    answers = search.query(uri, photos, ids=ids, k=k, where=where, box=box, embedder=embedder, engine=wish)
    if sheet:
        search.draw_answer(sheet, answers[0], uri, by_id=not photos, box=box, thumbnails=thumbnails)
        print_line(f"drawn: {sheet}", err=True)
    if as_json:
        documents = [answer.to_json() for answer in answers]
        print_json(documents[0] if len(documents) == 1 else {"queries": documents})
        return
    for answer in answers:
        rows = [(n, f"{hit.score:.4f}", hit.id, describe(hit.attributes)) for n, hit in enumerate(answer.results, 1)]
        print_table(["", "score", "product", "attributes"], rows, title=answer.query, right=["", "score"])


@click.command()
@click.argument("ids", nargs=-1, required=True)
@index_option
@json_option
def get(ids: tuple[str, ...], uri: str, as_json: bool) -> None:
    """Show products: their photos and attributes.

    \b
      lykeion index get A123 A124 --index shop.index
    """
    found = search.get(uri, ids)
    known = [product for product in found if product]
    missing = [id for id, product in zip(ids, found, strict=True) if product is None]
    if as_json:
        documents = [
            {"id": p.id, "photos": [photo.name for photo in p.photos], "attributes": p.attributes} for p in known
        ]
        print_json({"products": documents, "missing": missing})
    elif known:
        rows = [(p.id, ", ".join(photo.name for photo in p.photos), describe(p.attributes)) for p in known]
        print_table(["product", "photos", "attributes"], rows)
    if missing:
        print_line(f"not in the index: {', '.join(missing)}", err=True)
        sys.exit(DONE_BUT)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@index_option
@thumbnails_option
@json_option
def delete(ids: tuple[str, ...], uri: str, thumbnails: "search.ThumbnailPlace", as_json: bool) -> None:
    """Delete products with all their photos.

    \b
      lykeion index delete A123 A124 --index shop.index

    Every reader misses them at once; the space comes back with compaction, and snapshots keep them.
    """
    count = search.delete(uri, ids, thumbnails=thumbnails)
    print_result(as_json, {"deleted": count}, f"deleted {count:,} of {len(set(ids)):,} products")
    if count < len(set(ids)):
        sys.exit(DONE_BUT)


@click.command()
@index_option
@click.option("--likeness", default=0.99, show_default=True, help="How alike thumbnails must be; 1 is the same.")
@click.option("--sheet", type=click.Path(path_type=Path), metavar="PNG", help="Draw the groups.")
@thumbnails_option
@json_option
@quiet_option
def duplicates(
    uri: str,
    likeness: float,
    sheet: Path | None,
    thumbnails: "search.ThumbnailPlace",
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Find photos that are the same under several ids.

    \b
      lykeion index duplicates --index shop.index --sheet duplicates.png

    Resized, recompressed and cropped copies count as the same. Nothing is deleted.
    """
    groups = search.duplicates(uri, alike=likeness, thumbnails=thumbnails, reporter=reporter)
    if sheet:
        search.draw_groups(sheet, groups, thumbnails.reader(uri))
        print_line(f"drawn: {sheet}", err=True)
    if as_json:
        print_json({"groups": [group.to_json() for group in groups]})
    else:
        rows = [(f"{group.cosine:.3f}", tuple(group.members)) for group in groups]
        print_table(["cosine", "the same photo"], rows)
        print_line(f"{len(groups):,} {'group' if len(groups) == 1 else 'groups'} of duplicates")


@click.command("eval")
@index_option
@click.option("--truth", default="exact", show_default=True, metavar="TRUTH", help="exact, label:COLUMN, or a CSV.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 1000), help="Results to judge.")
@click.option("--queries", default=1000, show_default=True, type=click.IntRange(1), help="How many at most.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="PNG", help="Plot the measures by k.")
@embedder_option
@engine_option("auto", "default: auto, the fastest by measurement")
@embed_precision_option
@thumbnails_option
@json_option
def evaluate(
    uri: str,
    truth: str,
    k: int,
    queries: int,
    plot: Path | None,
    embedder: str | None,
    engine: str,
    precision: "search.EmbedPrecision",
    thumbnails: "search.ThumbnailPlace",
    as_json: bool,
) -> None:
    """Measure the quality and latency of the results.

    \b
      lykeion index eval --truth pairs.csv --index shop.index
      lykeion index eval --truth label:category --plot quality.png --index shop.index

    The truth is a CSV with the columns query_id, relevant_id and optionally grade; or label:COLUMN, products with the
    same value; or exact, the nearest by exhaustive search, which measures the index and not the embedder.

    With --embed-precision fast, what it costs to embed queries so is measured as well, with the index's thumbnails.
    """
    wish = search.EngineWish(engine, precision, measuring=_told)
    fast = search.Embedder.load(embedder, wish) if precision == "fast" else None
    result = search.evaluate(uri, truth, k=k, queries=queries, fast=fast, thumbnails=thumbnails)
    if plot:
        result.plot(plot)
        print_line(f"drawn: {plot}", err=True)
    if as_json:
        print_json(result.to_json())
    else:
        print_table(["", ""], result.table(), right=[])


def _told(what: str) -> None:
    print_line(what, err=True)
