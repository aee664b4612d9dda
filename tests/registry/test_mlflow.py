from pathlib import Path

import pytest

from lykeion.core import NotFound
from lykeion.oci.distribution import DiskStore
from lykeion.registry import InvalidModel, export_mlflow, import_mlflow, list_versions, parse, pull
from lykeion.registry.artifact.facts import ModelFacts
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
    pull(store, parse("shoes:champion"), tmp_path / "out", quiet=True)
    assert (tmp_path / "out" / "model.tflite").read_bytes() == b"weights 10"


def test_what_goes_out_comes_in_again(tmp_path: Path) -> None:
    store, again = DiskStore(tmp_path / "store"), DiskStore(tmp_path / "again")
    for n in range(2):
        pushed(
            store, tmp_path / str(n), "shoes:canary", str(n).encode(), ModelFacts({"top1": n / 2, "device": "host"})
        )
    assert export_mlflow(store, parse("shoes"), tmp_path / "mlruns", quiet=True) == ["v1", "v2"]
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
        export_mlflow(store, parse("bags"), tmp_path / "out", quiet=True)
