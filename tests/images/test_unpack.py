"""Layers are unpacked as runtimes do it, and nothing leaves the directory."""

import io
import tarfile
from pathlib import Path

import pytest

from lykeion.core import SILENT
from lykeion.images.errors import LayerError
from lykeion.images.layers.layer_files import Files, resolve
from lykeion.images.layers.unpack import unpack
from lykeion.oci import Descriptor, Layout, media_types


def layer(
    output: Layout, *members: tuple[str, bytes | str | None], mode: int = 0o644, kind: bytes = b""
) -> Descriptor:
    """A layer of files (bytes), links (text) and directories (None), in that order, however odd."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = mode if isinstance(content, bytes) else 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = kind or tarfile.SYMTYPE, content
            else:
                member.size = len(content)
                if kind:
                    member.type, member.size = kind, 0
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return output.put(out.getvalue(), media_types.LAYER)


def unpacked(output: Layout, root: Path, *layers: Descriptor) -> dict[str, bytes]:
    unpack(output, layers, root, reporter=SILENT)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "roots" / "root"


def test_upper_layers_replace_and_take_away(output: Layout, root: Path) -> None:
    below = layer(output, ("a/keep", b"1"), ("a/change", b"2"), ("a/drop", b"3"), ("b/x", b"4"), ("file", b"5"))
    expected = {"a/keep": b"1", "a/change": b"new", "b/y": b"6", "file/now": b"dir"}
    above = layer(output, ("a/change", b"new"), ("a/.wh.drop", b""), ("b/y", b"6"), ("b/.wh..wh..opq", b""))
    replaced = layer(output, ("file", None), ("file/now", b"dir"))
    assert unpacked(output, root, below, above, replaced) == expected
    files = Files(output, [below, above, replaced])
    assert {path for path in files.paths() if files.read(path, 10)} == set(expected)


def test_a_link_in_the_root_is_followed_inside_of_it(output: Layout, root: Path) -> None:
    below = layer(output, ("usr/lib", None), ("lib", "usr/lib"), ("etc", "/usr/etc"), ("usr/etc", None))
    above = layer(output, ("lib/x.so", b"1"), ("etc/hosts", b"2"))
    assert {"usr/lib/x.so", "usr/etc/hosts"} <= unpacked(output, root, below, above).keys()
    assert (root / "lib").is_symlink()


@pytest.mark.parametrize("target", ["/", "..", "../../..", "/../.."])
def test_no_link_leads_out(output: Layout, root: Path, target: str) -> None:
    hostile = layer(output, ("a/b/way", target), ("a/b/way/escaped", b"gotcha"))
    found = unpacked(output, root, hostile)
    assert all((root / name).resolve().is_relative_to(root) for name in found)
    assert [path for path in root.parent.rglob("escaped") if not path.is_relative_to(root)] == []


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "a/.wh.../x/../../../escaped"])
def test_names_that_lead_out_are_refused(output: Layout, root: Path, name: str) -> None:
    with pytest.raises(LayerError, match="outside of its root"):
        unpacked(output, root, layer(output, (name, b"gotcha")))
    assert not root.exists()
    assert list(root.parent.iterdir()) == []


def test_a_whiteout_takes_nothing_outside(output: Layout, root: Path) -> None:
    root.parent.mkdir(parents=True)
    (root.parent / "precious").write_text("1")
    hostile = layer(output, ("way", "/.."), ("way/.wh.precious", b""))
    unpacked(output, root, hostile)
    assert (root.parent / "precious").exists()


def test_a_hard_link_to_a_file_of_the_host_is_refused(output: Layout, root: Path) -> None:
    for target in ("../../../../etc/passwd", "/nothing"):
        with pytest.raises(LayerError):
            unpacked(output, root, layer(output, ("passwd", target), kind=tarfile.LNKTYPE))


def test_programs_lose_the_rights_of_their_owner_and_devices_are_left_out(output: Layout, root: Path) -> None:
    unpack(
        output,
        [layer(output, ("su", b"1"), mode=0o6755), layer(output, ("dev/x", b""), kind=b"3")],
        root,
        reporter=SILENT,
    )
    assert (root / "su").stat().st_mode & 0o7777 == 0o755
    assert not (root / "dev" / "x").exists()


def test_a_damaged_layer_leaves_nothing(output: Layout, root: Path) -> None:
    for data in (b"not a tar", b"\x1f\x8b broken"):
        blob = output.put(data * 100, media_types.LAYER if data[0] != 0x1F else media_types.LAYER_GZIP)
        with pytest.raises(LayerError):
            unpacked(output, root, layer(output, ("a", b"1")), blob)
        assert not root.exists()


def test_links_that_lead_to_one_another_are_an_error() -> None:
    with pytest.raises(LayerError, match="lead to one another"):
        resolve("a/x", {"a": "b", "b": "a"})
