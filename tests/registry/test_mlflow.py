import json
from pathlib import Path

import pytest

from lykeion.core import SILENT, NotFound, digest_bytes
from lykeion.oci.distribution import DiskStore, RemoteStore, Transport
from lykeion.registry import InvalidModel, export_mlflow, import_mlflow, list_versions, parse, pull
from lykeion.registry.artifact.facts import ModelFacts
from tests.oci.distribution.fake import running
from tests.registry.making import model_directory, pushed


def mlflow_registry(root: Path) -> Path:
    """As MLflow's file store writes it: model Shoes with versions 1 and 10, alias champion at 10."""
    for number, run in (("1", "a" * 32), ("10", "b" * 32)):
        files = model_directory(root / "0" / run / "artifacts" / "model", f"weights {number}".encode())
        metrics = root / "0" / run / "metrics"
        metrics.mkdir()
        (metrics / "val-top1").write_text(f"1700000000000 0.1 0\n1700000001000 0.{number} 1\n")
        home = root / "models" / "Shoes" / f"version-{number}"
        home.mkdir(parents=True)
        (home / "meta.yaml").write_text(
            f"name: Shoes\nversion: {number}\nrun_id: {run}\nsource: {files.resolve().as_uri()}\nstatus: READY\n"
        )
    (root / "models" / "Shoes" / "meta.yaml").write_text("name: Shoes\n")
    (root / "models" / "Shoes" / "aliases").mkdir()
    (root / "models" / "Shoes" / "aliases" / "champion").write_text("10")
    return root


def test_versions_aliases_metrics_and_runs_come_in(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    for _ in range(2):  # again changes nothing
        imported = import_mlflow(mlflow_registry(tmp_path / f"mlruns{_}") if not _ else tmp_path / "mlruns0", store)
        assert [each.version for each in imported] == ["v1", "v2"]
    newest, oldest = list_versions(store, "shoes")
    assert (newest.aliases, newest.metrics["val_top1"], oldest.metrics["val_top1"]) == (("champion",), 0.1, 0.1)
    pull(store, parse("shoes:champion"), tmp_path / "out", reporter=SILENT)
    assert (tmp_path / "out" / "model.tflite").read_bytes() == b"weights 10"


def test_what_goes_out_comes_in_again(tmp_path: Path) -> None:
    store, again = DiskStore(tmp_path / "store"), DiskStore(tmp_path / "again")
    for n in range(2):
        pushed(
            store, tmp_path / str(n), "shoes:canary", str(n).encode(), ModelFacts({"top1": n / 2, "device": "host"})
        )
    assert export_mlflow(store, parse("shoes"), tmp_path / "mlruns", reporter=SILENT) == ["v1", "v2"]
    import_mlflow(tmp_path / "mlruns", again, "shoes")
    newest, oldest = list_versions(again, "shoes")
    assert (newest.version, newest.aliases, oldest.metrics["top1"]) == ("v2", ("canary",), 0.0)


def test_what_is_no_registry_of_mlflows_is_said_to_be(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    with pytest.raises(NotFound):
        import_mlflow(tmp_path, store)
    root = mlflow_registry(tmp_path / "mlruns")
    with pytest.raises(NotFound, match="Shoes"):
        import_mlflow(root, store, "Bags")
    meta = root / "models" / "Shoes" / "version-1" / "meta.yaml"
    meta.write_text("!!python/object/apply:os.system ['false']")
    with pytest.raises(InvalidModel):
        import_mlflow(root, store)
    meta.write_text("source: s3://bucket/model\n")
    with pytest.raises(NotFound, match="s3://"):
        import_mlflow(root, store)
    with pytest.raises(NotFound):
        export_mlflow(store, parse("bags"), tmp_path / "out", reporter=SILENT)


def test_what_a_registry_calls_tags_and_metrics_leads_nowhere_else(tmp_path: Path) -> None:
    with running() as registry:
        store, reference = RemoteStore(Transport(registry.host)), parse(f"{registry.host}/shoes")
        digest = pushed(store, tmp_path / "a", "shoes:canary")
        odd = ("../../../../victim.conf", "..", "a/b", "a b", "", ".")
        registry.tags["shoes"].update(dict.fromkeys(odd, digest))
        assert not set(odd) & set(store.tags("shoes"))
        out = tmp_path / "out" / "deep" / "mlruns"
        export_mlflow(store, reference, out, reporter=SILENT)
        assert [path.name for path in (out / "models" / "shoes" / "aliases").iterdir()] == ["canary"]
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["deep"]
        manifest = json.loads(store.manifest("shoes", digest))
        manifest["annotations"]["io.github.lykeion.metric.../../../x"] = "1"
        store.write("shoes", [forged := json.dumps(manifest).encode()], {"v2": digest_bytes(forged)})
        with pytest.raises(InvalidModel, match="metric"):
            export_mlflow(store, reference, tmp_path / "again", reporter=SILENT)
        assert not list((tmp_path / "again").rglob("x"))


def test_a_tag_that_moves_meanwhile_is_exported_as_it_was_first(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    old = pushed(store, tmp_path / "a", "shoes", b"old", ModelFacts({"top1": 0.25}))
    new = pushed(store, tmp_path / "b", "other", b"new", ModelFacts({"top1": 0.75}))
    store.write("shoes", [store.manifest("other", new)], {})

    class Moving(DiskStore):
        def resolve(self, repository: str, tag: str) -> str | None:
            digest = super().resolve(repository, tag)
            store.write("shoes", [], {"v1": new})
            return digest

    export_mlflow(Moving(store.root), parse("shoes"), tmp_path / "mlruns", reporter=SILENT)
    (metric,) = (tmp_path / "mlruns" / "0").glob("*/metrics/top1")
    assert metric.parent.parent.name == old.removeprefix("sha256:")[:32]
    assert metric.read_text().split()[1] == "0.25"


def test_names_in_a_layouts_index_that_are_none_are_left_alone(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    digest = pushed(store, tmp_path / "a", "shoes")
    descriptor = store.layout.resolve(digest)
    assert descriptor
    for ref in ("shoes:../../x", "../../shoes:v1", "shoes:a/b"):
        store.layout.set_ref(ref, descriptor)
    assert store.repositories() == ["shoes"]
    assert [tag for tag in store.tags("shoes") if not tag.startswith("lykeion.")] == ["v1"]
    assert store.resolve("shoes", "../../x") is None


@pytest.mark.parametrize(
    "meta",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nsource: [*b, *b]\n",  # each alias doubles what is read
        "x: " + "[" * 100_000,
        "x: y\n" * 300_000,
    ],
)
def test_a_bomb_in_a_meta_file_is_refused(meta: str, tmp_path: Path) -> None:
    root = mlflow_registry(tmp_path / "mlruns")
    (root / "models" / "Shoes" / "version-1" / "meta.yaml").write_text(meta)
    with pytest.raises(InvalidModel, match=r"meta\.yaml"):
        import_mlflow(root, DiskStore(tmp_path / "store"))


def test_what_a_metric_or_an_alias_cannot_be_is_left_out_or_refused(tmp_path: Path) -> None:
    root, store = mlflow_registry(tmp_path / "mlruns"), DiskStore(tmp_path / "store")
    (root / "0" / ("a" * 32) / "metrics" / "loss").write_text("1700000000000 nan 0\n")
    import_mlflow(root, store)
    assert set(list_versions(store, "shoes")[1].metrics) == {"val_top1"}
    (root / "models" / "Shoes" / "aliases" / "champion").write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidModel, match="champion"):
        import_mlflow(root, store)
