"""``lykeion engines``: measures engines, and chooses the best for a goal."""

import click

from .bench_command import bench
from .engine_commands import compare, convert, list_
from .select_command import select


@click.group()
def engines() -> None:
    """Run model files on engines: measure them side by side, and choose the best for a goal.

    \b
    lykeion engines list
    lykeion engines bench model.tflite --threads 1 --threads 2 --out here.json
    lykeion engines compare model.tflite
    lykeion engines select --model a.tflite --model b.tflite --data photos \\
        --goal 'latency_ms <= 5 and top1 >= 0.90, minimise size_bytes'
    """


for _command in (list_, compare, convert, bench, select):
    engines.add_command(_command)
