"""Two callers of one layout, wherever the first is between looking and acting."""

from pathlib import Path

import pytest

from lykeion.oci import EMPTY, Descriptor, ImageManifest, Layout
from tests.interleaving import Meeting, meet_at_every_act

DATA = b"of a blob"
MANIFEST = ImageManifest(EMPTY, ())


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_two_make_one_layout(tmp_path: Path, there: bool) -> None:
    def prepare(number: int) -> Meeting:
        root = tmp_path / str(number)
        if there:
            root.mkdir()

        def check() -> None:
            assert {Layout.open(root).resolve(ref) is None for ref in ("first", "second")} == {False}

        return Meeting(
            lambda: Layout.open(root, create=True).put_manifest(MANIFEST, "first"),
            lambda: Layout.open(root, create=True).put_manifest(MANIFEST, "second"),
            check,
        )

    assert meet_at_every_act(prepare) > 10


def test_two_move_one_reference_and_one_learns_that_it_was_late(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        layout = Layout.open(tmp_path / str(number), create=True)
        before: list[str | None] = []
        digests = [layout.put_manifest(ImageManifest(EMPTY, (), artifact_type=name)) for name in ("a/a", "b/b")]

        def move(descriptor: Descriptor) -> None:
            before.append(layout.set_ref("live", descriptor))

        def check() -> None:
            now = layout.resolve("live")
            assert now
            (late,) = {each.digest for each in digests} - {now.digest}
            assert {*before} == {None, late}

        return Meeting(lambda: move(digests[0]), lambda: move(digests[1]), check)

    assert meet_at_every_act(prepare) > 5


def test_a_sweep_leaves_a_blob_that_begins(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        layout = Layout.open(tmp_path / str(number), create=True)
        written: list[Descriptor] = []
        return Meeting(
            lambda: written.append(layout.put(DATA, "text/plain")),
            layout.sweep,
            lambda: layout.verify(written[0]),
        )

    assert meet_at_every_act(prepare) > 3


def test_two_write_one_blob(tmp_path: Path) -> None:
    def prepare(number: int) -> Meeting:
        layout = Layout.open(tmp_path / str(number), create=True)
        written: list[Descriptor] = []

        def put() -> None:
            written.append(layout.put(DATA, "text/plain"))

        return Meeting(put, put, lambda: layout.verify(written[0]))

    assert meet_at_every_act(prepare) > 3
