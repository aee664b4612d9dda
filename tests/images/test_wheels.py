"""Wheels come to the same files wherever they are unpacked, and hostile ones to none."""

import contextlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lykeion.images.errors import WheelError
from lykeion.images.layers.entries import TarEntry
from lykeion.images.python.environment import Environment
from lykeion.images.python.wheels import unpack_wheel

from .making import PYTHON, make_wheel

SITE = "opt/venv/lib/python3.11/site-packages"


def unpacked(wheel: Path) -> dict[str, tuple[TarEntry, bytes]]:
    entries = unpack_wheel(wheel, Environment(PYTHON)).entries
    return {entry.path: (entry, read(entry)) for entry in entries}


def read(entry: TarEntry) -> bytes:
    with entry.open() as file:
        return file.read()


def test_a_wheel_comes_to_site_packages_with_a_record_of_what_is_there(tmp_path: Path) -> None:
    found = unpacked(make_wheel(tmp_path))
    assert found[f"{SITE}/shoes/__init__.py"][1] == b"size = 42\n"
    assert found[f"{SITE}/shoes/__init__.py"][0].mode == 0o644
    record = found[f"{SITE}/shoes-1.0.dist-info/RECORD"][1].decode()
    assert "shoes/__init__.py,sha256=" in record
    assert found[f"{SITE}/shoes-1.0.dist-info/INSTALLER"][1] == b"lykeion\n"
    assert not any(path.endswith(("direct_url.json", ".pyc", "REQUESTED")) for path in found)


def test_entry_points_become_programs_of_the_images_python(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path, entry_points="[console_scripts]\nshop = shoes.cli:app.main [extra]\n[other]\na = b:c\n"
    )
    entry, content = unpacked(wheel)["opt/venv/bin/shop"]
    assert entry.mode == 0o755
    assert content.startswith(b"#!/opt/venv/bin/python3\n")
    assert b"from shoes.cli import app\n" in content
    assert b"sys.exit(app.main())" in content


def test_files_beside_the_package_go_where_they_belong(tmp_path: Path) -> None:
    data = "shoes-1.0.data"
    files = {
        f"{data}/scripts/fit": b"#!python\nprint(42)\n",
        f"{data}/scripts/shell": b"#!/bin/sh\n",
        f"{data}/purelib/extra.py": b"1",
        f"{data}/platlib/fast.so": b"2",
        f"{data}/headers/shoes.h": b"3",
        f"{data}/data/share/man/shoes.1": b"4",
    }
    found = unpacked(make_wheel(tmp_path, files=files))
    assert found["opt/venv/bin/fit"][1] == b"#!/opt/venv/bin/python3\nprint(42)\n"
    assert found["opt/venv/bin/fit"][0].mode == 0o755
    assert found["opt/venv/bin/shell"][1] == b"#!/bin/sh\n"
    assert found[f"{SITE}/extra.py"][1] == b"1"
    assert found[f"{SITE}/fast.so"][1] == b"2"
    assert found["opt/venv/include/site/python3.11/shoes/shoes.h"][1] == b"3"
    assert found["opt/venv/share/man/shoes.1"][1] == b"4"
    record = found[f"{SITE}/shoes-1.0.dist-info/RECORD"][1].decode()
    assert "../../../bin/fit,sha256=" in record


def test_content_that_is_not_what_record_says_is_refused_when_it_is_read(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, recorded={"shoes/__init__.py": b"size = 41\n"})
    with pytest.raises(WheelError, match="not match RECORD"):
        unpacked(wheel)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../../etc/cron.d/job", "outside"),
        ("/etc/passwd", "outside"),
        ("shoes\\..\\..\\x", "outside"),
        ("shoes-1.0.data/etc/passwd", "not allowed for wheels"),
        ("shoes-1.0.data/scripts", "not allowed for wheels"),
        ("boots-1.0.dist-info/METADATA", "2 .dist-info directories"),
    ],
)
def test_a_wheel_that_reaches_out_is_refused(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(WheelError, match=message):
        unpacked(make_wheel(tmp_path, files={path: b"gotcha"}))


def altered(wheel: Path, name: str, data: bytes, *, mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(wheel, "a") as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, data)
    return wheel


def test_a_file_that_record_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="not in RECORD"):
        unpacked(altered(make_wheel(tmp_path), "shoes/more.py", b"1"))


def test_links_in_a_wheel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="link or device"):
        unpacked(altered(make_wheel(tmp_path), "shoes/link", b"/etc/passwd", mode=0o120777))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="twice"):
        unpacked(altered(make_wheel(tmp_path), "shoes/__init__.py", b"size = 42\n"))


@pytest.mark.parametrize(
    "point", ["../up = shoes:main", "a b = shoes:main", "shop = shoes:main();evil()", "shop = x"]
)
def test_an_entry_point_that_is_no_program_is_refused(tmp_path: Path, point: str) -> None:
    with pytest.raises(WheelError, match="is not a program"):
        unpacked(make_wheel(tmp_path, entry_points=f"[console_scripts]\n{point}\n"))


def test_a_wheel_of_another_name_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path).rename(tmp_path / "boots-1.0-py3-none-any.whl")
    with pytest.raises(WheelError, match="metadata of another project"):
        unpacked(wheel)


def test_what_is_no_wheel_is_an_error_in_one_line(tmp_path: Path) -> None:
    good = make_wheel(tmp_path).read_bytes()
    for content in (b"", b"PK", good[:-40], good[:200]):
        path = tmp_path / "shoes-1.0-py3-none-any.whl"
        path.write_bytes(content)
        with pytest.raises(WheelError) as caught:
            unpacked(path)
        assert "\n" not in str(caught.value)


def test_damaged_compressed_data_is_an_error(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, files={"shoes/data.py": bytes(range(256)) * 40})
    data = bytearray(wheel.read_bytes())
    data[60:90] = b"\xff" * 30
    wheel.write_bytes(data)
    with pytest.raises(WheelError):
        unpacked(wheel)


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(zipfile.ZipInfo("\0"), b"")
    with pytest.raises(WheelError, match="outside of its directory"):
        unpacked(wheel)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_changed_are_refused_or_change_nothing(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    good = make_wheel(tmp_path / "good", entry_points="[console_scripts]\nshop = shoes:main\n")
    data = bytearray(good.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    bad = tmp_path / good.name
    bad.write_bytes(data)
    with contextlib.suppress(WheelError):
        found = {path: content for path, (_, content) in unpacked(bad).items()}
        assert found == {path: content for path, (_, content) in unpacked(good).items()}


def test_an_entry_can_be_read_again(tmp_path: Path) -> None:
    entry = unpack_wheel(make_wheel(tmp_path), Environment(PYTHON)).entries[0]
    assert read(entry) == read(entry)
    assert isinstance(entry.open(), io.BufferedReader)


def test_metadata_of_another_version_is_refused(tmp_path: Path) -> None:
    for told in ("1.1", "1.0+local", ""):
        wheel = make_wheel(tmp_path / (told or "none"), told_version=told)
        with pytest.raises(WheelError, match="metadata of another project or version: METADATA"):
            unpacked(wheel)


def test_an_archive_whose_directory_is_giant_is_refused_before_it_is_read(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    data = bytearray(wheel.read_bytes())
    end = data.rfind(b"PK\5\6")
    data[end + 12 : end + 16] = (65 << 20).to_bytes(4, "little")
    wheel.write_bytes(bytes(65 << 20) + data)
    with pytest.raises(WheelError, match="at most 67,108,864 are read"):
        unpack_wheel(wheel, Environment(PYTHON))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/" * 256 + "a.py", "more than 256 directories"),
        ("shoes/.wh.boots.py", "delete a file"),
        ("shoes/.wh..wh..opq", "delete a file"),
        ("shoes/.wh.x/y.py", "delete a file"),
    ],
)
def test_no_wheel_is_deep_or_takes_files_away(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(WheelError, match=message):
        unpacked(make_wheel(tmp_path, files={name: b""}))


def test_limits_on_files_and_bytes_are_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path, files={"shoes/a.py": bytes(2_000), "shoes/b.py": b""})
    for limit, value, message in (
        ("LIMIT_FILES", 4, "has 5 files; at most 4"),
        ("LIMIT_BYTES", 1_000, "unpack to over"),
        ("LIMIT_METADATA_BYTES", 10, "has .* bytes"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"lykeion.images.python.wheels.{limit}", value)
            with pytest.raises(WheelError, match=message):
                unpacked(wheel)
