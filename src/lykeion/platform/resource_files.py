"""Files of resources, with one or more documents each."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lykeion.control import AnyKind, AnyResource, ResourceError, read_resource
from lykeion.core import read_yaml_documents
from lykeion.core.fields import Field, Fields


def read_resources(files: Iterable[Path], kinds: Mapping[str, AnyKind], namespace: str) -> list[AnyResource]:
    """All resources in YAML or JSON files, also in lists as ``get`` prints them.

    ``namespace`` is the default for those that name none.
    Raises ResourceError, which names file and field, also for a resource that occurs twice.
    """
    found: dict[Any, str] = {}
    resources: list[AnyResource] = []
    for file in files:
        for document in _documents(file):
            resource = read_resource(_in_namespace(document, namespace), kinds)
            if resource.key in found:
                raise ResourceError(f"{document.where}: {resource.key} is in {found[resource.key]} too")
            found[resource.key] = document.where
            resources.append(resource)
    if not resources:
        raise ResourceError(f"{', '.join(map(str, files)) or 'no file'} holds no resources")
    return resources


def _documents(file: Path) -> Iterator[Fields]:
    for document in read_yaml_documents(file, ResourceError):
        if (document.values.get("apiVersion"), document.values.get("kind")) == ("v1", "List"):
            yield from (item.fields() for item in document.required("items", Field.items))
        else:
            yield document


def _in_namespace(document: Fields, namespace: str) -> Fields:
    metadata = document.values.get("metadata")
    if isinstance(metadata, dict) and "namespace" not in metadata:
        metadata = {**metadata, "namespace": namespace}  # pyright: ignore[reportUnknownVariableType]
    return Fields(document.where, {**document.values, "metadata": metadata}, document.error)
