"""Images of programs: what is said of one that is not there, and that it is pulled once however many wait."""

import asyncio
from pathlib import Path

import pytest

from lykeion.platform.local.supervision.program_images import ProgramImages

IMAGE = "registry.example.com/shop/tools:v1"


@pytest.fixture(autouse=True)
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _lykeion(tmp_path: Path, script: str) -> dict[str, str]:
    """An environment in which pulling runs a script."""
    program = tmp_path / "bin" / "lykeion"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/pulls\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


@pytest.mark.parametrize("image", ["tools:v1", "shop/tools@sha256:" + "a" * 64])
def test_an_image_without_a_registry_is_not_found(image: str) -> None:
    reason, message = ProgramImages({}, lambda: None).missing(image)
    assert (reason, image in message) == ("ImageNotFound", True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo noise >&2; echo error: connection refused >&2; exit 2", f"{IMAGE}: connection refused"),
        ("kill -9 $$", f"{IMAGE}: the pull ended with code -9"),
        ("exit 3", f"{IMAGE}: the pull ended with code 3"),
    ],
)
def test_why_an_image_cannot_be_pulled_is_said_and_it_is_pulled_once_at_a_time(
    tmp_path: Path, script: str, said: str
) -> None:
    async def wait() -> tuple[str, str]:
        changed = asyncio.Event()
        images = ProgramImages(_lykeion(tmp_path, script), changed.set)
        assert images.missing(IMAGE) == images.missing(IMAGE) == ("ImageNotPulled", f"{IMAGE} is being pulled")
        await changed.wait()
        return images.missing(IMAGE)

    assert asyncio.run(wait()) == ("ImageNotPulled", said)
    assert (tmp_path / "pulls").read_text() == f"images pull --quiet --json {IMAGE} --tag {IMAGE}\n"


def test_where_nothing_can_be_started_that_is_said(tmp_path: Path) -> None:
    async def wait() -> str:
        changed = asyncio.Event()
        images = ProgramImages({"PATH": str(tmp_path)}, changed.set)
        images.missing(IMAGE)
        await changed.wait()
        return images.missing(IMAGE)[1]

    assert asyncio.run(wait()) == f"{IMAGE}: lykeion: No such file or directory"
