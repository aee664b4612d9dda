"""A description is read strictly, and what is wrong with it is said in one line with the field's name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core.fields import SpecError
from lykeion.images.spec import read_spec

from .making import describe


def test_a_kind_says_what_the_description_does_not(tmp_path: Path) -> None:
    spec = read_spec(describe(tmp_path)).resolved
    assert spec.entrypoint == ("lykeion", "serve")
    assert (spec.user, spec.ports, spec.read_only_root) == ("65532:65532", (8080,), True)
    assert spec.probes == {"live": "/healthz", "ready": "/readyz"}
    training = read_spec(describe(tmp_path, kind="training")).resolved
    assert training.entrypoint == ("lykeion", "train")
    assert (training.ports, training.probes) == ((), None)


def test_what_the_description_says_comes_before_the_kind(tmp_path: Path) -> None:
    fields = {"entrypoint": ["python3", "/srv/main.py"], "user": 1000, "ports": [9000], "probes": {}}
    spec = read_spec(describe(tmp_path, environment={"LYKEION_INDEX": "/data"}, **fields)).resolved
    assert spec.command == (), "the kind's arguments are for the kind's program"
    assert (spec.user, spec.ports, spec.probes) == ("1000:1000", (9000,), {})
    assert spec.environment["LYKEION_INDEX"] == "/data"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": None}, "lacks the field 'schema'"),
        ({"schema": 2}, "unknown schema 2"),
        ({"kind": "batch"}, "kind is 'batch'; it must be training or serving"),
        ({"name": "Shop!"}, "name is 'Shop!'"),
        ({"enviroment": {}}, "no field 'enviroment'"),
        ({"base": {}}, "base must have one of layout, registry, rootfs; it has 0"),
        ({"base": {"rootfs": "a", "layout": "b"}}, "it has 2"),
        ({"base": {"registry": "docker.io/library/python:3.11"}}, "must end in @sha256"),
        ({"base": ["root"]}, "base is .* a mapping"),
        ({"platforms": []}, "platforms is"),
        ({"platforms": ["windows/amd64"]}, r"platforms\[0\] is 'windows/amd64'"),
        ({"platforms": ["linux/amd64", "linux/amd64"]}, "each once"),
        ({"python": {}}, "python lacks the field 'requirements'"),
        ({"python": {"requirements": "r.txt", "index": "yes"}}, "python: index is 'yes'"),
        ({"sources": [{"from": "app", "to": "/srv"}]}, r"sources\[0\]: from: .*app does not exist"),
        ({"sources": [{"from": ".", "to": "srv"}]}, r"sources\[0\]: to is 'srv'; .* absolute path"),
        ({"sources": [{"from": ".", "to": "/srv/../etc"}]}, "absolute path"),
        ({"user": "root"}, "user is 'root'"),
        ({"environment": {"PORT": 80}}, "environment: PORT is '80'; it must be text; quote it"),
        ({"environment": {"A-B": "1"}}, "'A-B' is not a variable name"),
        ({"ports": [0]}, r"ports\[0\] is '0'"),
        ({"probes": {"start": "/x"}}, "probes has no field 'start'"),
        ({"read_only_root": "no"}, "true or false"),
        ({"compression": "gzip"}, "compression is 'gzip'; it must be zstd or none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read_spec(describe(tmp_path, **fields))
    assert "image.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: 1\nschema: 2\n", "line 2: schema is given twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: [", "line 2: did not find expected node"),
        ("- 1", "a mapping"),
        ("", "a mapping"),
        ("a: !!python/object/apply:os.system ['true']", "line 1: the tag .*os.system is not read"),
        ("{" * 5_000, "image"),
    ],
)
def test_yaml_tricks_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "image.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_spec(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"image\.yaml: cannot read the document"):
        read_spec(tmp_path / "image.yaml")


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_description_or_an_error_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "image.yaml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert "\n" not in str(caught.value)
