"""From a file that is there and a delta to the new file, whatever the delta says."""

import bz2
import struct

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.core import digest_bytes
from lykeion.delivery.targets.delta_files import every_delta, smallest_delta
from lykeion.device import METHODS, DeltaError, apply_delta
from lykeion.device.delta_patch import MAX_WINDOW_LOG

NOISE = np.random.default_rng(7)
BASE = NOISE.integers(0, 256, 60_000, np.uint8).tobytes()
NEW = BASE[:20_000] + NOISE.integers(0, 256, 900, np.uint8).tobytes() + BASE[21_000:] + b"end"


def test_every_method_gives_the_new_file() -> None:
    made = every_delta(BASE, NEW)
    assert sorted(made) == sorted(METHODS)
    for method, delta in made.items():
        assert apply_delta(method, BASE, delta, size=len(NEW), digest=digest_bytes(NEW)) == NEW


@settings(deadline=None)
@given(st.binary(max_size=600), st.binary(min_size=1, max_size=600))
def test_every_method_gives_any_file_from_any_other(base: bytes, new: bytes) -> None:
    for method, delta in every_delta(base, new).items():
        assert apply_delta(method, base, delta, size=len(new), digest=digest_bytes(new)) == new


def test_the_smallest_is_taken_if_it_saves_a_fifth_of_the_download() -> None:
    sizes = {method: len(delta) for method, delta in every_delta(BASE, NEW).items()}
    found = smallest_delta(BASE, NEW, len(NEW))
    assert found is not None
    assert found.delta.size_bytes == len(found.content) == min(sizes.values())
    assert found.delta.base == digest_bytes(BASE)
    least = min(sizes.values())
    assert smallest_delta(BASE, NEW, int(least / 0.8) + 2) is not None
    assert smallest_delta(BASE, NEW, int(least / 0.8) - 2) is None


def test_a_file_that_shares_nothing_has_no_delta() -> None:
    other = NOISE.integers(0, 256, 60_000, np.uint8).tobytes()
    assert smallest_delta(BASE, other, len(other)) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_delta_of_another_base_is_refused(method: str) -> None:
    delta = every_delta(BASE, NEW)[method]
    with pytest.raises(DeltaError):
        apply_delta(method, BASE[::-1], delta, size=len(NEW), digest=digest_bytes(NEW))


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_delta_is_refused_or_gives_the_file(method: str, data: st.DataObject) -> None:
    delta = bytearray(DELTAS[method])
    for _ in range(data.draw(st.integers(1, 4))):
        delta[data.draw(st.integers(0, len(delta) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(delta)))
    for damaged in (bytes(delta), bytes(delta[:cut])):
        try:
            made = apply_delta(method, BASE, damaged, size=len(NEW), digest=digest_bytes(NEW))
        except DeltaError:
            continue
        assert made == NEW


@pytest.mark.slow
def test_a_bomb_in_a_delta_is_not_unpacked() -> None:
    zeros = bytes(100 << 20)
    frame = zstandard.ZstdCompressor().compress(zeros)
    stream, header = bz2.compress(zeros), struct.Struct("<8s3Q")
    control = bz2.compress(struct.pack("<3Q", 1, 0, 0))
    bombs = {
        "zstd": frame,
        "subtract": frame,
        "bsdiff4": header.pack(b"BSDIFF40", len(control), len(stream), 1_000) + control + stream + bz2.compress(b""),
    }
    for method, bomb in bombs.items():
        assert len(bomb) < 100_000
        with pytest.raises(DeltaError, match="more than"):
            apply_delta(method, BASE, bomb, size=1_000, digest=digest_bytes(bytes(1_000)))


def test_a_window_larger_than_devices_give_is_refused() -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=MAX_WINDOW_LOG + 1, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    frame = compressor.compress(b"x" * 10) + compressor.flush()
    with pytest.raises(DeltaError, match="damaged"):
        apply_delta("subtract", b"", frame, size=10, digest=digest_bytes(b"x" * 10))


DELTAS = every_delta(BASE, NEW)
