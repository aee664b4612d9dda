"""``lykeion rollout``: versions on their way to devices."""

import click

from .simulate_command import simulate


@click.group()
def rollout() -> None:
    """Move a version to devices wave by wave, and halt it when devices that moved do worse.

    \b
    lykeion rollout simulate --devices 100000 --halt 'crash x3' --rate crash=0.1%    before anything moves
    """


rollout.add_command(simulate)
