"""The shop's side: a catalogue and its index, two models and how fast they run, and what devices are told of them."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from examples.fashion_mnist import DataSet, write_catalogue
from lykeion.core import Refused, digest_file, digest_json
from lykeion.vision import ModelCard

from .commands import keep_apart, lykeion

CLASSES = "goal: minimise latency_ms\nclasses:\n  - name: any\n    report: bench.json\n"
GOLDEN = 3
MODELS, RUN, MARK, READY = "models", "run", "of-marketplace-device", "ready"


class NotOfThisExample(Refused):
    """A directory holds something else."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Catalogue, index, detector and published models in ``place`` are used again by the next run; what is in RUN is
    made anew. ``at`` is where commands work: MODELS, then RUN."""

    place: Path
    embedder: Path
    at: str = MODELS

    @property
    def run(self) -> Path:
        return self.place / self.at

    @property
    def repository(self) -> Path:
        return self.run / "tuf"

    @property
    def fleet(self) -> Path:
        return self.run / "fleet"

    def begin(self) -> None:
        """Without what the last run made, and with a home of its own. Raises NotOfThisExample."""
        if self.run.exists() and not (self.run / MARK).exists():
            raise NotOfThisExample(f"{self.run}: not of this example; name another directory")
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        (self.run / MARK).touch()
        keep_apart(self.run / "home")

    def catalogue(self, data: DataSet, photos: int) -> Path:
        """The manifest, written last."""
        manifest = self.place / "catalogue" / "fashion-mnist.csv"
        return manifest if manifest.exists() else write_catalogue(manifest.parent, data, photos)

    def index(self, manifest: Path) -> Path:
        """Goes on where it was interrupted: photos that are in the index are not embedded again."""
        keep_apart(self.place / "home")
        index = self.place / "shop.index"
        lykeion("index", "add", manifest, "--index", index, "--embedder", self.embedder)
        return index

    def publish_models(self, detector: Path) -> None:
        """The embedder, and a detector as ``examples.pasted_detector`` writes it; not again if they are the same."""
        files = (self.embedder, *sorted(each for each in detector.iterdir() if each.is_file()))
        of = digest_json([digest_file(each) for each in files])
        ready = self.run / READY
        if ready.exists() and ready.read_text() == of:
            return
        self.begin()
        self._publish_models(detector)
        ready.write_text(of)

    def begun(self) -> "Shop":
        """With a copy of the published models, for a fleet to begin with."""
        live = replace(self, at=RUN)
        live.begin()
        shutil.copytree(self.run, live.run, symlinks=True, dirs_exist_ok=True)
        return live

    def _publish_models(self, detector: Path) -> None:
        embedder = self.run / "embedder"
        embedder.mkdir()
        shutil.copyfile(self.embedder, embedder / "embedder.tflite")
        (embedder / "embedder.json").write_text(ModelCard.for_model(self.embedder).to_json())
        files = (embedder / "embedder.tflite", detector / "detector.tflite")
        report = self.run / "bench.json"
        lykeion("engines", "bench", *files, "--engine", "litert", "--out", report, "--quiet")
        (self.run / "classes.yaml").write_text(CLASSES)
        lykeion("delivery", "init", self.repository, "--threshold", "1")
        for directory, name in ((embedder, "embedder"), (detector, "detector")):
            self.publish(directory, name)

    def publish_bad_detector(self, detector: Path) -> None:
        """The same file with a card from elsewhere: grey values are divided by ten times too much. It loads, is as
        fast, gives on its golden photos what it gave to the publisher, and sees next to nothing."""
        bad = self.run / "bad-detector"
        shutil.copytree(detector, bad)
        card = ModelCard.read(bad / "detector.json")
        (bad / "detector.json").write_text(replace(card, std=tuple(10 * each for each in card.std)).to_json())
        self.publish(bad, "detector")

    def publish(self, directory: Path, name: str) -> None:
        lykeion("models", "push", directory, f"{name}:champion")
        words = ("--classes", self.run / "classes.yaml", "--golden", self._golden())
        lykeion("delivery", "publish", f"{name}:champion", *words, "--repository", self.repository)

    def _golden(self) -> Path:
        """The first photos of the catalogue."""
        golden = self.run / "golden"
        if not golden.exists():
            golden.mkdir()
            for photo in sorted((self.place / "catalogue" / "photos").rglob("*.png"))[:GOLDEN]:
                shutil.copyfile(photo, golden / photo.name)
        return golden
