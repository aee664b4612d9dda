"""Resources as people write them, and what a cluster is given."""

import importlib.util
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import AnyResource, ResourceError, custom_resource_definition, read_resource
from lykeion.core.fields import Fields
from lykeion.platform import DEFINED, KINDS, WRITTEN, find_kinds, parse_key, read_resources
from lykeion.platform.local.processes.launch import expand
from lykeion.platform.resource_table import age, as_applied, look_up
from lykeion.platform.resources.plain_kinds.index_ranges import IndexRanges, from_ranges, to_ranges
from lykeion.platform.resources.plain_kinds.work import MAX_INDEXES
from lykeion.platform.resources.programs.quantities import quantity

ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: lykeion.github.io/v1alpha1\nkind: BatchExecution\nmetadata: {name: embed}\n"


def _written(path: Path, spec: str) -> Path:
    file = path / "embed.yaml"
    file.write_text(HEAD + f"spec: {spec}\n")
    return file


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{program: {command: [a]}, shards: {}}", "spec: shards: give either count or items"),
        ("{program: {command: [a]}, shards: {count: 2, items: [x]}}", "spec: shards: give either count or items"),
        (
            "{program: {command: [a]}, shards: {count: 2}, minSucceeded: 3}",
            "minSucceeded is more than there are shards",
        ),
        (
            "{program: {command: []}, shards: {count: 2}}",
            "program: give command or image",
        ),
        (
            "{program: {command: [a], workingDir: x}, shards: {count: 2}}",
            "workingDir is 'x'; it must be an absolute path",
        ),
        (
            "{program: {command: [a], resources: {cpu: 2 cores}}, shards: {count: 2}}",
            "cpu is '2 cores'; it must be a number with or without a suffix",
        ),
        (
            "{program: {command: [a], env: [{name: 1A}]}, shards: {count: 2}}",
            "env[0]: name is '1A'; it must be letters, digits and '_'",
        ),
        (
            "{program: {command: [a]}, shards: {count: 2}, retryOf: A}",
            "retryOf is 'A'; it must be lower-case letters",
        ),
        (
            '{program: {command: [a]}, shards: {count: 2}, retryOf: "a\\n"}',
            "retryOf is 'a\\n'; it must be lower-case letters",
        ),
        ("{program: {comand: [a]}, shards: {count: 2}}", "program has no field 'comand'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, spec: str, message: str) -> None:
    with pytest.raises(ResourceError) as refused:
        read_resources([_written(tmp_path, spec)], DEFINED, "default")
    assert message in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_one_wrong_document_of_many_is_named_and_nothing_is_given(tmp_path: Path) -> None:
    file = _written(tmp_path, "{program: {command: [a]}, shards: {count: 2}}")
    file.write_text(f"{file.read_text()}---\n{HEAD.replace('embed', 'other')}spec: {{}}\n")
    with pytest.raises(ResourceError, match="document 2: spec lacks the field 'program'"):
        read_resources([file], DEFINED, "default")
    file.write_text("")
    with pytest.raises(ResourceError, match="holds no resources"):
        read_resources([file], DEFINED, "default")


def test_a_list_is_read_as_its_items_and_the_one_that_is_wrong_is_named(tmp_path: Path) -> None:
    file = _written(tmp_path, "{program: {command: [a]}, shards: {count: 2}}")
    (resource,) = read_resources([file], DEFINED, "shop")
    items = [resource.document()]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}))
    assert read_resources([file], DEFINED, "default") == [resource]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*items, {"kind": "Lamp"}]}))
    with pytest.raises(ResourceError, match=r"items\[1\]"):
        read_resources([file], DEFINED, "default")


def test_one_resource_twice_is_refused(tmp_path: Path) -> None:
    file = _written(tmp_path, "{program: {command: [a]}, shards: {count: 2}}")
    with pytest.raises(ResourceError, match=r"batchexecution/embed is in .* too"):
        read_resources([file, file], DEFINED, "default")


def test_a_namespace_is_that_of_the_file_or_else_the_one_that_was_asked_for(tmp_path: Path) -> None:
    file = _written(tmp_path, "{program: {command: [a]}, shards: {count: 2}}")
    assert [each.metadata.namespace for each in read_resources([file], DEFINED, "shop")] == ["shop"]
    file.write_text(file.read_text().replace("{name: embed}", "{name: embed, namespace: own}"))
    assert [each.metadata.namespace for each in read_resources([file], DEFINED, "shop")] == ["own"]


def test_work_is_not_written_by_people(tmp_path: Path) -> None:
    file = tmp_path / "work.yaml"
    file.write_text(HEAD.replace("BatchExecution", "Work") + "spec: {}\n")
    with pytest.raises(ResourceError, match="kind is 'Work'"):
        read_resources([file], DEFINED, "default")


def _writer() -> Any:
    spec = importlib.util.spec_from_file_location("write", ROOT / "deploy" / "write.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_definitions_in_deploy_are_what_the_source_says_and_kubectl_can_apply_them() -> None:
    written = dict(_writer().definitions())
    assert set((ROOT / "deploy" / "crds").iterdir()) == set(written)
    for file, content in written.items():
        assert file.read_text() == content, "run: python deploy/write.py"
        assert len(json.dumps(yaml.safe_load(content))) < 200_000


def test_the_tables_of_fields_in_the_documentation_are_what_the_source_says() -> None:
    assert (ROOT / "docs" / "resources.md").read_text() == _writer().page(), "run: python deploy/write.py"


@pytest.mark.parametrize("kind", DEFINED.values(), ids=lambda kind: kind.name)
def test_all_text_lists_and_maps_are_bounded_and_every_field_of_a_spec_is_described(kind: Any) -> None:
    (version,) = custom_resource_definition(kind)["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    for node in _nodes([properties["spec"], properties["status"]]):
        assert node.get("type") != "array" or "maxItems" in node, node
        assert node.get("type") != "string" or "maxLength" in node or "enum" in node, node
        assert r"\Z" not in node.get("pattern", ""), "a cluster ends a text with $"
        assert not isinstance(node.get("additionalProperties"), dict) or "maxProperties" in node, node
    for name, field in properties["spec"]["properties"].items():
        assert field.get("description"), name


@pytest.mark.parametrize("kind", DEFINED.values(), ids=lambda kind: kind.name)
def test_definitions_have_what_a_cluster_takes_alone(kind: Any) -> None:
    """Its exclusive bounds are booleans, and a default is no null where the field takes none."""
    for node in _nodes(custom_resource_definition(kind)):
        assert not {"exclusiveMinimum", "exclusiveMaximum"} & node.keys(), node
        assert None not in node.values(), node


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _nodes(inner)


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_what_was_put_into_them(indexes: set[int]) -> None:
    assert from_ranges(to_ranges(indexes), 61) == indexes


def test_ranges_are_short_and_bounded() -> None:
    assert to_ranges(range(10_000)) == "0-9999"
    assert to_ranges([7, 0, 1, 2]) == "0-2,7"
    assert from_ranges("0-99999999999", 3) == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), (2, 2), ("1.5", 1.5), ("512Mi", 512 << 20), ("4G", 4e9), ("1Ti", 1 << 40)]
)
def test_quantities_are_read_as_kubernetes_does(text: str | int, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)/$(B)", "1/$(A)"),
        ("$$(A) $$", "$(A) $"),
        ("$(NONE) $A $(", "$(NONE) $A $("),
        ("$$$(A)", "$1"),
    ],
)
def test_variables_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "$(A)"}) == expanded


def test_kinds_are_found_by_what_people_type() -> None:
    assert [each.name for each in find_kinds("batch,Work", KINDS)] == ["BatchExecution", "Work"]
    assert [kind.name for kind in find_kinds("all", KINDS) if kind.inline or not kind.namespaced] == []
    assert parse_key("batchexecutions/embed", KINDS, "shop").name == "embed"
    with pytest.raises(ResourceError, match=r"there is no kind 'bach'; there are batchexecution\|batch"):
        find_kinds("bach", KINDS)
    for typed in ("batch", "batch/", "/embed", "batch/a/b", "batch/a\n", "batch/../a"):
        with pytest.raises(ResourceError):
            parse_key(typed, KINDS, "default")
    with pytest.raises(ResourceError, match=r"namespace is '\.\./shop'; it must be lower-case"):
        parse_key("batch/a", KINDS, "../shop")


def _configuration(kind: str, **values: dict[str, str]) -> AnyResource:
    document = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "shop"}, **values}
    return read_resource(Fields("here", document), WRITTEN)


def test_a_difference_of_configuration_says_which_values_are_others_and_shows_none_of_a_secret() -> None:
    before = _configuration("Secret", data={"old": "YQ==", "key": "aGVsbG8="})
    after = _configuration("Secret", stringData={"key": "there", "old": "a"})
    assert as_applied(before) == as_applied(before, before)
    shown = yaml.safe_load(as_applied(after, before))
    assert shown["data"] == {"key": "5 bytes, another value", "old": "1 bytes"}
    assert "there" not in as_applied(after) + as_applied(after, before)
    assert yaml.safe_load(as_applied(_configuration("ConfigMap", data={"a": "b"})))["data"] == {"a": "b"}


def test_a_column_is_found_by_its_path() -> None:
    document = {"status": {"conditions": [{"type": "A", "status": "False"}, {"type": "B", "status": "True"}], "n": 0}}
    assert look_up(document, ".status.n") == 0
    assert look_up(document, ".status.conditions[?(@.status=='True')].type") == "B"
    assert look_up(document, ".status.conditions[?(@.type=='C')].status") is None
    assert look_up(document, ".spec.n.m") is None


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (172800, "2d")])
def test_an_age_is_in_the_largest_unit_of_which_there_are_two(seconds: int, text: str) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert age((now - timedelta(seconds=seconds)).isoformat(), now) == text


def test_a_pipeline_written_in_python_prints_as_the_file_that_reads_back_the_same(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text()
    program = page.rpartition("```python\n")[2].partition("```")[0].replace("print(", "written.append(")
    written: list[str] = []
    scope: dict[str, Any] = {"written": written}
    exec(program, scope)
    (tmp_path / "nightly.yaml").write_text(written[0])
    (read,) = read_resources([tmp_path / "nightly.yaml"], KINDS, "default")
    assert read == scope["nightly"]


@pytest.mark.parametrize("omitted", range(3))
def test_any_set_of_indexes_of_a_work_fits_its_status(omitted: int) -> None:
    worst = to_ranges(index for index in range(MAX_INDEXES) if index % 3 != omitted)
    assert msgspec.convert(worst, IndexRanges) == worst


def test_definitions_have_only_what_a_structural_schema_may_have() -> None:
    for kind in DEFINED.values():
        text = json.dumps(custom_resource_definition(kind))
        for keyword in (
            "propertyNames",
            "$ref",
            "$defs",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "patternProperties",
        ):
            assert f'"{keyword}"' not in text, (kind.name, keyword)
