"""Verification of a model against its digests, its schema and its annotations, reading every byte."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lykeion.core import CONSOLE, LykeionError, Reporter
from lykeion.oci import Descriptor
from lykeion.oci.distribution import Advance, ArtifactStore, Reference, transfer
from lykeion.registry.artifact.model_artifact import Model
from lykeion.registry.errors import InvalidModel
from lykeion.registry.resolving import config_of, facts_of, load, newest

from .policy import Policy, check_trust


def verify(
    store: ArtifactStore, reference: Reference, *, policy: Policy | None = None, reporter: Reporter = CONSOLE
) -> list[str]:
    """The problems, one line each; empty if there are none. Raises NotFound, StoreError."""
    reference = newest(store, reference)
    model, repository = load(store, reference), reference.repository
    problems = [
        *_problem(lambda: _check_config(store, repository, model)),
        *_problem(lambda: facts_of(store, repository, model)),
        *_problem(lambda: policy and check_trust(policy, store, reference, model)),
    ]
    blobs = {file.blob.digest: file.blob for file in model.files}
    with tempfile.TemporaryDirectory() as directory:

        def check(blob: Descriptor, advance: Advance) -> None:
            path = Path(directory) / blob.digest.replace(":", "-")
            problems.extend(_problem(lambda: store.fetch(repository, blob, path, advance)))
            path.unlink(missing_ok=True)

        jobs = [partial(check, blob) for blob in blobs.values()]
        transfer(f"verifying {reference}", sum(blob.size for blob in blobs.values()), jobs, reporter)
    return problems


def _check_config(store: ArtifactStore, repository: str, model: Model) -> None:
    config = config_of(store, repository, model)
    if config and config["modelfs"]["diffIds"] != [layer.digest for layer in model.manifest.layers]:
        raise InvalidModel("model config: modelfs.diffIds are not the digests of the layers")


def _problem(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except LykeionError as error:
        return [str(error)]
    return []
