import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # of the detector, where it is not trained yet

import json
import time
from pathlib import Path

import click
import numpy as np

from examples.fashion_mnist.dataset import DataSet, read_sample, read_whole_or_sample, say_on_stderr
from lykeion.core import LykeionError, Unavailable
from lykeion.nets import default_model

from .camera import LiveAnswers, watch
from .commands import lykeion, say, serving, stage
from .film import Film, make_film
from .fleet import Fleet
from .pictures import draw_answers
from .shop import Shop

ROUND_S = 3
PATIENCE_S = 900


class UpdateFailed(Unavailable):
    """Devices do not run what they should."""


@click.command(
    help="A device with a camera, and the fleet that it is of. DIRECTORY holds everything; run it again to go on."
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--photos", type=click.IntRange(10, 70_000), default=70_000, show_default=True, help="In the index.")
@click.option(
    "--detector", type=click.Path(path_type=Path, exists=True), help="As examples.pasted_detector writes it."
)
@click.option("--embedder", type=click.Path(path_type=Path, exists=True), help="With its card; else the default one.")
@click.option("--steps", type=click.IntRange(1), default=1_500, show_default=True, help="Of training it, else.")
@click.option("--devices", type=click.IntRange(4, 32), default=8, show_default=True, help="In two shops.")
@click.option(
    "--cards", type=click.IntRange(1, 100), default=12, show_default=True, help="Products that the film shows."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--sample", is_flag=True, help="Only the 2,000 photos that lie in examples/fashion_mnist.")
def main(
    directory: Path,
    photos: int,
    detector: Path | None,
    embedder: Path | None,
    steps: int,
    devices: int,
    cards: int,
    seed: int,
    sample: bool,
) -> None:
    shop = Shop(directory, embedder or default_model())
    try:
        data = read_sample() if sample else read_whole_or_sample()
        with stage("catalogue"):
            manifest = shop.catalogue(data, min(photos, data.size))
        with stage("index"):
            index = shop.index(manifest)
        with stage("detector"):
            detector = detector or trained(directory / "detector", data, steps, seed)
        with stage("models"):
            shop.publish_models(detector)
        shop = shop.begun()
        film = make_film(directory / "camera.y4m", data, photos, cards, seed)
        serve = ("delivery", "serve", "--repository", shop.repository, "--fleet", shop.fleet, "--port", "0")
        with (
            serving("serve", "--index", index, "--embedder", shop.embedder, "--port", "0") as search,
            serving(*serve, "--per-client", "1000") as server,
        ):
            live(shop, film, detector, search, server, devices)
    except LykeionError as error:
        raise click.ClickException(str(error)) from error


def trained(directory: Path, data: DataSet, steps: int, seed: int) -> Path:
    """Goes on where it was interrupted."""
    if not (directory / "classes.json").exists():
        from examples.pasted_detector import write_detector
        from examples.pasted_detector.training import train

        state = directory.with_suffix(".training.npz")
        model = train(data.splits["train"], steps, seed=seed, say=say_on_stderr, state=state)
        write_detector(model, directory)
        state.unlink(missing_ok=True)
    return directory


def live(shop: Shop, film: Film, detector: Path, search: str, server: str, devices: int) -> None:
    token = lykeion("delivery", "token", "--uses", str(devices), "--fleet", shop.fleet)
    root = shop.repository / "public" / "metadata" / "1.root.json"
    with Fleet(shop.run / "devices", root, server, search, token, devices) as fleet:
        with stage("fleet"):
            problems = fleet.update()
        with stage("fleet"):
            problems = fleet.update()
        if problems:
            raise UpdateFailed("; ".join(f"{what}: {problem}" for what, problem in problems.items()))
        say(f"{devices} devices enrolled; each fetched, tried and runs embedder v1 and detector v1")
        with stage("camera"):
            answered = watch(fleet.devices[0], film)
        tell(film, answered)
        draw_answers(shop.place / "answers.png", film, answered.answers, shop.place / "catalogue")
        say(f"{shop.place / 'answers.png'}")
        with stage("bad version"):
            shop.publish_bad_detector(detector)
        with stage("halted"):
            send_back(shop, film, fleet)


def tell(film: Film, answered: LiveAnswers) -> None:
    parts = ", ".join(f"{name} {ms:.1f}" for name, ms in answered.parts_ms.items())
    rest = answered.end_to_end_ms - sum(answered.parts_ms.values())
    say(f"camera: {len(answered.answers)} of {len(film.shown)} frames answered, the newest first")
    say(f"end to end, p50: {answered.end_to_end_ms:.1f} ms ({parts}, rest {max(0.0, rest):.1f})")
    say(
        f"a box in {answered.found:.0%} of the frames; the first answer is of the right category in "
        f"{answered.category:.0%}, the very product in {answered.first:.0%}, which is among five in "
        f"{answered.among_five:.0%}"
    )


def send_back(shop: Shop, film: Film, fleet: Fleet) -> None:
    """The bad version goes to the shop in the north, its devices report what they miss, and it is halted."""
    name = f"wrong-card-{time.time():.0f}"
    version = max(fleet.running()) + 1
    begin = ("rollout", "start", f"detector:v{version}", "--name", name, "--where", 'shop = "north"')
    rules = ("--waves", "100%", "--soak", "10m", "--interval", "2s", "--halt", "no_box > 10% @2")
    say(lykeion(*begin, *rules, "--fleet", shop.fleet))
    began, turn, halted = time.monotonic(), 0, False
    while not halted or version in fleet.running():
        if time.monotonic() > began + PATIENCE_S:
            raise UpdateFailed(f"rollout {name} is not over after {PATIENCE_S} s: lykeion rollout describe {name}")
        fleet.update()
        found, looked = fleet.look(film, turn)
        moved = int(np.sum(np.array(fleet.running()) == version))
        status = json.loads(lykeion("rollout", "describe", name, "--fleet", shop.fleet, "--json", quiet=True))[
            "status"
        ]
        halted, turn = status["state"] == "Halted", turn + 1
        say(
            f"{time.monotonic() - began:5.0f} s: {'halted' if halted else 'running'}, {moved} of {fleet.in_pilot} "
            f"devices in the north run v{version}, boxes in {found} of {looked} frames there"
        )
        time.sleep(ROUND_S)
    say(lykeion("rollout", "describe", name, "--fleet", shop.fleet))


main()
