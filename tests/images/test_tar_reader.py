"""A tar of anybody's is read within limits, and as the standard library reads what it takes."""

import contextlib
import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Iterable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lykeion.images.errors import LayerError
from lykeion.images.layers import tar_reader
from lykeion.images.layers.layer_files import clean, open_tar, resolve
from lykeion.images.layers.tar_reader import TarBudget, TarMember, TarReader
from lykeion.oci import Layout, media_types


def header(
    name: bytes = b"a", kind: bytes = b"0", size: int = 0, *, fields: Iterable[tuple[int, bytes]] = ()
) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    for at, value in ((100, b"0000644"), (124, b"%011o" % size), (156, kind), (257, b"ustar\x0000"), *fields):
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def with_content(content: bytes, kind: bytes = b"0", name: bytes = b"a") -> bytes:
    return header(name, kind, len(content)) + content + bytes(-len(content) % 512)


def record(name: bytes, value: bytes) -> bytes:
    rest = b" " + name + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def pax(*records: bytes) -> bytes:
    return with_content(b"".join(records), b"x")


def read(data: bytes, budget: TarBudget | None = None) -> list[tuple[TarMember, bytes]]:
    tar = TarReader(io.BytesIO(data), budget or TarBudget())
    return [(member, b"".join(iter(lambda: tar.read(1000), b""))) for member in tar]


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300)
sizes = st.sampled_from([0, 1, 511, 512, 513, 3000])


@given(
    st.lists(st.tuples(names, st.sampled_from("0125"), names, sizes), max_size=6),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.sampled_from([0, 65532, 10_000_000, 4_000_000_000]),
)
def test_it_reads_what_the_standard_library_reads(
    wanted: list[tuple[str, str, str, int]], format: int, owner: int
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, kind, target, size in wanted:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.uid = kind.encode(), target if kind in "12" else "", owner
            member.size = size if kind == "0" else 0
            tar.addfile(member, io.BytesIO(b"x" * size))
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        expected = [
            (it.name, it.mode, it.uid, it.size if it.isreg() else 0, it.linkname if kind in "12" else "")
            for it, (_, kind, _, _) in zip(tar, wanted, strict=True)
        ]
    found = [(it.name, it.mode, it.uid, len(content), it.target) for it, content in read(out.getvalue())]
    assert [(name.rstrip("/"), *rest) for name, *rest in expected] == found


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8), st.integers(0, 3000))
def test_damage_is_refused_or_read_and_never_anything_else(changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(pax(record(b"path", b"p")) + with_content(b"x" * 600) + with_content(b"name\0", b"L") + header())
    for place, value in changes:
        data[place % len(data)] = value
    with contextlib.suppress(LayerError):
        assert all(len(member.name) <= 512 for member, _ in read(bytes(data[:end])))


def test_a_giant_header_is_refused_before_it_is_read() -> None:
    """6.9 MB of a compressed layer once took 3 GB and two minutes."""
    tracemalloc.start()
    for kind in (b"x", b"g", b"L", b"K"):
        for content in (io.BytesIO(header(b"a", kind, 3 << 30)), io.BytesIO(header(b"a", kind, 0o77777777777))):
            with pytest.raises(LayerError, match="has a header of"):
                list(TarReader(content, TarBudget()))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_headers_upon_headers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither recursion nor memory: many that say something of one member, or of none."""
    monkeypatch.setitem(tar_reader.LIMITS, "entries", 5_000)
    for kind in (b"x", b"g", b"L"):
        with pytest.raises(LayerError, match="over 5,000 entries"):
            read(with_content(record(b"comment", b"x"), kind) * 6_000)
    monkeypatch.setitem(tar_reader.LIMITS, "bytes of names and headers", 100_000)
    with pytest.raises(LayerError, match="over 100,000 bytes of names and headers"):
        read((pax(record(b"comment", b"x" * 1000)) + header()) * 200)


def test_digits_without_end_take_no_time() -> None:
    """A million digits in a header: the standard library tries each of them as the start of a number."""
    with pytest.raises(LayerError, match="damaged pax header"):
        read(with_content(b"1" * (1 << 20), b"x"))
    with pytest.raises(LayerError, match="not a number"):
        read(pax(record(b"size", b"9" * 5_000)) + header())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pax(record(b"GNU.sparse.major", b"1")) + header(), "sparse"),
        (header(kind=b"S"), "type b'S'"),
        (header(kind=b"V"), "type b'V'"),
        (with_content(record(b"path", b"x"), b"g"), "one name"),
        (header(fields=[(124, b"-0000000001")]), "invalid number"),
        (header(fields=[(124, b"\xff" * 12)]), "negative or too large"),
        (header(fields=[(108, b"\x80\0\0\xff\xff\xff\xff\xff")]), "32-bit"),
        (pax(record(b"path", b"x" * 5_000)) + header(), "name of over 4,096 bytes"),
        (pax(record(b"linkpath", b"x\0y")) + header(kind=b"2"), "NUL"),
        (header(size=5), "ends in the middle"),
        (header()[:300], "not a tar"),
        (b"x" * 512, "not a tar"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_layer_needs_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        read(data)


def test_a_path_has_a_depth_of_at_most_256(monkeypatch: pytest.MonkeyPatch) -> None:
    clean("a/" * 255 + "a")
    with pytest.raises(LayerError, match="more than 256 directories"):
        clean("a/" * 256 + "a")
    with pytest.raises(LayerError, match="more than 256 directories"):
        resolve("way/" * 30, {"way": "a/" * 200, "a/" * 199 + "a/way": "a/" * 200})


@pytest.mark.parametrize("kind", [media_types.LAYER, media_types.LAYER_GZIP, media_types.LAYER_ZSTD])
def test_a_layer_may_not_unpack_to_more_than_the_limit(
    kind: str, output: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tar_reader.LIMITS, "bytes", 1_000_000)
    tar = with_content(bytes(2_000_000))
    data = {
        media_types.LAYER: lambda: tar,
        media_types.LAYER_GZIP: lambda: gzip.compress(tar),
        media_types.LAYER_ZSTD: lambda: zstandard.compress(tar),
    }[kind]()
    layer = output.put(data, kind)
    with pytest.raises(LayerError, match="over 1,000,000 bytes"), open_tar(output, layer, TarBudget()) as reader:
        list(reader)
    with pytest.raises(LayerError, match="over 1,000,000 bytes"), open_tar(output, layer, TarBudget()) as reader:
        reader.check("sha256:")


def test_layers_together_have_the_limits_of_one_image(output: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tar_reader.LIMITS, "layers", 3)
    layer, budget = output.put(header(), media_types.LAYER), TarBudget()
    for _ in range(3):
        with open_tar(output, layer, budget) as reader:
            assert len(list(reader)) == 1
    with pytest.raises(LayerError, match="over 3 layers"), open_tar(output, layer, budget) as reader:
        list(reader)


@pytest.mark.parametrize(
    ("kind", "nothing"),
    [
        (media_types.LAYER_GZIP, gzip.compress(b"") * 2_000),
        (media_types.LAYER_GZIP, b"\x1f\x8b\x08\x08" + bytes(6) + b"name" * 100_000),
        (media_types.LAYER_ZSTD, zstandard.compress(b"") * 20_000),
    ],
    ids=["gzip members", "gzip name", "zstd frames"],
)
def test_time_runs_out_where_much_is_read_and_nothing_comes(
    kind: str, nothing: bytes, output: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tar_reader.LIMITS, "seconds", 0)
    with (
        pytest.raises(LayerError, match="over 0 seconds"),
        open_tar(output, output.put(nothing, kind), TarBudget()) as tar,
    ):
        list(tar)
