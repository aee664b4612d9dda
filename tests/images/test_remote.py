"""Images go to a registry and come from one with the same digest, and what is attached goes along."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.images.assembly import Built, build
from lykeion.images.describe import read_attached
from lykeion.images.errors import ImageError
from lykeion.images.remote import pull_image, push_image
from lykeion.images.spec import read_spec
from lykeion.images.volume import build_volume
from lykeion.oci import Layout, Platform
from lykeion.oci.distribution import ArtifactStore, transfer
from lykeion.registry import Stores
from tests.oci.distribution.fake import running

from .making import describe

quietly = partial(transfer, quiet=True)


@pytest.fixture
def host() -> Iterator[str]:
    with running() as registry:
        yield registry.host


@pytest.fixture
def store(host: str) -> ArtifactStore:
    return Stores().of(host)


@pytest.fixture
def image(project: Path, output: Layout) -> Built:
    return build(read_spec(project / "image.yaml"), output, quiet=True)


def test_an_image_comes_back_with_its_digest(
    image: Built, output: Layout, store: ArtifactStore, tmp_path: Path
) -> None:
    push_image(output, image.descriptor, store, "shop/search", "v1", quietly)
    assert store.resolve("shop/search", "v1") == image.descriptor.digest
    kinds = {it.artifact_type for it in store.referrers("shop/search", image.descriptor.digest, "")}
    assert kinds == {"application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}
    other = Layout.open(tmp_path / "other", create=True)
    found = pull_image(store, "shop/search", image.descriptor.digest, other, quietly)
    assert found.digest == image.descriptor.digest
    for layer in image.parts[0].layers:
        other.verify(layer.descriptor)
    assert read_attached(other, found, "bill") == read_attached(output, image.descriptor, "bill")


def test_pushing_again_attaches_no_second(image: Built, output: Layout, store: ArtifactStore) -> None:
    for _ in range(2):
        push_image(output, image.descriptor, store, "shop/search", "v1", quietly)
    assert len(store.referrers("shop/search", image.descriptor.digest, "")) == 2


def test_one_platform_of_an_index_can_be_pulled(
    project: Path, output: Layout, store: ArtifactStore, tmp_path: Path
) -> None:
    volume = build_volume(project / "app", output, "app:v1", compression="none")
    push_image(output, volume.descriptor, store, "app", "v1", quietly)
    other = Layout.open(tmp_path / "other", create=True)
    pull_image(store, "app", volume.descriptor.digest, other, quietly, platforms=[Platform("linux", "arm64")])
    assert sum(1 for _ in other.digests()) == 5, "the index, both manifests, one configuration, the layer"


def test_a_base_is_fetched_by_its_digest(image: Built, output: Layout, host: str, project: Path) -> None:
    push_image(output, image.descriptor, Stores().of(host), "base/python", "v1", quietly)
    describe(project, name="above", base={"registry": f"{host}/base/python@{image.descriptor.digest}"})
    done = CliRunner().invoke(app, ["images", "build", str(project / "image.yaml"), "--json"], catch_exceptions=False)
    assert image.parts[0].layers[0].descriptor.digest in done.stdout


def test_push_and_pull_by_command(image: Built, output: Layout, host: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        return CliRunner().invoke(app, ["images", *arguments, "-q"], catch_exceptions=False).stdout

    target = f"{host}/shop/search:v1"
    assert image.descriptor.digest in run("push", "shop:latest", target, "--layout", str(output.root))
    assert image.descriptor.digest in run("pull", target, "--layout", str(tmp_path / "other"))
    found = Layout.open(tmp_path / "other").resolve("search:v1")
    assert found is not None
    assert found.digest == image.descriptor.digest


def test_a_target_that_is_no_registry_is_refused(image: Built, output: Layout) -> None:
    with pytest.raises(ImageError, match="not in a registry"):
        CliRunner().invoke(
            app, ["images", "push", "shop:latest", "shop:v1", "--layout", str(output.root)], catch_exceptions=False
        )
