"""Layers are unpacked as runtimes do it, and nothing leaves the directory."""

import contextlib
import errno
import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
import zstandard

from lykeion.core import SILENT, digest_bytes
from lykeion.images.errors import LayerError
from lykeion.images.layers.image_layer import ImageLayer
from lykeion.images.layers.layer_files import Files, resolve
from lykeion.images.layers.unpack import LinksOnDisk, unpack
from lykeion.oci import Layout, media_types


def layer(
    output: Layout,
    *members: tuple[str, bytes | str | None],
    mode: int = 0o644,
    directory_mode: int = 0o755,
    kind: bytes = b"",
) -> ImageLayer:
    """A layer of files (bytes), links (text) and directories (None), in that order, however odd."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = mode if isinstance(content, bytes) else directory_mode
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = kind or tarfile.SYMTYPE, content
            else:
                member.size = len(content)
                if kind:
                    member.type, member.size = kind, 0
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return blob_layer(output, out.getvalue())


def blob_layer(
    output: Layout, data: bytes, media_type: str = media_types.LAYER, tar: bytes | None = None
) -> ImageLayer:
    return ImageLayer(output.put(data, media_type), digest_bytes(data if tar is None else tar), "layer")


def unpacked(output: Layout, root: Path, *layers: ImageLayer) -> dict[str, bytes]:
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
        kind = media_types.LAYER if data[0] != 0x1F else media_types.LAYER_GZIP
        with pytest.raises(LayerError):
            unpacked(output, root, layer(output, ("a", b"1")), blob_layer(output, data * 100, kind))
        assert not root.exists()


def test_links_that_lead_to_one_another_are_an_error() -> None:
    with pytest.raises(LayerError, match="links in a chain"):
        resolve("a/x", {"a": "b", "b": "a"})


@pytest.fixture
def outside(root: Path) -> Path:
    """A directory beside the root with a secret in it, which nobody but its owner may read."""
    directory = root.parent / "outside"
    (directory / ".ssh").mkdir(parents=True)
    (directory / ".ssh" / "key").write_text("secret")
    for path in (directory, directory / ".ssh", directory / ".ssh" / "key"):
        path.chmod(0o700)
    return directory


def state(directory: Path) -> list[tuple[str, int, int]]:
    return [(str(path), path.lstat().st_mode, path.lstat().st_uid) for path in [directory, *directory.rglob("*")]]


@pytest.mark.parametrize("replaced", ["a", "a/.ssh", "a/.ssh/key"])
@pytest.mark.parametrize("in_one_layer", [True, False])
def test_what_a_link_replaces_is_not_changed_through_it(
    output: Layout, root: Path, outside: Path, replaced: str, in_one_layer: bool
) -> None:
    """Modes and owners of a directory or a file that a link to the outside replaces later."""
    before = state(outside)
    wide = [("a", None), ("a/.ssh", None), ("a/.ssh/key", b"1")]
    link = (replaced, str(outside / Path(replaced).relative_to("a")))
    if in_one_layer:
        layers = [layer(output, *wide, link, mode=0o777, directory_mode=0o777)]
    else:
        layers = [layer(output, *wide, mode=0o777, directory_mode=0o777), layer(output, link)]
    unpacked(output, root, *layers)
    assert state(outside) == before
    assert (root / replaced).is_symlink()


def test_directories_have_their_modes_when_what_is_in_them_came_later(output: Layout, root: Path) -> None:
    unpack(
        output,
        [layer(output, ("a", None), ("a/x", b"1"), directory_mode=0o500), layer(output, ("a/y", b"2"))],
        root,
        reporter=SILENT,
    )
    assert (root / "a").stat().st_mode & 0o7777 == 0o700, "its owner, who is us, may write"
    assert {path.name for path in (root / "a").iterdir()} == {"x", "y"}


def test_a_link_that_appears_meanwhile_is_not_followed(
    output: Layout, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else changes the tree between the look at a path and its use."""
    monkeypatch.setattr(LinksOnDisk, "get", lambda *_: None)
    before = state(outside)
    for name in ("way/.ssh/key", "way/new", "way/.wh..ssh", "way/.wh..wh..opq"):
        hostile = layer(output, ("way", str(outside)), (name, b"gotcha"))
        with contextlib.suppress(LayerError):
            unpacked(output, root, hostile)
        assert state(outside) == before
        assert not (outside / "new").exists()


@pytest.mark.parametrize("name", [".wh...", "a/.wh...", ".wh.", "a/.wh.", ".wh..", "a/.wh.."])
def test_a_whiteout_that_names_no_file_of_its_directory_is_refused(output: Layout, root: Path, name: str) -> None:
    below = layer(output, ("a/b/c", b"1"), ("precious", b"2"))
    for read in (lambda layers: unpacked(output, root, *layers), lambda layers: Files(output, layers)):
        with pytest.raises(LayerError, match="whiteout that names no file"):
            read([below, layer(output, (name, b""))])


def test_a_file_below_a_whiteout_is_refused(output: Layout, root: Path) -> None:
    with pytest.raises(LayerError, match="in a whiteout"):
        unpacked(output, root, layer(output, ("a/.wh.b/c", b"")))


def test_a_whiteout_takes_away_a_link_and_not_what_it_leads_to(output: Layout, root: Path) -> None:
    below = layer(output, ("real/x", b"1"), ("link", "real"))
    assert unpacked(output, root, below, layer(output, (".wh.link", b""))) == {"real/x": b"1"}


def test_what_replaces_a_directory_takes_away_all_that_was_in_it(output: Layout, root: Path) -> None:
    layers = [layer(output, ("a/b/c", b"1"), ("x", b"2")), layer(output, ("a", b"file"))]
    assert unpacked(output, root, *layers) == {"a": b"file", "x": b"2"}
    assert set(Files(output, layers).paths()) == {"a", "x"}


@pytest.mark.parametrize("kind", [media_types.LAYER, media_types.LAYER_GZIP, media_types.LAYER_ZSTD])
def test_a_layer_that_is_not_the_tar_its_configuration_says_is_refused(output: Layout, root: Path, kind: str) -> None:
    tar = output.read(layer(output, ("a", b"1")).descriptor)
    data = {
        media_types.LAYER: lambda: tar,
        media_types.LAYER_GZIP: lambda: gzip.compress(tar),
        media_types.LAYER_ZSTD: lambda: zstandard.compress(tar),
    }[kind]()
    assert unpacked(output, root, blob_layer(output, data, kind, tar)) == {"a": b"1"}
    wrong = blob_layer(output, data, kind, b"another tar")
    with pytest.raises(LayerError, match="the image's configuration says"):
        unpacked(output, root.with_name("other"), wrong)
    with pytest.raises(LayerError, match="the image's configuration says"):
        Files(output, [wrong])


@pytest.mark.parametrize("kind", [media_types.LAYER_GZIP, media_types.LAYER_ZSTD])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_corrupt_compressed_layer_is_one_line(output: Layout, root: Path, kind: str, damage: str) -> None:
    tar = output.read(layer(output, ("a", os.urandom(100_000))).descriptor)
    data = bytearray(gzip.compress(tar) if kind == media_types.LAYER_GZIP else zstandard.compress(tar))
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[20:60] = b"\xff" * 40
    with pytest.raises(LayerError) as caught:
        unpacked(output, root, blob_layer(output, bytes(data), kind, tar))
    assert "\n" not in str(caught.value)
    assert not root.exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(
    output: Layout, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    hostile = layer(output, ("a", b"1"))
    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(LayerError, match="No space left on device"):
        unpacked(output, root, hostile)
    assert list(root.parent.iterdir()) == []


def test_whoever_unpacks_the_same_a_moment_later_is_content_with_it(
    output: Layout, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = layer(output, ("a", b"1"))
    real = os.fchmod

    def overtaken(*arguments: int) -> None:
        monkeypatch.setattr(os, "fchmod", real)
        unpacked(output, root, image)
        real(*arguments)

    monkeypatch.setattr(os, "fchmod", overtaken)
    assert unpacked(output, root, image) == {"a": b"1"}
    assert list(root.parent.iterdir()) == [root]
