"""What a directory becomes, and what a manifest may be."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import SILENT, LykeionError, Unsupported, digest_bytes
from lykeion.oci import Descriptor, ImageManifest
from lykeion.registry import InvalidModel, Lineage, ModelFacts, Publication, Stores, gather, pack, publish, pull
from lykeion.registry.artifact.directory_artifact import pack_directory
from lykeion.registry.artifact.facts import metrics_of, read_facts
from lykeion.registry.artifact.model_artifact import TITLE, read_model
from lykeion.registry.artifact.modelpack import ARTIFACT, CONFIG, FILE_PATH, ModelConfig, check, read_config
from tests.registry.making import model_directory

CARD = {
    "name": "Shoes",
    "height": 32,
    "width": 32,
    "channels": "RGB",
    "mean": [0, 0, 0],
    "std": [1, 1, 1],
    "crop": "centre",
    "crop_fraction": 1,
    "output": "e",
    "dimension": 8,
    "licence": "Apache-2.0",
}

names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
figures = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=50),
)
digests = st.binary(min_size=1, max_size=8).map(digest_bytes)
facts = st.builds(
    ModelFacts,
    st.dictionaries(names, figures, max_size=8),
    st.builds(
        Lineage,
        st.text(max_size=20),
        st.one_of(st.just(""), digests),
        st.text(max_size=20),
        st.just(""),
        st.lists(digests.map(lambda digest: f"shop/shoes@{digest}"), max_size=4).map(tuple),
    ),
)


def manifest(*layers: Descriptor, artifact_type: str = ARTIFACT, config: str = CONFIG) -> bytes:
    empty = Descriptor(config, digest_bytes(b"{}"), 2)
    return ImageManifest(empty, layers, artifact_type=artifact_type).to_bytes()


def layer(path: str, kind: str = "application/vnd.cncf.model.weight.v1.raw") -> Descriptor:
    return Descriptor(kind, digest_bytes(path.encode()), 1, annotations={FILE_PATH: path})


def test_the_same_files_have_the_same_digest_wherever_and_whenever(tmp_path: Path) -> None:
    one = model_directory(tmp_path / "one", b"w", model_json=json.dumps(CARD).encode())
    other = tmp_path / "other"
    other.mkdir()
    for path in sorted(one.iterdir(), reverse=True):
        (other / path.name).write_bytes(path.read_bytes())
        os.utime(other / path.name, (1, 1))
        (other / path.name).chmod(0o600)
    (other / ".hidden").touch()
    (other / "checkpoint-3").mkdir()
    (other / "checkpoint-3" / "x.npz").touch()
    (other / "last.npz").touch()
    assert pack(one, "shoes", ModelFacts()).model.digest == pack(other, "shoes", ModelFacts()).model.digest
    (other / "README.md").write_bytes(b"another")
    assert pack(one, "shoes", ModelFacts()).model.digest != pack(other, "shoes", ModelFacts()).model.digest


def test_the_config_tells_what_the_card_and_the_architecture_tell(tmp_path: Path) -> None:
    directory = model_directory(
        tmp_path, model_json=json.dumps(CARD).encode(), architecture_json=b'{"name": "mobilenet-v2"}'
    )
    packed = pack(directory, "shoes", ModelFacts({"top1": 0.5}))
    config = read_config(packed.sources[packed.model.manifest.config.digest])  # type: ignore[arg-type]
    assert config["descriptor"] == {"name": "shoes", "title": "Shoes", "licenses": ["Apache-2.0"]}
    assert config["config"] == {
        "architecture": "mobilenet-v2",
        "format": "tflite",
        "capabilities": {"inputTypes": ["image"], "outputTypes": ["embedding"]},
    }
    assert config["modelfs"]["diffIds"] == [blob.digest for blob in packed.model.manifest.layers]
    kinds = {file.path: file.blob.media_type for file in packed.model.files}
    assert kinds["model.tflite"].endswith("weight.v1.raw")
    assert kinds["README.md"].endswith("doc.v1.raw")
    assert kinds["model.json"].endswith("weight.config.v1.raw")


def test_what_is_no_model_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="is not a directory"):
        pack(tmp_path / "nothing", "shoes", ModelFacts())
    (tmp_path / "README.md").touch()
    with pytest.raises(InvalidModel, match="has no model"):
        pack(tmp_path, "shoes", ModelFacts())
    (tmp_path / "model.tflite").symlink_to("/etc/passwd")
    with pytest.raises(InvalidModel, match="symbolic link"):
        pack(tmp_path, "shoes", ModelFacts())


@pytest.mark.parametrize(
    "path", ["../up", "/abs", "a/../../b", "a//b", "./a", "", "a\\b", "a\nb", "a\0b", "x" * 256, ".", "a/."]
)
def test_no_file_of_a_manifest_leads_out_of_its_directory(path: str) -> None:
    with pytest.raises(InvalidModel):
        read_model(manifest(layer(path)))


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidModel, match="two of one name"):
        read_model(manifest(layer("a"), layer("a")))
    with pytest.raises(InvalidModel):
        read_model(manifest(layer("lykeion.json")))


def test_archives_are_said_to_be_unsupported_and_images_to_be_no_model() -> None:
    with pytest.raises(Unsupported, match="archive"):
        read_model(manifest(layer("a", "application/vnd.cncf.model.weight.v1.tar+gzip")))
    with pytest.raises(InvalidModel, match="not a model"):
        read_model(manifest(artifact_type="", config="application/vnd.oci.image.config.v1+json"))


def test_a_file_that_another_tool_named_by_its_title_is_read() -> None:
    titled = Descriptor("application/octet-stream", digest_bytes(b"a"), 1, annotations={TITLE: "m.tflite"})
    assert read_model(manifest(titled)).files[0].path == "m.tflite"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_raise_one_line(data: bytes) -> None:
    with pytest.raises(LykeionError) as error:
        read_model(data)
    assert "\n" not in str(error.value)


@given(facts)
def test_facts_come_back_and_agree_with_their_annotations(told: ModelFacts) -> None:
    again = read_facts(told.to_json())
    assert again == told
    assert again.to_json() == told.to_json()
    assert told.agree(told.annotations())
    assert metrics_of(told.annotations()) == dict(told.metrics)


def test_annotations_that_tell_more_or_less_do_not_agree() -> None:
    told = ModelFacts({"top1": 0.5})
    assert not told.agree({})
    assert not told.agree({**told.annotations(), **ModelFacts({"top5": 1.0}).annotations()})
    assert not told.agree(ModelFacts({"top1": 0.6}).annotations())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"schema": 2}',
        b'{"schema": 1, "more": 1}',
        b'{"schema": 1, "metrics": {"a": 1, "a": 2}}',
        b'{"schema": 1, "metrics": {"A": 1}}',
        b'{"schema": 1, "metrics": {"a": []}}',
        b'{"schema": 1, "metrics": {"a": NaN}}',
        b"[" * 100_000,
        b'{"schema": 1, "lineage": {"data": "x"}}',
        b'{"schema": 1, "lineage": {"parents": ["shoes:v1"]}}',
        b'{"schema": 1, "lineage": {"parents": 3}}',
        b'{"schema": 1, "lineage": {"parents": [3]}}',
    ],
)
def test_facts_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidModel):
        read_facts(data)


def test_a_run_of_lykeion_train_tells_accuracy_data_and_name(tmp_path: Path) -> None:
    run = model_directory(tmp_path / "shoes-7")
    digest = digest_bytes(b"data")
    (run / "report.json").write_text(json.dumps({"validation_accuracy": 0.875, "test_accuracy": None}))
    (run / "run.json").write_text(json.dumps({"settings": {"data": {"digest": digest}}}))
    told = gather(run, metrics=["latency_ms=3.5", "device=host"], lineage={"code": "abc"})
    assert dict(told.metrics) == {"validation_top1": 0.875, "latency_ms": 3.5, "device": "host"}
    assert told.lineage == Lineage(run="shoes-7", data=digest, code="abc")
    with pytest.raises(InvalidModel, match="name=value"):
        gather(run, metrics=["latency_ms"])


def test_parents_are_named_by_digest_and_once(tmp_path: Path) -> None:
    parent = f"shoes@{digest_bytes(b'1')}"
    told = gather(tmp_path, parents=["shoes:v1", "shoes:champion"], name_by_digest=lambda _text: parent)
    assert told.lineage.parents == (parent,)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"more": 1}, "more"),
        ({"descriptor": {"title": 3}}, "descriptor.title"),
        ({"descriptor": {"name": ""}}, "descriptor.name"),
        ({"descriptor": {"createdAt": "yesterday"}}, "createdAt"),
        ({"config": {"metrics": {}}}, "config.metrics"),
        ({"config": {"capabilities": {"inputTypes": ["smell"]}}}, r"inputTypes\[0\]"),
        ({"modelfs": {"type": "layers"}}, "diffIds"),
        ({"config": {"capabilities": {"languages": ["eng"]}}}, "languages"),
        ({"config": {"capabilities": {"reward": "no"}}}, "reward"),
        ({"modelfs": {"type": "layers", "diffIds": []}}, "diffIds"),
        ({"modelfs": {"type": "x", "diffIds": ["y"]}}, "type"),
    ],
)
def test_a_config_that_the_schema_does_not_allow_is_refused_by_field(change: dict[str, object], field: str) -> None:
    good = {"descriptor": {}, "config": {}, "modelfs": {"type": "layers", "diffIds": [digest_bytes(b"")]}}
    check(good)
    with pytest.raises(InvalidModel, match=field):
        check({**good, **change})


def test_a_full_config_is_allowed_and_a_size_has_its_letter() -> None:
    digest = digest_bytes(b"")
    config = ModelConfig(
        "shoes",
        (digest,),
        family="f",
        title="t",
        description="d",
        authors=("a",),
        licences=("MIT",),
        source_url="u",
        revision="r",
        architecture="cnn",
        format="onnx",
        parameters=4_421_616,
        precision="float32",
        input_types=("image",),
        output_types=("embedding",),
    )
    assert json.loads(config.to_json())["config"]["paramSize"] == "4.4m"
    check(
        {
            "descriptor": {"createdAt": "2026-01-31T12:00:00.5+01:00"},
            "config": {},
            "modelfs": {"type": "layers", "diffIds": [digest]},
        }
    )


def test_every_file_of_any_directory_comes_back(tmp_path: Path) -> None:
    stores = Stores(tmp_path / "store")
    files = {"wal.log": b"log", ".hidden": b"", "segments/a/rows.bin": b"rows", "checkpoint.npz": b"weights"}
    for name, data in files.items():
        path = tmp_path / "shop.index" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    whole = Publication(whole=True, aliases=("run-1", "nightly"))
    pushed = publish(tmp_path / "shop.index", "shop:latest", stores, whole, reporter=SILENT)
    for alias in ("latest", "run-1", "nightly"):
        place, reference = stores.find(f"shop:{alias}")
        assert pull(place, reference, tmp_path / alias, reporter=SILENT).digest == pushed.digest
        found = {path.relative_to(tmp_path / alias).as_posix(): path for path in (tmp_path / alias).rglob("*")}
        assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == files


def test_a_directory_without_files_or_with_a_link_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="has 0 files"):
        pack_directory(tmp_path, "shop")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidModel, match="symbolic link"):
        pack_directory(tmp_path, "shop")
