"""What a cluster is given for a kind."""

import json
from collections.abc import Iterator
from typing import Any

from lykeion.control import custom_resource_definition, structural_schema

from .lamps import LAMP, LampSpec

NOT_STRUCTURAL = {"$ref", "$defs", "anyOf", "oneOf", "title", "definitions"}


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _nodes(inner)


def test_a_schema_is_structural() -> None:
    schema = structural_schema(LampSpec)
    assert not any(NOT_STRUCTURAL & node.keys() for node in _nodes(schema))
    assert schema["required"] == ["bulbs"]
    assert schema["properties"]["bulbs"] == {
        "type": "integer", "minimum": 0, "maximum": 9, "description": "How many bulbs.",
    }  # fmt: skip
    assert schema["properties"]["timer"] == {"type": "integer", "minimum": 1, "maximum": 60}
    assert schema["properties"]["notes"]["additionalProperties"] == {"type": "string", "maxLength": 10}
    assert schema["properties"]["bulb"]["properties"]["watts"]["default"] == 5


def test_rules_are_validations_of_the_object_that_they_are_about() -> None:
    spec = custom_resource_definition(LAMP)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["x-kubernetes-validations"] == [
        {"rule": "!has(self.timer) || self.bulbs > 0", "message": "a timer needs a bulb"},
        {"rule": "self.colours == oldSelf.colours", "message": "colours may not change"},
    ]


def test_a_definition_names_its_kind_and_serves_a_status() -> None:
    definition = custom_resource_definition(LAMP)
    assert definition["metadata"]["name"] == "lamps.lykeion.github.io"
    assert definition["spec"]["names"]["shortNames"] == ["la"]
    (version,) = definition["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["additionalPrinterColumns"] == [{"name": "Lit", "type": "integer", "jsonPath": ".status.lit"}]
    conditions = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    json.dumps(definition)
