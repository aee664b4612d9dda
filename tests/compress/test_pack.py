from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.compress import CompressionError, litert_file, pack, pack_file, sizes_of
from lykeion.compress.packing import _apart
from lykeion.compress.sizes import relative_gaps
from lykeion.litert.packed import (
    Planes,
    ScaledCopy,
    Span,
    Sparse,
    Symbols,
    as_numbers,
    cost_bits,
    encode_spans,
    huffman_bits,
    unpack,
)
from lykeion.litert.packed.entropy import encode, frequencies
from lykeion.litert.packed.unpacking import BITS, LANES, decode
from tests.litert.files import with_constants_behind
from tests.nets.making import photos_for, run

from .making import ARCHITECTURE, every_state, worst

STATES = every_state()


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("output", ["logits", "embedding"])
def test_a_device_gets_the_very_file(name: str, output: Any) -> None:
    package, file = pack(STATES[name], output)
    assert unpack(package) == file == litert_file(STATES[name], output)
    assert run(file, photos_for(ARCHITECTURE)).shape == (2, 10 if output == "logits" else 32)


def test_each_step_makes_the_package_smaller() -> None:
    packed = {name: sizes_of(model).packed for name, model in STATES.items()}
    assert packed["dense"] > packed["pruned"] > packed["pruned and clustered"]
    assert packed["dense"] > packed["clustered"] > packed["pruned and clustered"]
    assert packed["pruned and clustered"] > packed["pruned, clustered, int8"]
    sizes = sizes_of(STATES["pruned, clustered, int8"])
    assert sizes.packed < sizes.zstd < sizes.file


def test_a_float_kernel_is_delivered_as_its_codebook() -> None:
    """Batch norm makes many numbers of few; the package has the few."""
    model = STATES["pruned and clustered"]
    with_codebook, file = pack(model)
    without = pack_file(file)
    assert len(with_codebook) < 0.8 * len(without)


def test_the_file_of_a_clustered_network_computes_what_the_network_does() -> None:
    """Its batch norms are written in another way."""
    model = STATES["clustered"]
    moved = dict(model.weights)
    for name in model.clustered:
        if f"{name}/variance" in moved:
            moved[f"{name}/variance"] = moved[f"{name}/variance"] * np.float32(1.7)
    model = replace(model, weights=moved)
    photos = photos_for(ARCHITECTURE, 8)
    plain = replace(model, clustered=frozenset())
    assert litert_file(model) != litert_file(plain)
    assert worst(run(litert_file(model), photos), run(litert_file(plain), photos)) < 1e-5
    package, file = pack(model)
    assert unpack(package) == file == litert_file(model)
    assert len(package) < 0.8 * len(pack_file(file))


@pytest.mark.parametrize("name", STATES)
def test_a_coding_never_takes_more_than_lzma_alone(name: str) -> None:
    file = litert_file(STATES[name])
    assert len(pack_file(file)) < 1.005 * len(encode_spans(file, []))


@pytest.mark.parametrize("name", ["pruned and clustered", "pruned, clustered, int8"])
def test_constants_behind_the_flatbuffer_are_coded_like_those_in_it(name: str) -> None:
    file = with_constants_behind(litert_file(STATES[name]))
    package = pack_file(file)
    assert unpack(package) == file
    assert len(package) < 1.03 * len(pack_file(litert_file(STATES[name])))


def test_parts_that_overlap_are_coded_once() -> None:
    file = litert_file(STATES["dense"])
    whole = encode_spans(file, list(_apart([Span(8, 16), Span(0, 12, Planes()), Span(12, 4)])))
    assert unpack(whole) == file


def test_an_error_names_the_file() -> None:
    with pytest.raises(CompressionError, match=r"^shoes.tflite: not a LiteRT file: it lacks the mark TFL3$"):
        pack_file(b"PK" * 100, name="shoes.tflite")


def test_a_file_that_no_device_would_unpack_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.compress.packing.MAX_BYTES", 1000)
    with pytest.raises(CompressionError, match="a package holds 1,000 at most"):
        pack(STATES["dense"])


def test_what_is_no_model_is_not_packed() -> None:
    with pytest.raises(CompressionError, match="not a LiteRT file"):
        pack_file(b"\xff" * 100)


@st.composite
def files_with_spans(draw: st.DrawFn) -> tuple[bytes, list[Span]]:
    """Bytes, and ways to code parts of them."""
    parts: list[bytes] = []
    spans: list[Span] = []
    for kind in draw(st.lists(st.sampled_from(["plain", "planes", "symbols", "sparse", "product"]), max_size=6)):
        offset = sum(map(len, parts))
        count = draw(st.integers(0, 400))
        random = np.random.default_rng(draw(st.integers(0, 2**32)))
        match kind:
            case "plain":
                parts.append(random.bytes(count))
            case "planes":
                width = draw(st.integers(1, 8))
                parts.append(random.bytes(count * width))
                spans.append(Span(offset, len(parts[-1]), Planes(width)))
            case "symbols":
                width = draw(st.integers(1, 8))
                table = random.integers(0, 256, (draw(st.integers(1, 256)), width), np.uint8)
                table = table[np.unique(as_numbers(table), return_index=True)[1]]
                parts.append(table[random.integers(0, len(table), count + 1)].tobytes())
                spans.append(Span(offset, len(parts[-1]), Symbols(table, shared=draw(st.booleans()))))
            case "sparse":
                items = random.standard_normal(count + 1).astype("<f4") * (random.random(count + 1) < 0.3)
                parts.append(items.astype("<f4").tobytes())
                spans.append(Span(offset, len(parts[-1]), Sparse()))
            case "product":
                numbers = random.standard_normal(count).astype("<f4")
                factor = float(random.random())
                made = (numbers.astype(np.float64) * factor).astype("<f4")
                # Either may come first in a file.
                first = draw(st.booleans())
                source, place = (offset + made.nbytes, offset) if first else (offset, offset + numbers.nbytes)
                parts += [made.tobytes(), numbers.tobytes()] if first else [numbers.tobytes(), made.tobytes()]
                spans.append(Span(place, made.nbytes, ScaledCopy(source, factor)))
    return b"".join(parts), spans


@given(files_with_spans())
@settings(max_examples=60)
def test_any_file_comes_back_to_the_bit(given: tuple[bytes, list[Span]]) -> None:
    file, spans = given
    assert unpack(encode_spans(file, spans)) == file


@given(
    st.lists(st.lists(st.integers(0, 10_000), min_size=1, max_size=256).filter(any), min_size=1, max_size=4),
    st.integers(0, 3 * LANES + 1),
    st.integers(0, 2**32),
)
def test_any_symbols_come_back(counts: list[list[int]], count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    models = [frequencies(np.array(each)) for each in counts]
    assert all(model.sum() == 1 << BITS for model in models)
    assert all(((model > 0) == (np.array(each) > 0)).all() for model, each in zip(models, counts, strict=True))
    drawn = [random.choice(np.flatnonzero(model), count) for model in models]
    model_of = np.repeat(np.arange(len(models)), count)
    coded = encode(np.concatenate(drawn), models, model_of)
    found = decode(coded, models, [(count, place) for place in range(len(models))])
    assert np.array_equal(found, np.concatenate(drawn))


def test_symbols_take_little_more_than_their_entropy() -> None:
    symbols = np.random.default_rng(0).choice(4, 100_000, p=[0.9, 0.05, 0.04, 0.01])
    counts = np.bincount(symbols)
    coded = encode(symbols, [frequencies(counts)], np.zeros(len(symbols), np.int64))
    bound = cost_bits(counts) / 8
    assert bound < len(coded) < 1.005 * bound + 4 * LANES
    assert bound < huffman_bits(counts) / 8 < 2.2 * bound


@pytest.mark.parametrize(("counts", "bits"), [([5, 0], 5), ([1, 1], 2), ([4, 2, 1, 1], 14), ([3, 3, 3, 3], 24)])
def test_huffman_s_account_is_right(counts: list[int], bits: int) -> None:
    assert huffman_bits(np.array(counts)) == bits


def test_a_gap_too_long_for_its_bits_is_broken() -> None:
    weights = np.zeros(600)
    weights[[2, 300, 301]] = 1
    assert sorted(relative_gaps(weights, 8)) == [0, 2, 297 - 256, 255]
