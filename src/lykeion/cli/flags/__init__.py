"""``lykeion flags``: typed values that differ by rules, served to clients of GrowthBook and to devices."""

import click

from .flag_commands import archive, evaluate, get, list_flags, set_flag
from .shared_commands import attributes, groups, keys


@click.group()
def flags() -> None:
    """Keep feature flags: who gets which value, who changed it, and why.

    \b
    lykeion flags attributes set id string --because 'units of everything'
    lykeion flags set new_page --type boolean --default false --because 'not ready'
    lykeion flags set new_page --file new_page.yaml --because 'a tenth of them'
    lykeion flags keys make web --because 'the shop'        what a client of GrowthBook is given

    They are served by lykeion delivery serve, at /api/features/KEY and /sub/KEY.
    """


for _command in (set_flag, get, list_flags, archive, evaluate, attributes, groups, keys):
    flags.add_command(_command)
