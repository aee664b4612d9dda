"""kill -9 at random moments: what was acknowledged is there, what was not is there wholly or not at all.

``python -m tests.search.index.local.crash_rounds DIR ROUNDS ROLE [SEED]`` prints how many writes were acknowledged.
"""

import json
import multiprocessing
import random
import sys
import time
from copy import deepcopy
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import numpy as np

from lykeion.search.index import LocalIndex, Product

from . import crash_writer
from .crash_writer import Act, Role, attributes_of, even_of, open_writer, vector_of, write_until_killed
from .indexes import open_local

Contents = dict[str, tuple[int, int | None]]
"""The version of each product, and the version of its last update."""


@dataclass
class Expected:
    """What the index must hold, by what was acknowledged."""

    products: Contents = field(default_factory=dict)
    even: str = ""
    """The type of the column of that name."""
    kept: dict[str, Contents] = field(default_factory=dict)

    def after(self, act: Act) -> "Expected":
        result = deepcopy(self)
        match act.kind:
            case "upsert":
                result.products.update(dict.fromkeys(act.ids, (act.version, None)))
                result.even = self.even or "boolean"
            case "retype" if self.even:
                result.even = act.name
            case "update":
                for id in act.ids:
                    if id in result.products:
                        result.products[id] = (result.products[id][0], act.version)
            case "delete":
                for id in act.ids:
                    result.products.pop(id, None)
            case "snapshot":
                result.kept[act.name] = dict(self.products)
            case "restore" if act.name in self.kept:
                result.products = dict(self.kept[act.name])
        return result


def kill_writers(directory: Path, role: Role, rounds: int, seed: int = 0) -> int:
    """Begin a writer, kill it and compare, so many times. Returns how many writes were acknowledged."""
    path, expected = directory / "index", Expected()
    dice = random.Random(f"{role} {seed}")
    acknowledged = 0
    for number in range(rounds):
        reports = _run_and_kill(path, role, number, dice)
        begun: dict[int, Act] = {}
        for word, act in reports:
            if word == "begin":
                begun[act.thread] = act
            else:
                expected = expected.after(begun.pop(act.thread))
                acknowledged += 1
        if path.exists() and (path / "CURRENT").exists():
            expected = _checked(path, expected, list(begun.values()), dice)
        else:
            assert not expected.products, "an index that was written to is gone"
    return acknowledged


def _run_and_kill(path: Path, role: Role, number: int, dice: random.Random) -> list[tuple[str, Act]]:
    """What a writer told before it was killed: now and then before it had even opened the index."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faiss", "lykeion.search.index", crash_writer.__name__])
    writer = context.Process(target=write_until_killed, args=(path, role, number, number * 1_000_000, theirs))
    writer.start()
    theirs.close()
    soon = dice.random() < 0.2
    reports = [] if soon else _listen(ours, 30.0, at_most=dice.randint(1, 30))
    reports += _listen(ours, dice.uniform(0, 0.1 if soon else 0.02))
    assert writer.is_alive(), "the writer failed by itself"
    writer.kill()
    reports += _listen(ours, 10.0)
    writer.join()
    ours.close()
    return reports


def _listen(reports: Connection, seconds: float, *, at_most: int | None = None) -> list[tuple[str, Act]]:
    """Reports until so many have come, ``seconds`` have passed, or the writer's end is closed."""
    heard: list[tuple[str, Act]] = []
    deadline = time.monotonic() + seconds
    try:
        while len(heard) != at_most and reports.poll(max(0.0, deadline - time.monotonic())):
            word, *act = json.loads(reports.recv_bytes())
            heard.append((word, Act(*act)))
    except (EOFError, OSError):  # closed, perhaps within a report
        pass
    return heard


def _checked(path: Path, expected: Expected, unsure: list[Act], dice: random.Random) -> Expected:
    """What the index holds, having compared it with what it must hold; threads write products of their own."""
    with open_local(path, "r") as reader:  # before a writer mends anything
        seen_by_reader = _contents(reader)
    with open_writer(path, background=False) as index:
        assert index.verify() == []
        contents = _contents(index)
        assert contents == seen_by_reader
        for act in unsure:
            done = expected.after(act)
            if act.kind == "snapshot":
                if act.name in index.stats().details["snapshots"]:  # pyright: ignore[reportOperatorIssue]
                    expected = _whichever_is_kept(index, act.name, expected, done)
            elif act.kind == "retype":
                expected = done if even_of(index) == done.even else expected
            elif _of_thread(contents, act.thread) == _of_thread(done.products, act.thread):
                expected = done
        assert contents == expected.products
        assert expected.kept or even_of(index) == expected.even
        _search(index, contents, dice)
        if expected.kept and dice.random() < 0.2:
            name = dice.choice(sorted(expected.kept))
            index.restore(name)
            expected.products = dict(expected.kept[name])
            assert _contents(index) == expected.products
    return expected


def _of_thread(contents: Contents, thread: int) -> Contents:
    return {id: versions for id, versions in contents.items() if id.startswith(f"{thread}/")}


def _whichever_is_kept(index: LocalIndex, name: str, before: Expected, after: Expected) -> Expected:
    """A snapshot that was being taken replaces the one of its name, or does not."""
    index.snapshot("now")
    index.restore(name)
    kept = _contents(index)
    index.restore("now")
    index.drop_snapshot("now")
    assert kept in (before.kept.get(name), after.kept[name])
    return after if kept == after.kept[name] else before


def _contents(index: LocalIndex) -> Contents:
    """Versions of all products, having compared every vector and attribute with what follows from them."""
    contents: Contents = {}
    even = {"": None, "boolean": bool, "string": str}[even_of(index)]
    for rows in index.scan(vectors=True):
        assert rows.vectors is not None
        for id, vector, attributes in zip(rows.ids, rows.vectors, rows.attributes, strict=True):
            assert id not in contents
            assert type(attributes["even"]) is even
            contents[id] = _version(id, vector, attributes)
    assert (index.count(), index.stats().products, index.stats().photos) == (len(contents),) * 3
    found = index.get(sorted(contents), vectors=True)
    assert {product.id: _of(product) for product in found if product} == contents
    return contents


def _of(product: Product) -> tuple[int, int | None]:
    assert product.vectors is not None
    return _version(product.id, product.vectors[0], product.attributes)


def _version(id: str, vector: np.ndarray, attributes: dict[str, Any]) -> tuple[int, int | None]:
    version, sold = attributes["version"], attributes.get("sold")
    np.testing.assert_allclose(vector, vector_of(id, version), atol=1e-3)
    even = attributes["even"] in (True, "true")
    assert attributes | {"even": even} == attributes_of(version) | ({} if sold is None else {"sold": sold})
    return version, sold


def _search(index: LocalIndex, contents: Contents, dice: random.Random) -> None:
    for id in dice.sample(sorted(contents), min(3, len(contents))):
        version, sold = contents[id]
        (hits,) = index.search(vector_of(id, version)[None], 5)
        assert (hits[0].id, len(hits)) == (id, min(5, len(contents)))
        where = f"version = {version}" + ("" if sold is None else f" and sold = {sold}")
        matching = {other for other, (v, s) in contents.items() if v == version and sold in (None, s)}
        assert index.count(where) == len(matching)
        (hits,) = index.search(vector_of(id, version)[None], len(contents), where=where)
        assert {hit.id for hit in hits} == matching


if __name__ == "__main__":
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    print(kill_writers(Path(sys.argv[1]), cast(Role, sys.argv[3]), int(sys.argv[2]), seed))
