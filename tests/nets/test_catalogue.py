import subprocess
import sys
from pathlib import Path

import pytest

from lykeion.nets import NETWORKS, ArchitectureError, find, mobilenet_v2, multiple_of_8, write_architecture
from lykeion.nets.architecture import MAX_FILE_BYTES


@pytest.mark.parametrize("name", NETWORKS)
def test_every_name_finds_its_network(name: str) -> None:
    assert find(name).name == name
    assert (find(name).height, find(name).width, find(name).classes) == (224, 224, 1000)


def test_a_name_may_have_a_width_and_a_resolution() -> None:
    found = find("mobilenet-v2-0.5@160")
    assert (found.name, found.height, found.width) == ("mobilenet-v2-0.5", 160, 160)
    assert found.rows == mobilenet_v2(0.5).rows
    assert find("mobilenet-v2-1.0") == find("mobilenet-v2")


def test_what_is_asked_for_apart_replaces_what_the_network_has() -> None:
    found = find("mobilenet-v3-small@160", resolution=32, classes=10, channels=1)
    assert (found.height, found.width, found.classes, found.channels) == (32, 32, 10, 1)


def test_a_written_file_is_found_as_it_was(tmp_path: Path) -> None:
    architecture = find("mobilenet-v3-large-0.75@96", classes=7)
    write_architecture(architecture, tmp_path / "mine.json")
    assert find(str(tmp_path / "mine.json")) == architecture


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("mobilenet-v9", "no network 'mobilenet-v9'; name a .json file, or one of mobilenet-v1"),
        ("mobilenet-v2-wide", "'wide' is not a width"),
        ("mobilenet-v2-nan", "'nan' is not a width"),
        ("mobilenet-v2-99", "'99' is not a width"),
        ("efficientnet-lite0-0.5", "has only one width"),
        ("mobilenet-v2@big", "'big' is not a resolution"),
        ("mobilenet-v2@0", "height is 0"),
        ("missing.json", "missing.json: cannot read the architecture: No such file"),
        ("", "no network ''"),
    ],
)
def test_a_wrong_name_is_an_error_of_one_line_that_says_what_to_write(spec: str, says: str) -> None:
    with pytest.raises(ArchitectureError, match=says) as caught:
        find(spec)
    assert "\n" not in str(caught.value)


def test_a_file_too_large_or_not_an_architecture_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ArchitectureError, match=r"large\.json: larger than 1 MiB"):
        find(str(tmp_path / "large.json"))
    with pytest.raises(ArchitectureError, match=r'other\.json: not an architecture: its "schema" is None'):
        find(str(tmp_path / "other.json"))


@pytest.mark.parametrize(("channels", "rounded"), [(1, 8), (11.2, 16), (12, 16), (36, 40), (33.6, 32), (90, 88)])
def test_channels_are_rounded_to_eights_and_never_a_tenth_down(channels: float, rounded: int) -> None:
    assert multiple_of_8(channels) == rounded


def test_counting_needs_neither_a_training_framework_nor_litert() -> None:
    program = (
        "import sys; from lykeion.nets import count, find; count(find('mobilenet-v3-large'));"
        "print(*sys.modules.keys() & {'tensorflow', 'keras', 'jax', 'ai_edge_litert', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
