import os
from pathlib import Path

import pytest

from lykeion.search.ingest import Failure, Folder, ListedPhoto, Skipped, SourceError, open_source

JPEG = b"\xff\xd8\xff\xe0" + bytes(32)


def ids(folder: Path) -> list[str]:
    return sorted(entry.id for entry in Folder(folder) if not isinstance(entry, Skipped))


def skipped(folder: Path) -> dict[str, str]:
    return {entry.file: entry.cause for entry in Folder(folder) if isinstance(entry, Skipped)}


def test_a_photos_id_is_its_path_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "shoes" / "red").mkdir(parents=True)
    (tmp_path / "shoes" / "red" / "1.JPG").write_bytes(JPEG)
    (tmp_path / "zürich.png").write_bytes(JPEG)
    assert sorted(Folder(tmp_path), key=str) == [
        ListedPhoto("shoes/red/1.JPG", "", tmp_path / "shoes" / "red" / "1.JPG"),
        ListedPhoto("zürich.png", "", tmp_path / "zürich.png"),
    ]


def test_hidden_files_and_what_is_no_photo_are_passed_over_and_named(tmp_path: Path) -> None:
    for name in (".hidden.jpg", ".git/a.jpg", "notes.txt", "no_extension", "sheet.csv", "a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"text")
    assert ids(tmp_path) == ["a.jpg"]
    no_photo = "not a photo by its name or its first bytes"
    assert skipped(tmp_path) == {
        ".hidden.jpg": "hidden, or of the system",
        ".git": "hidden, or of the system",
        "notes.txt": no_photo,
        "no_extension": no_photo,
        "sheet.csv": no_photo,
    }


@pytest.mark.parametrize(
    "head",
    [
        JPEG,
        b"\x89PNG\r\n\x1a\n1234",
        b"GIF89a123456",
        b"RIFF1234WEBPVP8 ",
        b"\0\0\0\x1cftypavif",
        b"\0\0\0\x18ftypheic",
    ],
)
def test_a_photo_without_an_extension_is_known_by_its_first_bytes(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "photo").write_bytes(head)
    assert ids(tmp_path) == ["photo"]


def test_links_are_taken_only_if_they_stay_in_the_folder(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "secret.jpg").write_bytes(JPEG)
    (folder / "a.jpg").write_bytes(JPEG)
    (folder / "inside.jpg").symlink_to("a.jpg")
    (folder / "escape.jpg").symlink_to(outside / "secret.jpg")
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "sub").symlink_to(outside, target_is_directory=True)
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to("..", target_is_directory=True)
    assert ids(folder) == ["a.jpg", "inside.jpg"]
    assert skipped(folder) == {
        "escape.jpg": "a link that leaves the folder",
        "broken.jpg": "a broken link",
        "loop.jpg": "a broken link",
        "sub": "a link that leaves the folder",
        "circle": "a link to a folder",
        "deep/up": "a link to a folder",
    }


def test_a_pipe_named_like_a_photo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert ids(tmp_path) == []
    assert skipped(tmp_path) == {"pipe.jpg": "not a file"}


def test_a_name_that_cannot_be_an_id_is_a_failure(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 200) / ("b" * 200) / ("c" * 200)
    deep.mkdir(parents=True)
    (deep / "1.jpg").write_bytes(JPEG)
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))).write_bytes(JPEG)
    failures = list(Folder(tmp_path))
    assert all(isinstance(entry, Failure) for entry in failures)
    causes = sorted(entry.cause for entry in failures if isinstance(entry, Failure))
    assert causes == ["the id has 608 bytes; at most 512 are allowed", "the name is not valid UTF-8; rename the file"]


def test_a_folder_that_cannot_be_read_is_a_failure_that_names_no_product(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "a.jpg").write_bytes(JPEG)
    entries = iter(Folder(tmp_path))
    assert next(entries) == ListedPhoto("a.jpg", "", tmp_path / "a.jpg")
    (tmp_path / "gone").rmdir()
    (failure,) = entries
    assert isinstance(failure, Failure)
    assert (failure.id, failure.cause) == ("", "cannot read the folder: No such file or directory")


def test_counting_finds_the_photos_without_reading_them(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"{n}.jpg").write_bytes(JPEG)
    (tmp_path / "notes.txt").write_bytes(b"text")
    assert Folder(tmp_path).count() == 5


def test_what_is_not_there_or_no_manifest_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder or manifest"):
        open_source(tmp_path / "nothing")
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"neither a folder nor a manifest \(.csv"):
        open_source(tmp_path / "a.docx")
    with pytest.raises(SourceError, match="belong to a manifest"):
        open_source(tmp_path, types={"price": "number"})


@pytest.mark.parametrize("head", [b"BM1234567890", b"II*\0" + bytes(12), b"\0\0\0\x18ftypheic"])
def test_a_photo_in_a_format_that_is_not_read_is_listed_so_that_it_is_reported(
    head: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("a.bmp", "b.tif", "c.heic"):
        (tmp_path / name).write_bytes(head)
    assert ids(tmp_path) == ["a.bmp", "b.tif", "c.heic"]
