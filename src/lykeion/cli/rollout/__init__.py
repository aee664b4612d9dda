"""``lykeion rollout``: versions on their way to devices."""

import click

from .fleet_rollout_commands import approve, delete, describe, get, halt, pause, resume, rollback
from .simulate_command import simulate
from .start_command import start


@click.group()
def rollout() -> None:
    """Move a version to devices wave by wave, and halt it when devices that moved do worse.

    \b
    lykeion rollout simulate --devices 100000 --halt 'crash x3' --rate crash=0.1%    before anything moves
    lykeion rollout start shoes:champion --waves 5%,100% --soak 14d --halt 'crash x3'
    lykeion rollout describe shoes-20261130-101500                                   what its rules have seen

    Rollouts are kept and moved along by lykeion delivery serve.
    """


for _command in (start, get, describe, pause, resume, halt, rollback, approve, delete, simulate):
    rollout.add_command(_command)
