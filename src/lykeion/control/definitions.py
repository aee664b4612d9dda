"""CustomResourceDefinitions: msgspec's JSON Schema of a kind as a structural schema, with its rules in CEL.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any

import msgspec

from .resource import GROUP, VERSION, AnyKind, ChangeRule, SpecRule, Wire, without_nulls

_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


_LEFT_OUT = frozenset({"title", "propertyNames"})
"""What a structural schema must not have. So the names in a map are checked by the platform alone."""
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
"""In OpenAPI 3.0 a bound is a number and whether it is excluded, in JSON Schema of today either of two numbers."""


def custom_resource_definition(kind: AnyKind) -> dict[str, Any]:
    """The CustomResourceDefinition of ``kind``, as JSON types."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["lykeion"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}} | ({"scale": _SCALE} if kind.scales else {}),
                    "additionalPrinterColumns": [_column(each) for each in kind.columns],
                    "schema": {"openAPIV3Schema": _whole(kind)},
                }
            ],
        },
    }


def structural_schema(type_: type[Wire]) -> dict[str, Any]:
    """The schema of a spec or status, without references and without what a structural schema must not contain."""
    (root,), components = msgspec.json.schema_components([type_], ref_template="{name}")
    return _inlined(root, components, {each.__name__: each for each in _structs(type_)})


def _whole(kind: AnyKind) -> dict[str, Any]:
    spec = structural_schema(kind.spec)
    spec.setdefault("x-kubernetes-validations", []).extend(_validation(rule) for rule in kind.spec.change_rules)
    if not spec["x-kubernetes-validations"]:
        del spec["x-kubernetes-validations"]
    return {
        "description": kind.about,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural_schema(kind.status),
        },
        "x-kubernetes-validations": [
            {"rule": "self.metadata.name.size() <= 63", "message": "metadata.name has more than 63 characters"}
        ],
    }


def _inlined(schema: Any, components: dict[str, Any], structs: dict[str, type[Wire]]) -> Any:
    if isinstance(schema, list):
        return [_inlined(each, components, structs) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        inner = _inlined(components[reference], components, structs)
        if rules := [rule for rule in structs[reference].rules if rule.cel]:
            inner["x-kubernetes-validations"] = [_validation(rule) for rule in rules]
        return inner | without_nulls({name: schema.get(name) for name in ("description", "default")})
    if choices := schema.get("anyOf"):
        return _without_null(schema, choices, components, structs)
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "properties":
            made[name] = {field: _inlined(inner, components, structs) for field, inner in value.items()}
        elif name == "default":
            if value is not None:
                made[name] = without_nulls(value)
        elif name == "pattern":
            made[name] = value.replace(r"\Z", "$")  # Python's own sign for the end of the text
        elif name in _BOUNDS:
            made |= {_BOUNDS[name]: value, name: True}  # as in OpenAPI 3.0
        elif name not in _LEFT_OUT and not (name == "additionalProperties" and isinstance(value, bool)):
            made[name] = _inlined(value, components, structs)
    if "enum" in made:
        made.setdefault("type", "string")
    if made.get("format") == "date-time":
        made["maxLength"] = 64
    return made


def _without_null(
    schema: dict[str, Any], choices: list[Any], components: dict[str, Any], structs: dict[str, type[Wire]]
) -> dict[str, Any]:
    """The schema of an optional field (the server drops a null before validation), or int-or-string."""
    kept = [each for each in choices if each.get("type") != "null"]
    if len(kept) == 1:
        return _inlined(kept[0], components, structs)
    made = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    inner = [_inlined(each, components, structs) for each in kept]
    text = {name: value for each in inner for name, value in each.items() if name in ("pattern", "maxLength")}
    return {**made, **text, "x-kubernetes-int-or-string": True}


def _structs(type_: Any) -> set[type[Wire]]:
    """The structures that a type consists of, including itself."""
    found: set[type[Wire]] = set()
    waiting: list[Any] = [type_]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, Wire) and each not in found:
            found.add(each)
            waiting += [field.type for field in msgspec.structs.fields(each)]
        waiting += getattr(each, "__args__", ())
    return found


def _validation(rule: SpecRule | ChangeRule) -> dict[str, str]:
    return {"rule": rule.cel, "message": rule.message}


def _column(column: Any) -> dict[str, Any]:
    made = {"name": column.title, "type": column.type, "jsonPath": column.path}
    return {**made, "priority": 1} if column.wide else made
