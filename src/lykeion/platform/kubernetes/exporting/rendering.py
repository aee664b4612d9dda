"""What a cluster would be given for resources, as YAML, without a server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lykeion.control import AnyResource
from lykeion.core import Unsupported
from lykeion.platform.composition import DEFINED
from lykeion.platform.kubernetes.installing import IMAGE, cloud_profile
from lykeion.platform.kubernetes.objects import HEALTH_CHECKS, HTTP_ROUTES, JOB_SETS, ClusterFacts
from lykeion.platform.kubernetes.translations import TRANSLATIONS
from lykeion.platform.kubernetes.works import REFUSED
from lykeion.platform.resource_table import as_yaml
from lykeion.platform.resources.pipelines import PIPELINE

from .argo_export import as_argo
from .foreseen_children import foresee

EXTENSIONS: Mapping[str, str] = {
    "gateway-api": HTTP_ROUTES.api_version,
    "gke-policies": HEALTH_CHECKS.api_version,
    "jobset": JOB_SETS.api_version,
}
"""What a cluster may have beside Kubernetes' own kinds, and the API version by which it is known."""
IMAGE_VOLUMES = "image-volumes"
"""An extension that is no API version."""
_OF_PROFILE: Mapping[str, tuple[str, ...]] = {"gke": ("gateway-api", "gke-policies")}
_BY_KIND = {each.kind.name: each for each in TRANSLATIONS}


def facts_of(profile: str, *, extensions: Sequence[str] = (), image: str = "", registry: str = "") -> ClusterFacts:
    """A cluster of a cloud; ``extensions`` are names in EXTENSIONS, and IMAGE_VOLUMES.

    Raises ResourceError for an unknown profile.
    """
    spec = cloud_profile(profile, registry=registry).spec
    named = {*extensions, *_OF_PROFILE.get(profile, ())}
    served = frozenset(EXTENSIONS[each] for each in named - {IMAGE_VOLUMES})
    return ClusterFacts(profile=spec, image=image or IMAGE, served=served, image_volumes=IMAGE_VOLUMES in named)


def render(
    resources: Iterable[AnyResource],
    facts: ClusterFacts,
    *,
    parameters: Mapping[str, str] | None = None,
    argo: bool = False,
) -> str:
    """YAML of several documents, each resource's after a comment on what is open; with ``argo``, Argo's Workflows.

    Names that the registry resolves stay as they are written; names and UIDs of children differ in a cluster.
    Raises ResourceError for what a controller would refuse, Unsupported for what the cluster or Argo cannot do.
    """
    parts = _argo(resources, facts) if argo else _objects(resources, facts, parameters)
    return "---\n".join(parts)


def _argo(resources: Iterable[AnyResource], facts: ClusterFacts) -> Iterator[str]:
    for each in resources:
        if each.kind is not PIPELINE:
            raise Unsupported(f"{each.key}: only a Pipeline can be exported to Argo Workflows")
        yield as_yaml(as_argo(each, facts))


def _objects(
    resources: Iterable[AnyResource], facts: ClusterFacts, parameters: Mapping[str, str] | None
) -> Iterator[str]:
    shown: set[tuple[str, str, str]] = set()
    for resource in resources:
        foreseen = foresee(resource, parameters if resource.kind is PIPELINE else None)
        every = (document for child in foreseen.children for document in _documents(child, facts))
        documents = [each for each in every if _is_new(each, shown)]
        if not documents and not foreseen.notes:
            yield f"# {resource.key}: nothing is created for it\n"
            continue
        notes = (*foreseen.notes, *filter(None, map(_refused, documents)))
        lines = [f"# {resource.key}", *(f"# {each}" for each in notes)]
        yield "\n".join(lines) + "\n" + "---\n".join(as_yaml(each) for each in documents)


def _refused(document: dict[str, Any]) -> str:
    """Why a program is not started, if it is not."""
    metadata = document["metadata"]
    why = metadata.get("annotations", {}).get(REFUSED, "")
    return f"{document['kind'].lower()}/{metadata['name']} would not start: {why}" if why else ""


def _is_new(document: dict[str, Any], shown: set[tuple[str, str, str]]) -> bool:
    """What several resources share is shown once."""
    metadata = document["metadata"]
    name = document["kind"], metadata.get("namespace", ""), metadata["name"]
    known = name in shown
    shown.add(name)
    return not known


def _documents(child: AnyResource, facts: ClusterFacts) -> Sequence[dict[str, Any]]:
    """A resource of ours as its document without a status, all else as the objects of which it is a view."""
    if child.kind.name in DEFINED:
        document = child.with_status(child.kind.status()).document()
        return [{name: value for name, value in document.items() if name != "status"}]
    return _BY_KIND[child.kind.name].objects(child, facts)
