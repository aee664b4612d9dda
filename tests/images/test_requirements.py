"""Requirements are locked, and wheels are chosen for the image's Python, not for ours."""

from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.images.errors import RequirementError
from lykeion.images.python.interpreter import Interpreter
from lykeion.images.python.requirements import read_requirements
from lykeion.images.python.wheelhouse import collect, download_command

from .making import PYTHON, make_wheel, requirement

HASH = "--hash=sha256:" + "0" * 64


def read(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    return [str(locked) for locked in read_requirements(path, PYTHON)]


def test_what_uv_and_pip_tools_write_is_read(tmp_path: Path) -> None:
    text = f"""# made by uv
Shoes.Shop==1.0 ; python_version >= "3.8" \\
    {HASH} \\
    --hash=sha256:{"1" * 64}
    # via boots
boots[laces]==2.0+local {HASH}  # comment
windows-only==1 ; sys_platform == "win32" {HASH}
old==1 ; python_version < "3.11" {HASH}
"""
    assert read(tmp_path, text) == ["boots==2.0+local", "shoes-shop==1.0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"shoes>=1 {HASH}", "line 1: shoes is not locked"),
        (f"shoes==1.* {HASH}", "not locked"),
        (f"shoes {HASH}", "not locked"),
        (f"shoes @ https://example.com/shoes.whl {HASH}", "not locked"),
        ("shoes==1", "no --hash"),
        ("shoes==1 --hash=md5:0123", "no --hash"),
        ("\n-r more.txt", "line 2: -r is not supported"),
        ("--index-url https://example.com", "--index-url is not supported"),
        (f"shoes==1 {HASH}\nshoes==2 {HASH}", "line 2: shoes==2 conflicts with shoes==1 on line 1"),
        ("shoes==", "line 1"),
    ],
)
def test_what_is_not_locked_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RequirementError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def chosen(tmp_path: Path, interpreter: Interpreter, *wheels: Path) -> list[str]:
    path = tmp_path / "requirements.txt"
    hashes = " ".join(requirement(wheel).split()[-1] for wheel in wheels)
    path.write_text(f"{wheels[0].name.split('-')[0]}==1.0 {hashes}\n")
    locked = read_requirements(path, interpreter)
    return [it.path.name for it in collect(locked, interpreter, [tmp_path], tmp_path / "cache", index=False)]


def test_the_most_specific_wheel_that_fits_is_taken(tmp_path: Path) -> None:
    tags = ("py3-none-any", "cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64")
    wheels = [make_wheel(tmp_path, tag=tag, files={"a.py": tag.encode()}) for tag in tags]
    assert chosen(tmp_path, PYTHON, *wheels) == [wheels[1].name]
    arm = Interpreter("/usr/bin/python3.11", (3, 11), "aarch64", glibc=(2, 36))
    assert chosen(tmp_path, arm, *wheels) == [wheels[0].name]


def test_a_wheel_for_a_newer_c_library_is_not_taken(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, tag="cp311-cp311-manylinux_2_39_x86_64")
    with pytest.raises(
        RequirementError, match=r"no wheel of shoes==1\.0 .* is compatible with Python 3\.11 on manylinux_2_36_x86_64"
    ):
        chosen(tmp_path, PYTHON, wheel)


def test_a_wheel_with_another_hash_is_not_taken(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    (tmp_path / "lock.txt").write_text(requirement(wheel))
    make_wheel(tmp_path, files={"shoes/__init__.py": b"size = 43\n"})
    locked = read_requirements(tmp_path / "lock.txt", PYTHON)
    with pytest.raises(RequirementError, match="no wheel of shoes"):
        collect(locked, PYTHON, [tmp_path], tmp_path / "cache", index=False)


def test_older_platform_tags_fit_too() -> None:
    for tag in ("cp311-cp311-manylinux2014_x86_64", "cp38-abi3-manylinux_2_17_x86_64", "py3-none-manylinux1_x86_64"):
        assert tag in PYTHON.tags
    for tag in ("cp311-cp311-musllinux_1_2_x86_64", "cp312-cp312-manylinux2014_x86_64", "cp311-cp311-win_amd64"):
        assert tag not in PYTHON.tags
    musl = Interpreter("/usr/bin/python3.12", (3, 12), "aarch64", musl=(1, 2))
    assert "cp312-cp312-musllinux_1_1_aarch64" in musl.tags


def test_pip_is_asked_for_wheels_of_the_images_python_with_hashes(tmp_path: Path) -> None:
    command = " ".join(download_command(tmp_path / "lock", PYTHON, tmp_path))
    for words in (
        "--require-hashes",
        "--only-binary=:all:",
        "--python-version 3.11",
        "--platform manylinux2014_x86_64",
    ):
        assert words in command


def test_a_wheel_of_another_version_is_not_taken_though_its_hash_is_locked(tmp_path: Path) -> None:
    """Else the image holds one version, and its bill of materials says another."""
    wheel = make_wheel(tmp_path, version="1.17.0")
    for asked in ("1.16.0", "1.17.0+local", "1.17.0.post1"):
        (tmp_path / "lock.txt").write_text(requirement(wheel).replace("1.17.0 ", f"{asked} "))
        locked = read_requirements(tmp_path / "lock.txt", PYTHON)
        with pytest.raises(RequirementError, match=r"with the hash of shoes-1\.17\.0-.*, which is version 1\.17\.0"):
            collect(locked, PYTHON, [tmp_path], tmp_path / "cache", index=False)


def test_a_local_version_is_taken_only_where_it_is_asked_for(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, version="1.17.0+local")
    (tmp_path / "lock.txt").write_text(requirement(wheel).replace("+local", ""))
    with pytest.raises(RequirementError, match=r"which is version 1\.17\.0\+local"):
        collect(read_requirements(tmp_path / "lock.txt", PYTHON), PYTHON, [tmp_path], tmp_path / "c", index=False)
    (tmp_path / "lock.txt").write_text(requirement(wheel))
    (found,) = collect(
        read_requirements(tmp_path / "lock.txt", PYTHON), PYTHON, [tmp_path], tmp_path / "c", index=False
    )
    assert found.version == "1.17.0+local"


def test_the_version_that_is_said_is_the_wheels(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, version="1.17.0")
    (tmp_path / "lock.txt").write_text(requirement(wheel).replace("1.17.0 ", "1.17 "))
    locked = read_requirements(tmp_path / "lock.txt", PYTHON)
    assert [it.version for it in collect(locked, PYTHON, [tmp_path], tmp_path / "c", index=False)] == ["1.17.0"]


def test_markers_see_the_bases_full_version(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(
        f'late==1 ; python_full_version >= "3.11.2" {HASH}\n'
        f'early==1 ; implementation_version < "3.11.2" {HASH}\n'
        f'any==1 ; python_full_version >= "3.11" and python_full_version < "3.12" {HASH}\n'
    )
    known = [replace(PYTHON, full_version=version) for version in ("3.11.0", "3.11.2", "3.11.15")]
    assert [[it.name for it in read_requirements(path, python)] for python in known] == [
        ["any", "early"],
        ["any", "late"],
        ["any", "late"],
    ]


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('python_full_version >= "3.11.2"', "full version of the base's Python 3.11, which its files do not tell"),
        ('implementation_version == "3.11.7"', "full version of the base's Python 3.11"),
        ('platform_release >= "6"', "the kernel of the host"),
        ('"a" ~= os_name', "line 1"),
        ("(" * 5_000 + 'os_name == "a"' + ")" * 5_000, "line 1"),
    ],
    ids=["full", "implementation", "kernel", "undefined", "depth"],
)
def test_a_marker_that_cannot_be_decided_drops_nothing_in_silence(tmp_path: Path, marker: str, message: str) -> None:
    with pytest.raises(RequirementError, match=message) as caught:
        read(tmp_path, f"shoes==1 ; {marker} {HASH}")
    assert "\n" not in str(caught.value)


def test_a_marker_that_no_full_version_changes_is_decided_without_it(tmp_path: Path) -> None:
    text = f'a==1 ; python_full_version >= "3.11" {HASH}\nb==1 ; python_full_version < "3.11" {HASH}\n'
    assert read(tmp_path, text) == ["a==1"]


def test_pip_is_told_the_full_version_where_the_base_tells_it(tmp_path: Path) -> None:
    command = download_command(tmp_path / "lock", replace(PYTHON, full_version="3.11.2"), tmp_path)
    assert command[command.index("--python-version") + 1] == "3.11.2"
