"""``lykeion index``: build, search and maintain an index."""

import click

from .index_commands import add, delete, duplicates, evaluate, get, query
from .upkeep_commands import column, compact, copy, merge, rebuild, restore, snapshot, stats, verify


class _InOrder(click.Group):
    """Lists commands in the order of their definition, in which they are usually used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder)
def index() -> None:
    """Build and search an index of product photos.

    \b
      lykeion index add ./photos --index shop.index
      lykeion index query photo.jpg --index shop.index -k 20 --sheet answers.png

    An index is a directory, or a Milvus collection: milvus://host:port/collection. Pass it as --index or in
    LYKEION_INDEX. With --json a command prints one JSON document; all else goes to standard error.

    Exit codes: 0 done; 2 an error, in one line; 3 done, but photos failed or none was found, values were lost, ids
    were unknown or damage was found; 130 stopped by a signal: run the command again to resume.
    """


for _command in (
    add,
    query,
    get,
    delete,
    duplicates,
    evaluate,
    stats,
    column,
    compact,
    verify,
    snapshot,
    restore,
    rebuild,
    merge,
    copy,
):
    index.add_command(_command)
