"""``lykeion device``: this machine as a device that runs delivered models."""

import click

from .device_commands import doctor, enroll, run, status


@click.group()
def device() -> None:
    """Be a device: fetch the models that are signed for it, try them, run them, report.

    \b
    lykeion device enroll https://models.example --root 1.root.json --model shoes    a static repository, no server
    lykeion device enroll https://models.example TOKEN --root 1.root.json            a server with a one-time token
    lykeion device run --video camera.y4m                                            answers as lines of JSON
    lykeion device doctor                                                            exit code 3 if something is wrong
    """


for _command in (enroll, run, status, doctor):
    device.add_command(_command)
