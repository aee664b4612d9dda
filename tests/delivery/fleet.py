"""A registry with versions of a small network, reports of two kinds of devices, and a repository to publish to."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from lykeion.core import SILENT, digest_bytes
from lykeion.delivery import Published, PublishOptions, init, publish
from lykeion.engines.choosing import BenchReport, BenchResult, write_report
from lykeion.engines.running import Machine
from lykeion.nets import Architecture, Convolution, random_weights, write_litert
from lykeion.nets.training import Frame
from lykeion.registry import Publication, Stores
from lykeion.registry import publish as push

NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=4, channels=1)
WIDE = Architecture("wide", 8, 8, (Convolution(16, 3, 2),), classes=4, channels=1)
CARD = Frame(8, 8, 1, "centre").card("tiny", "logits", 4)
CLASSES = """
goal: latency_ms <= 10, minimise size_bytes
classes:
  - name: low
    where: memory_mb < 2000
    report: low.json
  - name: any
    report: any.json
"""
RESULT = BenchResult("tiny", "", "litert", "2.1.0", 2, "float32", 1, 1, 1.0, 1.0, 1.0, 1.0, 0.0, 9, 1.0, "modelled")


@dataclass
class Fleet:
    """``now`` is the time of the publisher."""

    path: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def home(self) -> Path:
        return self.path / "tuf"

    def clock(self) -> datetime:
        return self.now

    def wait(self, **of: float) -> None:
        self.now += timedelta(**of)

    def init(self, threshold: int = 1) -> None:
        assert init(self.home, threshold=threshold, clock=self.clock).published

    def push(self, seed: int, name: str = "shoes:champion", key: Path | None = None) -> dict[str, bytes]:
        """The next version, of two files: by name, their bytes."""
        directory = self.path / f"model-{name.partition(':')[0]}-{seed}"
        directory.mkdir(parents=True, exist_ok=True)
        files: dict[str, bytes] = {}
        for network in (NETWORK, WIDE):
            weights = {
                part: (values + np.float32(0.01 * seed) * (values.ndim == 1)).astype(np.float32)
                for part, values in random_weights(network).items()
            }
            files[network.name] = write_litert(network, weights, output="logits")
            (directory / f"{network.name}.tflite").write_bytes(files[network.name])
            (directory / f"{network.name}.json").write_text(replace(CARD, name=network.name).to_json())
        (directory / "classes.json").write_text(json.dumps(["a", "b", "c", "d"]))
        push(directory, name, Stores(), Publication(key=key), reporter=SILENT)
        return files

    def classes(self, files: dict[str, bytes], text: str = CLASSES) -> Path:
        """A file of classes. Of the two files the low one can only run tiny, the other only wide."""
        for name, times in (("low", {"tiny": 5.0, "wide": 50.0}), ("any", {"tiny": 20.0, "wide": 2.0})):
            results = tuple(
                replace(RESULT, model=each, digest=digest_bytes(data), latency_ms=times[each], size_bytes=len(data))
                for each, data in files.items()
            )
            machine = Machine("test", 2, 1 << 30, "Linux x86_64")
            write_report(BenchReport(machine, results, (), 0.0), self.path / f"{name}.json")
        path = self.path / "classes.yaml"
        path.write_text(text)
        return path

    def publish(self, seed: int, name: str = "shoes:champion", **options: object) -> Published:
        """Push a version and publish it."""
        files = self.push(seed, name)
        return publish(
            self.home,
            name,
            PublishOptions(self.classes(files), **options),
            clock=self.clock,  # type: ignore[arg-type]
        )
