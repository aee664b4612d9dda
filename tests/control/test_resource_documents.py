"""Resources that people wrote: what is wrong is named by its field, and what it may be is said."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import API_VERSION, Resource, ResourceError, read_resource
from lykeion.core import read_yaml
from lykeion.core.fields import Fields

from .lamps import KINDS, LAMP, LampSpec, LampStatus


def _read(spec: Any, **others: Any) -> Resource[LampSpec, LampStatus]:
    document = {"apiVersion": API_VERSION, "kind": "Lamp", "metadata": {"name": "desk"}, "spec": spec, **others}
    return read_resource(Fields("lamps.yaml", document), KINDS)


WRONG = [
    ({}, "lamps.yaml: spec lacks the field 'bulbs'"),
    ({"bulbs": "2"}, "lamps.yaml: spec: bulbs is '2'; it must be a whole number from 0 to 9"),
    (
        {"bulbs": True},
        "bulbs is true (as YAML reads y, yes and on; quote text); it must be a whole number from 0 to 9",
    ),
    ({"bulbs": 10}, "lamps.yaml: spec: bulbs is '10'; it must be a whole number from 0 to 9"),
    ({"bulbs": 2, "timer": 0}, "lamps.yaml: spec: timer is '0'; it must be a whole number from 1 to 60"),
    ({"bulbs": 2, "bulbz": 2}, "spec has no field 'bulbz'; it takes bulbs, colours, notes, bulb, timer"),
    ({"bulbs": 2, "colours": []}, "spec: colours is '[]'; it must be a list of 1 to 3 items"),
    ({"bulbs": 2, "colours": ["red", 7]}, "spec: colours[1] is '7'; it must be text of at most 10 characters"),
    ({"bulbs": 2, "colours": "red"}, "spec: colours is 'red'; it must be a list of 1 to 3 items"),
    ({"bulbs": 2, "notes": {"on": 1}}, "spec: notes: on is '1'; it must be text of at most 10 characters"),
    ({"bulbs": 2, "notes": dict.fromkeys("abc", "")}, "it must be a mapping from names to values, at most 2"),
    ({"bulbs": 2, "bulb": {"watts": 500}}, "spec: bulb: watts is '500'; it must be a whole number from 1 to 100"),
    ({"bulbs": 2, "bulb": 5}, "spec: bulb is '5'; it must be a mapping from names to values"),
    ({"bulbs": 0, "timer": 5}, "lamps.yaml: spec: a timer needs a bulb"),
    ([], "lamps.yaml: spec is '[]'; it must be a mapping from names to values"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_in_a_spec_is_named_with_what_it_may_be(spec: Any, message: str) -> None:
    with pytest.raises(ResourceError) as refused:
        _read(spec)
    assert str(refused.value).endswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"kind": "Lampe"}, "lamps.yaml: kind is 'Lampe'; it must be Bulb or Lamp"),
        ({"apiVersion": "v1"}, f"lamps.yaml: apiVersion is 'v1'; it must be {API_VERSION}"),
        (
            {"metadata": {"name": "Desk_1"}},
            "metadata: name is 'Desk_1'; it must be lower-case letters, digits and '-'",
        ),
        ({"metadata": {"name": "x" * 64}}, "it must be lower-case letters, digits and '-', at most 63"),
        ({"metadata": {}}, "lamps.yaml: metadata lacks the field 'name'"),
        ({"metadata": {"name": "desk", "label": {}}}, "metadata has no field 'label'"),
        ({"sepc": {}}, "lamps.yaml has no field 'sepc'"),
    ],
)
def test_what_is_wrong_around_a_spec_is_named(others: dict[str, Any], message: str) -> None:
    with pytest.raises(ResourceError, match=f"{message[:30]}") as refused:
        _read({"bulbs": 1}, **others)
    assert message in str(refused.value)


def test_fields_that_are_null_take_their_defaults() -> None:
    assert _read({"bulbs": 2, "colours": None, "timer": None}).spec == LampSpec(bulbs=2)


def test_what_a_cluster_prints_can_be_applied_again() -> None:
    managed = {"name": "desk", "managedFields": [{"manager": "kubectl"}], "finalizers": [], "uid": "1"}
    assert _read({"bulbs": 2}, metadata=managed).metadata.uid == "1"


def test_a_file_is_read_as_kubectl_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "lamp.yaml"
    spec = "{bulbs: 2, colours: [2026-11-01]}"
    path.write_text(f"apiVersion: {API_VERSION}\nkind: Lamp\nmetadata: {{name: desk}}\nspec: {spec}\n")
    assert read_resource(read_yaml(path), KINDS).spec.colours == ("2026-11-01",)


@pytest.mark.parametrize("word", ["n", "No", "off"])
def test_a_name_that_yaml_reads_as_a_truth_value_is_to_be_quoted(tmp_path: Path, word: str) -> None:
    path = tmp_path / "lamp.yaml"
    for written, wrong in ((word, True), (f'"{word.lower()}"', False)):
        path.write_text(f"apiVersion: {API_VERSION}\nkind: Lamp\nmetadata: {{name: {written}}}\nspec: {{bulbs: 2}}\n")
        if wrong:
            with pytest.raises(ResourceError, match=r"name is false \(as YAML reads n, no and off; quote"):
                read_resource(read_yaml(path), KINDS)
        else:
            assert read_resource(read_yaml(path), KINDS).metadata.name == word.lower()


specs = st.builds(
    LampSpec,
    bulbs=st.integers(1, 9),
    colours=st.lists(st.text(max_size=10), min_size=1, max_size=3).map(tuple),
    notes=st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=2),
    timer=st.none() | st.integers(1, 60),
)


@given(specs)
def test_what_is_written_is_read_back(spec: LampSpec) -> None:
    made = LAMP.new("desk", spec, labels={"a": "b"})
    assert read_resource(Fields("x", made.document()), KINDS) == made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["bulbs", "colours", "notes", "bulb", "timer", "x"]), json_values))
def test_no_document_does_anything_but_fit_or_be_refused_in_one_line(spec: Any) -> None:
    try:
        said = repr(_read(spec).spec)
    except ResourceError as refused:
        said = str(refused)
    assert said.startswith(("LampSpec(", "lamps.yaml: spec"))
    assert "\n" not in said
