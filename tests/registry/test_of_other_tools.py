"""Models as other tools store them: ``oras push``, ``oras cp --to-oci-layout``."""

import json
from pathlib import Path

import pytest

from lykeion.core import SILENT, NotFound, digest_bytes
from lykeion.oci import EMPTY, EMPTY_BLOB, Descriptor
from lykeion.oci.distribution import ArtifactStore, DiskStore, Reference, RemoteStore, Transport
from lykeion.registry import BlobCache, InvalidModel, list_versions, parse, pull, show, verify
from lykeion.registry.artifact.model_artifact import TITLE
from tests.oci.distribution.fake import running
from tests.registry.making import IGNORE

CONTENT = b"weights"
FILE = Descriptor("application/vnd.oci.image.layer.v1.tar", digest_bytes(CONTENT), 7, annotations={TITLE: "m.tflite"})


def as_oras(kind: str = "application/vnd.unknown.artifact.v1", config: Descriptor = EMPTY) -> bytes:
    """What ``oras push REGISTRY/shoes:latest m.tflite`` makes."""
    value = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": config.to_json() | {"data": "e30="},
        "layers": [FILE.to_json()],
        "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
    }
    return json.dumps(value).encode()


def put(store: ArtifactStore, data: bytes, tag: str) -> None:
    store.put("shoes", FILE, CONTENT, IGNORE)
    store.put("shoes", EMPTY, EMPTY_BLOB, IGNORE)
    store.write("shoes", [data], {tag: digest_bytes(data)})


@pytest.mark.parametrize(
    "kind", ["application/vnd.unknown.artifact.v1", "application/vnd.cncf.model.manifest.v1+json"]
)
def test_what_oras_pushed_is_pulled_shown_and_verified(kind: str, tmp_path: Path) -> None:
    with running() as registry:
        store, shoes = RemoteStore(Transport(registry.host)), Reference(registry.host, "shoes")
        put(store, as_oras(kind), "latest")
        pull(store, shoes, tmp_path / "out", cache=BlobCache(tmp_path / "c"), reporter=SILENT)
        assert [(path.name, path.read_bytes()) for path in (tmp_path / "out").iterdir()] == [("m.tflite", CONTENT)]
        shown = show(store, shoes.at("latest"))
        assert (dict(shown.files), shown.told) == ({"m.tflite": 7}, {})
        assert verify(store, shoes, reporter=SILENT) == []
        assert [version.aliases for version in list_versions(store, "shoes")] == [("latest",)]


def test_a_model_that_only_aliases_name_is_latest_or_its_aliases_are_told(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    put(store, as_oras(), "stable")
    with pytest.raises(NotFound, match="no versions; there is stable"):
        show(store, parse("shoes"))
    put(store, as_oras(), "latest")
    assert show(store, parse("shoes")).version.aliases == ("latest", "stable")


def test_images_and_what_is_attached_are_still_no_models(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    image = Descriptor("application/vnd.oci.image.config.v1+json", EMPTY.digest, EMPTY.size)
    attached = json.loads(as_oras()) | {"subject": EMPTY.to_json()}
    for data in (as_oras("", image), json.dumps(attached).encode()):
        put(store, data, "odd")
        with pytest.raises(InvalidModel, match="not a model"):
            show(store, parse("shoes:odd"))


def test_a_layout_that_oras_copied_to_is_a_store_with_one_model_of_its_name(tmp_path: Path) -> None:
    root, data = tmp_path / "shoes", as_oras()
    (root / "blobs" / "sha256").mkdir(parents=True)
    for content in (data, CONTENT, EMPTY_BLOB):
        (root / "blobs" / "sha256" / digest_bytes(content).removeprefix("sha256:")).write_bytes(content)
    entry = Descriptor("application/vnd.oci.image.manifest.v1+json", digest_bytes(data), len(data)).to_json()
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    store = DiskStore(root)
    assert store.repositories() == ["shoes"]
    pull(store, parse("shoes:v1"), tmp_path / "out", reporter=SILENT)
    assert (tmp_path / "out" / "m.tflite").read_bytes() == CONTENT
    assert verify(store, parse("shoes"), reporter=SILENT) == []
