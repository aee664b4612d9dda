"""Import from and export to MLflow's model registry in a directory: versions and aliases.

The layout: ``models/NAME/meta.yaml``, ``models/NAME/version-N/meta.yaml`` whose ``source`` is the directory of the
files, ``models/NAME/aliases/ALIAS`` with a version's number; ``EXPERIMENT/RUN/metrics/NAME``, lines of time, value
and step. MLflow itself is not needed.
"""

import math
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lykeion.core import CONSOLE, SILENT, NotFound, Reporter, read_bounded, read_yaml, write_atomically
from lykeion.oci.distribution import ArtifactStore, DiskStore, InvalidReference, Reference

from .aliases import aliases, move, versions
from .artifact.facts import Figure, Lineage, ModelFacts, metrics_of
from .artifact.model_artifact import pack
from .errors import InvalidModel
from .model_names import check_alias, parse, version_number
from .resolving import load
from .transfers.pull import pull
from .transfers.push import Pushed, push
from .trust.policy import Policy

_MAX_ALIAS = 64
_MAX_METRIC = 2**24
_RUN = re.compile(r"[A-Za-z0-9_-]+")


def import_mlflow(directory: Path, store: DiskStore, name: str | None = None) -> list[Pushed]:
    """The versions of all models below ``directory``, or of model ``name``, oldest first, each as the next version;
    then the aliases. Versions that were imported before are recognised. Raises NotFound, InvalidModel."""
    found = sorted(path.parent for path in (directory / "models").glob("*/meta.yaml"))
    models = [path for path in found if name in (None, path.name)]
    if not models:
        known = f"; there is {', '.join(path.name for path in found[:10])}" if found else ""
        raise NotFound(f"{directory}: no MLflow registry with a model {name or ''}{known}".replace("  ", " "))
    imported: list[Pushed] = []
    for model in models:
        reference, digests = _reference(model.name), dict[int, str]()
        for number, path in _numbered(model):
            meta = read_yaml(path / "meta.yaml", InvalidModel).values
            files = _local(str(meta.get("source") or ""), path)
            run = str(meta.get("run_id") or "")
            facts = _facts(directory, run)
            pushed = push(pack(files, reference.name, facts), store, reference, reporter=SILENT)
            digests[number] = pushed.digest
            imported.append(pushed)
        for path in sorted((model / "aliases").glob("*")):
            number = read_bounded(path, InvalidModel, "alias", limit=_MAX_ALIAS).strip()
            if number.isdigit() and int(number) in digests:
                move(store, reference.repository, check_alias(path.name), digests[int(number)])
    return imported


def export_mlflow(
    store: ArtifactStore,
    reference: Reference,
    directory: Path,
    *,
    policy: Policy | None = None,
    reporter: Reporter = CONSOLE,
) -> list[str]:
    """All versions and aliases of a model as MLflow's registry in ``directory``; returns the versions.

    The files go to ``models/NAME/version-N/artifacts``, metrics to experiment 0. Raises NotFound, StoreError.
    """
    tags = store.tags(reference.repository)
    found = list(reversed(versions(tags)))
    if not found:
        raise NotFound(f"{reference}: no such model")
    home, now = directory / "models" / reference.name, int(time.time() * 1000)
    times = {"creation_timestamp": now, "last_updated_timestamp": now}
    numbers: dict[str, int] = {}
    for version in found:
        number, own = version_number(version) or 0, home / f"version-{version_number(version)}"
        pulled = pull(store, reference.at(version), own / "artifacts", policy=policy, reporter=reporter)
        numbers[pulled.digest] = number
        run = pulled.digest.removeprefix("sha256:")[:32]
        _write_run(directory, run, metrics_of(load(store, reference.at(pulled.digest)).manifest.annotations), now)
        source = (own / "artifacts").resolve().as_uri()
        meta = {"name": reference.name, "version": number, "run_id": run, "source": source, "status": "READY"}
        more = {"current_stage": "None", "description": "", "run_link": "", "status_message": "", "user_id": ""}
        _write(own / "meta.yaml", {**meta, **more, "storage_location": source, **times})
    for alias in aliases(tags):
        digest = store.resolve(reference.repository, alias)
        if digest in numbers:
            write_atomically(home / "aliases" / alias, str(numbers[digest]).encode())
    _write(home / "meta.yaml", {"name": reference.name, "description": "", **times})
    return found


def _reference(name: str) -> Reference:
    """MLflow allows any name; raises InvalidModel for those that are invalid here."""
    try:
        return parse(name.lower().replace(" ", "-"))
    except InvalidReference:
        raise InvalidModel(f"MLflow's model {name[:80]!r} has a name that is invalid here; rename it first") from None


def _numbered(model: Path) -> list[tuple[int, Path]]:
    found: list[tuple[int, Path]] = []
    for path in model.glob("version-*"):
        number = path.name.removeprefix("version-")
        if number.isdecimal() and (path / "meta.yaml").is_file():
            found.append((int(number), path))
    return sorted(found)


def _local(source: str, version: Path) -> Path:
    """The directory that a version's source names. Raises NotFound."""
    parts = urlsplit(source)
    path = Path(unquote(parts.path)) if parts.scheme in ("", "file") and parts.path else None
    if path is None or not path.is_dir():
        raise NotFound(f"{version}: its source {source[:200]!r} is not a directory on this machine")
    return path


def _facts(directory: Path, run: str) -> ModelFacts:
    metrics: dict[str, Figure] = {}
    if _RUN.fullmatch(run):
        for path in sorted(directory.glob(f"*/{run}/metrics/*")):
            value = _last(path)
            if value is not None:
                metrics[path.name.lower().replace("-", "_")] = value
    return ModelFacts(metrics, Lineage(run=run))


def _last(path: Path) -> float | None:
    """The last value of a metric; None if it is not a finite number."""
    try:
        with path.open("rb") as file:
            value = float(file.read(_MAX_METRIC).split(b"\n")[-2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return value if math.isfinite(value) else None


def _write_run(directory: Path, run: str, metrics: dict[str, Figure], now: int) -> None:
    home = directory / "0" / run
    for part in ("artifacts", "metrics", "params", "tags"):  # MLflow requires them of a run
        (home / part).mkdir(parents=True, exist_ok=True)
    for name, value in metrics.items():
        if isinstance(value, int | float):
            write_atomically(home / "metrics" / name, f"{now} {float(value)!r} 0\n".encode())
        else:
            write_atomically(home / "tags" / name, value.encode())
    whole = {"run_id": run, "run_uuid": run, "run_name": run[:12], "experiment_id": "0", "user_id": "", "status": 3}
    more = {"entry_point_name": "", "source_name": "", "source_type": 4, "source_version": ""}
    times = {"start_time": now, "end_time": now, "lifecycle_stage": "active", "deleted_time": None}
    _write(
        home / "meta.yaml",
        {**whole, **more, **times, "tags": [], "artifact_uri": (home / "artifacts").resolve().as_uri()},
    )
    experiment = directory / "0" / "meta.yaml"
    if not experiment.exists():
        place = (directory / "0").resolve().as_uri()
        told = {"experiment_id": "0", "name": "Default", "lifecycle_stage": "active", "artifact_location": place}
        _write(experiment, {**told, "creation_time": now, "last_update_time": now})


def _write(path: Path, value: dict[str, Any]) -> None:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=True)  # pyright: ignore[reportUnknownMemberType]
    write_atomically(path, text.encode())
