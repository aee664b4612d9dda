"""Packages as a device meets them: broken on the way, or made to do harm."""

import hashlib
import json
import lzma
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.litert.packed import PackageError, unpack
from lykeion.litert.packed.unpacking import DIGEST, FILTERS, HEADER, LANES, LOWEST, MAGIC, digest_of


def package(
    plan: Any, plain: bytes = b"", *, file: int = 4, symbols: int = 0, words: int = 0, declared: int = -1
) -> bytes:
    """One made by hand, with a right checksum whatever is in it."""
    text = plan if isinstance(plan, bytes) else json.dumps(plan).encode()
    parts = [lzma.compress(part, lzma.FORMAT_RAW, filters=FILTERS) if part else b"" for part in (text, plain)]
    size = declared if declared >= 0 else len(plain)
    header = HEADER.pack(MAGIC, file, len(parts[0]), len(text), len(parts[1]), size, symbols, words, bytes(32))
    states = np.full(LANES, LOWEST, "<u4").tobytes()
    made = bytearray(header + b"".join(parts) + states + bytes(2 * words))
    made[DIGEST] = digest_of(bytes(made))
    return bytes(made)


SHA = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"  # of b"abcd"
GOOD = {"sha256": SHA, "pieces": [["plain", 4]], "models": []}


def test_a_package_is_unpacked() -> None:
    assert unpack(package(GOOD, b"abcd")) == b"abcd"


def test_a_package_of_an_earlier_release_is_unpacked() -> None:
    """Of a network that was pruned, clustered and trained in int8."""
    old = Path(__file__).parents[1] / "fixtures" / "package-v1.lyk"
    digest = "d20f8bb3014e31f54f82a9ea0593b4fb4c2348d737ff9bfa6d3e7a5c18f5ed35"
    assert hashlib.sha256(unpack(old.read_bytes())).hexdigest() == digest


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    good = package(GOOD, b"abcd")
    for place in range(len(good)):
        broken = bytearray(good)
        broken[place] ^= 1
        with pytest.raises(PackageError, match=r"package: "):
            unpack(bytes(broken))


def test_a_package_cut_short_or_with_more_behind_is_refused() -> None:
    good = package(GOOD, b"abcd")
    for broken in (b"", good[:40], good[:-1], good + b"\0"):
        with pytest.raises(PackageError):
            unpack(broken)


def test_a_newer_version_says_so() -> None:
    good = package(GOOD, b"abcd")
    with pytest.raises(PackageError, match="version 2; this release reads version 1"):
        unpack(good[:7] + b"\x02" + good[8:])


def test_a_file_above_the_limit_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(PackageError, match="1,099,511,627,776 bytes; at most 268,435,456 are allowed"):
        unpack(package(GOOD, b"abcd", file=1 << 40))
    with pytest.raises(PackageError, match="at most 3 are allowed"):
        unpack(package(GOOD, b"abcd"), limit_bytes=3)


def test_a_bomb_unpacks_to_no_more_than_it_declares() -> None:
    with pytest.raises(PackageError, match="damaged"):
        unpack(package(GOOD, bytes(50 << 20), declared=4))


def test_a_small_file_needs_no_large_plain_part() -> None:
    made = package(GOOD, bytes(50 << 20))
    tracemalloc.start()
    with pytest.raises(PackageError, match="contradict"):
        unpack(made)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_an_error_calls_the_package_by_its_name() -> None:
    with pytest.raises(PackageError, match=r"^shoes.lyk: not a package: it lacks the mark LYKPACK$"):
        unpack(b"abcd", name="shoes.lyk")


@pytest.mark.slow
def test_unpacking_takes_a_few_times_the_memory_of_the_file() -> None:
    size = 2 << 20
    plan = {
        "sha256": hashlib.sha256(b"a" * size).hexdigest(),
        "pieces": [["symbols", size, 1, 0]],
        "models": [[4096]],  # one symbol, which takes no words
    }
    made = package(plan, b"a", file=size, symbols=size)
    tracemalloc.start()
    assert unpack(made) == b"a" * size
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * size


@pytest.mark.parametrize(
    "change",
    [
        {"pieces": [["plain", 5]]},
        {"pieces": [["plain", -4], ["plain", 8]]},
        {"pieces": [["plain", 4.0]]},
        {"pieces": [["plain"]]},
        {"pieces": [[]]},
        {"pieces": [[["plain"], 4]]},
        {"pieces": [["elsewhere", 4]]},
        {"pieces": [["planes", 4, 0]]},
        {"pieces": [["planes", 4, 3]]},
        {"pieces": [["planes", 4, 1 << 70]]},
        {"pieces": [["symbols", 4, 1, 0]]},
        {"pieces": [["sparse", 4, 0]], "models": [[4096, 0]]},
        {"pieces": [["product", 4, 1, 1.0]]},
        {"pieces": [["product", 4, 0, "1"]]},
        {"pieces": {"plain": 4}},
        {"models": [[4095]]},
        {"models": [[1 << 70]]},
        {"models": [[8192, -4096]]},
        {"models": [[1 << 62] * 4 + [4096]]},  # 4096 in 64 bits
        {"models": [[]]},
        {"models": [[0] * 256 + [4096]]},
        {"models": [[4096]] * 5000},
        {"sha256": SHA[::-1]},
    ],
)
def test_a_plan_that_lies_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PackageError, match=r"package: damaged \(.+\); fetch it again"):
        unpack(package({**GOOD, **change}, b"abcd"))


@pytest.mark.parametrize("plan", [b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"sha256": 1}'])
def test_a_plan_that_is_none_is_refused(plan: bytes) -> None:
    with pytest.raises(PackageError, match="damaged"):
        unpack(package(plan, b"abcd"))


def test_coded_symbols_must_end_where_they_began() -> None:
    plan = {"sha256": SHA, "pieces": [["symbols", 4, 1, 0]], "models": [[2048, 2048]]}
    with pytest.raises(PackageError, match="coded part"):
        unpack(package(plan, b"ab", symbols=4))


def test_a_device_needs_neither_a_training_framework_nor_the_compressor() -> None:
    code = (
        "import sys; from lykeion.litert.packed import unpack; "
        "assert not {'tensorflow', 'keras', 'lykeion.compress', 'lykeion.nets'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
