"""A version of the registry, held to a trust policy and fetched: what can be published of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lykeion import inputs, registry
from lykeion.core import SILENT, digest_file, read_json
from lykeion.delivery.errors import DeliveryError
from lykeion.device import Companion, RecordError, boxes_of, is_model_name
from lykeion.engines.running import ModelError, Trial, read_model, try_models
from lykeion.nets.training import read_classes
from lykeion.vision import CardError, ModelCard


@dataclass(frozen=True)
class NetworkFile:
    """A LiteRT file of a version. ``companion`` is None where it has no card."""

    name: str
    digest: str
    content: bytes
    companion: Companion | None


@dataclass(frozen=True)
class FetchedVersion:
    """``source`` is the repository in the registry that it is from; ``networks`` are by digest."""

    model: str
    source: str
    version: int
    manifest: str
    networks: Mapping[str, NetworkFile]


def fetch_version(name: str, into: Path, *, trust: Path | None = None, store: Path | None = None) -> FetchedVersion:
    """The version that ``name`` means now, with files in the new directory ``into``.

    The policy is asked about the version, not the alias, so the signature must be one of this version. Raises
    Untrusted, NotFound, InvalidModel, DeliveryError for what is no version, ModelError.
    """
    policy = registry.read_policy(trust) if trust else None
    place, reference = registry.Stores(store).find(name)
    shown = registry.show(place, reference).version
    number = int(shown.version[1:]) if shown.version else 0
    if not number:
        raise DeliveryError(f"{name}: not a version; lykeion models push makes one")
    if not is_model_name(reference.name):
        raise DeliveryError(
            f"{reference.name[:80]!r} cannot be delivered: a name has lower-case letters, digits and ._-"
        )
    pulled = registry.pull(place, reference.at(f"v{number}"), into, policy=policy, reporter=SILENT)
    if pulled.digest != shown.digest:
        raise DeliveryError(f"{name}: v{number} is now another model; publish it again")
    source = f"{reference.host}/{reference.repository}" if reference.host else reference.repository
    return FetchedVersion(reference.name, source, number, pulled.digest, _networks(into, name))


def _networks(directory: Path, name: str) -> dict[str, NetworkFile]:
    files = sorted(directory.glob("*.tflite"))
    if not files:  # a run of lykeion train, from which the file is made
        (made,) = inputs.open_models([str(directory)])
        files = [directory / "model.tflite"]
        files[0].write_bytes(made.content)
    found = [_network(file) for file in files]
    for outcome in try_models([Trial(f"{name}: {each.name}", each.content) for each in found], "litert"):
        if isinstance(outcome, ModelError):
            raise outcome
    return {network.digest: network for network in found}


def _network(file: Path) -> NetworkFile:
    return NetworkFile(file.name, digest_file(file), read_model(file), _companion(file))


def _companion(file: Path) -> Companion | None:
    try:
        card = ModelCard.for_model(file)
    except CardError:
        return None
    path = file.with_name(f"{file.stem}.boxes.json")
    boxes = boxes_of(read_json(path, RecordError, "layout of boxes"), str(path)) if path.exists() else None
    return Companion(card, read_classes(file.parent), boxes=boxes)
