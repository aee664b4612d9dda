"""``lykeion experiment``: variants that are compared by what units do."""

import click

from .event_commands import collect, delete
from .experiment_commands import conclude, get, start, stop
from .plan_command import plan
from .report_command import report


@click.group()
def experiment() -> None:
    """Compare variants of a model or flag by what units do, with results that hold at every look.

    \b
    lykeion experiment plan click_rate --base .04 --mde 5%         units and days, before anything begins
    lykeion experiment start exp.yaml
    lykeion experiment report new-embedder --plot looks.png
    lykeion experiment conclude new-embedder --ship treatment --because 'more clicks, no slower'

    Experiments are kept and looked at by lykeion delivery serve.
    """


for _command in (plan, start, get, stop, conclude, report, collect, delete):
    experiment.add_command(_command)
