"""Run as a program: a store under kill -9. Forks a process for each round, ends it at a random moment, and looks.

``python -m tests.registry.crash_rounds DIR ROUNDS [SEED]`` prints, as JSON, how many rounds were ended before their
end.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lykeion.core import SILENT
from lykeion.oci import ImageManifest, Layout
from lykeion.oci.distribution import DiskStore
from lykeion.registry import ModelFacts, collect, history, move, pack, parse, problems, push
from tests.registry.making import model_directory

SHOES = parse("shoes:champion")


def main(directory: Path, rounds: int, seed: int = 7) -> None:
    store, chance = DiskStore(directory / "store"), random.Random(seed)
    digests = [new_version(store, directory / "m", n) for n in range(3)]
    ended, patience = dict.fromkeys(("push", "tag", "gc"), 0), dict.fromkeys(("push", "tag", "gc"), 0.06)
    for round_ in range(rounds):
        kind = ("push", "tag", "gc")[round_ % 3]
        before = store.resolve("shoes", "champion")
        allowed = {before, chance.choice(digests)}
        if kind == "push":
            model = pack(
                model_directory(directory / "m", os.urandom(200_000)), "shoes", ModelFacts({"round": round_})
            )
            allowed = {before, model.model.digest}
            work = partial(push, model, store, SHOES, reporter=SILENT)
        elif kind == "tag":
            (to,) = allowed - {before} or {digests[0]}
            allowed.add(to)
            work = partial(move, store, "shoes", "champion", to)
        else:
            garbage(store)
            work = partial(collect, store, keep_versions=2)
            allowed = {before}
        early = killed(work, chance.uniform(0, patience[kind]))
        ended[kind] += early
        patience[kind] *= 1.2 if early else 0.9  # so that the end of the work is met as well as its beginning
        after = store.resolve("shoes", "champion")
        assert after in allowed, (kind, before, after)
        check(store)
        tags = store.tags("shoes")
        digests = [d for tag in tags if tag.startswith("v") and (d := store.resolve("shoes", tag))] or [after or ""]
    collect(store)
    layout = Layout.open(store.root)
    assert not list((store.root / "ingest").glob("*.part"))
    assert collect(store).blobs == 0
    needed = {entry.digest for entry in layout.entries()}
    for entry in layout.entries():
        manifest = layout.manifest(entry)
        needed |= {blob.digest for blob in manifest.blobs} if isinstance(manifest, ImageManifest) else set()
    assert set(layout.digests()) == needed
    assert problems(history(store, "shoes", "champion")) == []
    print(json.dumps(ended))


def killed(work: Callable[[], object], seconds: float) -> bool:
    """Whether the work was ended before it was done."""
    if (child := os.fork()) == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status), "the work failed by itself"
    return status != 0


def check(store: DiskStore) -> None:
    """Every tag points to a manifest that is whole, with all its blobs."""
    layout = Layout.open(store.root)
    for _, tag, entry in store.entries():
        manifest = layout.manifest(entry)
        assert isinstance(manifest, ImageManifest)
        for blob in manifest.blobs:
            assert layout.path_of(blob.digest).stat().st_size == blob.size, (tag, blob.digest)


def garbage(store: DiskStore) -> None:
    layout = Layout.open(store.root, create=True)
    for _ in range(20):
        layout.put(os.urandom(1_000), "application/octet-stream")


def new_version(store: DiskStore, path: Path, n: int) -> str:
    model = pack(model_directory(path, str(n).encode()), "shoes", ModelFacts())
    return push(model, store, SHOES, reporter=SILENT).digest


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
