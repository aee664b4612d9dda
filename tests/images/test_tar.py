"""The tar of a layer: the same bytes for the same entries, and readable by others."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.images.errors import ImageError
from lykeion.images.layers.entries import (
    TarEntry,
    directory_entry,
    file_entry,
    rootfs_entries,
    source_entries,
    symlink_entry,
    with_directories,
)
from lykeion.images.layers.tar import write_tar


def packed(*entries: TarEntry) -> bytes:
    out = io.BytesIO()
    write_tar(entries, out)
    return out.getvalue()


def opened(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:")


def test_the_bytes_never_change() -> None:
    data = packed(
        file_entry("srv/app/start", b"#!/bin/sh\n", program=True),
        directory_entry("srv/app"),
        symlink_entry("srv/link", "app/start"),
        file_entry("srv/" + "long" * 40, b"x" * 600),
        file_entry("srv/grüße", b""),
        TarEntry("srv/app/again", "hardlink", 0o755, target="srv/app/start"),
    )
    assert hashlib.sha256(data).hexdigest() == "098e40c9637eae70d63ec9413936a0983a734f2e60252a5eeb79b5b88665289c"


def test_order_does_not_matter() -> None:
    entries = [file_entry("b", b"2"), directory_entry("a"), file_entry("a/x", b"1")]
    assert packed(*entries) == packed(*reversed(entries))


part = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60)
part = part.filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))  # whiteouts are refused
names = st.lists(part, min_size=1, max_size=6).map("/".join)


@given(st.dictionaries(names, st.binary(max_size=2_000), max_size=5))
def test_the_standard_library_reads_what_was_written(files: dict[str, bytes]) -> None:
    data = packed(*(file_entry(path, content) for path, content in files.items()))
    with opened(data) as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}  # pyright: ignore[reportOptionalMemberAccess]
        assert read == files
        assert all((member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, "") for member in tar)


@pytest.mark.skipif(not shutil.which("tar"), reason="not a tar")
def test_tar_itself_reads_what_was_written(tmp_path: Path) -> None:
    data = packed(file_entry("a/" + "b" * 200, b"deep"), symlink_entry("link", "a"), directory_entry("a"))
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=data, check=True)
    assert (tmp_path / "link" / ("b" * 200)).read_bytes() == b"deep"


def test_a_file_that_changes_meanwhile_is_an_error() -> None:
    for size in (3, 5):
        with pytest.raises(ImageError, match="changed while it was read"):
            packed(TarEntry("shoes", "file", size=size, open=lambda: io.BytesIO(b"four")))


def test_two_files_cannot_have_one_path() -> None:
    with pytest.raises(ImageError, match="two files have the path /shoes"):
        packed(file_entry("shoes", b"1"), file_entry("shoes", b"2"))


def test_source_has_no_modes_or_owners_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "private" / "key.py").write_text("1")
    (tmp_path / "private" / "key.py").chmod(0o600)
    (tmp_path / "start").write_text("2")
    (tmp_path / "start").chmod(0o4711)
    modes = {entry.path: entry.mode for entry in source_entries(tmp_path, "srv", ())}
    assert modes == {"srv": 0o755, "srv/private": 0o755, "srv/private/key.py": 0o644, "srv/start": 0o755}


def test_source_leaves_out_what_is_excluded(tmp_path: Path) -> None:
    for name in ("keep.py", "notes.md", "sub/notes.md", "sub/deep/keep.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    paths = {entry.path for entry in source_entries(tmp_path, "", ["notes.*", "sub/deep/*"]) if entry.kind == "file"}
    assert paths == {"keep.py"}


def test_a_link_out_of_the_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inside").symlink_to("../keep.py")
    assert source_entries(tmp_path, "srv", ())
    for target in ("/etc/passwd", "../../secret", "../sub/../../secret"):
        (tmp_path / "sub" / "outside").unlink(missing_ok=True)
        (tmp_path / "sub" / "outside").symlink_to(target)
        with pytest.raises(ImageError, match="outside"):
            source_entries(tmp_path, "srv", ())


def test_names_of_one_file_stay_names_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "perl").write_text("camel")
    (tmp_path / "perl5").hardlink_to(tmp_path / "perl")
    data = packed(*rootfs_entries(tmp_path))
    with opened(data) as tar:
        assert [(member.name, member.linkname) for member in tar if member.islnk()] == [("perl5", "perl")]


def test_a_root_file_system_keeps_its_modes_and_leaves_its_devices(tmp_path: Path) -> None:
    import os

    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    os.mkfifo(tmp_path / "pipe")
    assert [(entry.path, entry.mode) for entry in rootfs_entries(tmp_path)] == [("tmp", 0o1777)]


def test_directories_are_added_below_a_root_only_and_not_twice() -> None:
    entries = with_directories([file_entry("opt/venv/lib/x.py", b"")], "opt/venv")
    assert {entry.path for entry in entries} == {"opt/venv", "opt/venv/lib", "opt/venv/lib/x.py"}
    entries = with_directories([file_entry("srv/app/x.py", b"")], "", {"srv"})
    assert {entry.path for entry in entries} == {"srv/app", "srv/app/x.py"}


@pytest.mark.parametrize("name", [".wh.shoes", "srv/.wh..wh..opq", "srv/.wh.dir/x", ".wh..."])
def test_no_file_of_ours_becomes_a_whiteout(name: str) -> None:
    with pytest.raises(ImageError, match="would delete a file of the layers below"):
        packed(file_entry(name, b""))
    assert packed(file_entry("srv/x.wh.y", b""))


def test_a_file_that_may_not_be_read_is_one_line() -> None:
    def refused() -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(ImageError, match=r"^/srv/key cannot be read: Permission denied$"):
        packed(TarEntry("srv/key", "file", size=3, open=refused))
