"""``lykeion nas``: device latency and architecture search."""

import click

from .profile_commands import profile
from .search_commands import compare, search
from .space_commands import space


@click.group()
def nas() -> None:
    """Measure the cost of blocks on a device, and search for the best network for it.

    \b
    lykeion nas space list
    lykeion nas profile --space mobilenetv3-32 --out here.json        this machine, in a minute
    lykeion nas profile --show here.json
    lykeion nas space show mobilenetv3-32 --device here.json --network k3e3-…
    lykeion nas search --device here.json --target-ms 0.1 --data photos --run runs/search
    """


for _command in (profile, compare, search, space):
    nas.add_command(_command)
