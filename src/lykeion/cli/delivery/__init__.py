"""``lykeion delivery``: signed distribution of models to devices."""

import click

from .conversation_commands import broadcast, send, sent
from .device_log_command import logs
from .fleet_commands import devices, serve, token
from .publishing_commands import explain, minimum, publish, revoke
from .signing_commands import init, refresh, rotate, sign, status


@click.group()
def delivery() -> None:
    """Sign models for devices, in a repository that any static host serves (The Update Framework).

    \b
    lykeion delivery init ./tuf                                          keys by role, a root with a threshold
    lykeion delivery publish shoes:champion --classes classes.yaml       a version, for each class of devices
    lykeion delivery refresh                                             hourly: sign again what will expire
    lykeion delivery status                                              exit code 3 if somebody must act

    Publish the folder ./tuf/public, and nothing else of ./tuf; copy metadata/timestamp.json last.
    """


_SIGNING = (init, publish, refresh, rotate, sign, revoke, minimum, status, explain)
for _command in (*_SIGNING, serve, token, devices, logs):
    delivery.add_command(_command)
for _command in (send, sent, broadcast):
    devices.add_command(_command)
