"""Documents that people wrote are read strictly, within limits, and what is wrong with one is said in a line."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Invalid, fitting, json_value, read_json, read_yaml, read_yaml_documents
from lykeion.core.documents import LIMIT_BYTES, LIMIT_DEPTH, parse_json
from lykeion.core.fields import SpecError


class DocumentError(Invalid):
    pass


@dataclass
class Bill:
    total: int


def yaml_value(text: str, path: Path) -> Any:
    path.write_text(f"value: {text}\n", encoding="utf-8")
    return read_yaml(path).values["value"]


# As `kubectl annotate --local -f FILE -o json` of kubectl 1.37 prints them.
KUBECTL: list[tuple[str, Any]] = [
    *[("017", 15), ("0o17", 15), ("0O17", 15), ("-017", -15), ("-0o17", -15), ("0777", 511), ("00", 0), ("0o0", 0)],
    *[("08", 8), ("09", 9), ("0o8", "0o8"), ("0o", "0o"), ("0x", "0x"), ("0b2", "0b2"), ("0o_7", 7)],
    *[("0x1F", 31), ("0X1f", 31), ("+0x1F", 31), ("-0x1F", -31), ("0b101", 5), ("-0b101", -5)],
    *[("0x1.8p1", "0x1.8p1")],
    *[("1_000", 1000), ("0_1", 1), ("0x_1F", 31), ("1_", 1), ("1__0", 10), ("1_0.5", 10.5), ("1e3_0", 1e30)],
    *[("_1", "_1"), ("+1", 1), ("-1", -1), ("-0", 0), ("0.0", 0), ("1.0", 1), ("1.5", 1.5)],
    *[(".5", 0.5), ("-.5", -0.5), ("+.5", 0.5), ("5.", 5), ("1.e3", 1000), ("1,000", "1,000"), ("1.2.3", "1.2.3")],
    *[("1e3", 1000), ("1E3", 1000), ("1e+3", 1000), ("1e-3", 0.001), ("-1e3", -1000), ("1e", "1e"), ("e3", "e3")],
    *[("1e400", "1e400"), ("inf", "inf"), ("nan", "nan")],
    *[(word, True) for word in ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y")],
    *[(word, False) for word in ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N")],
    *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
    *[("tRue", "tRue"), ("nUll", "nUll"), ("=", "="), ("<<", "<<"), ("'<<'", "<<"), ("'yes'", "yes")],
    *[(time, time) for time in ("12:30", "1:30:45", "190:20:30", "190:20:30.15", "-12:30")],
    *[(date, date) for date in ("2026-11-01", "2026-11-01T10:00:00Z", "2026-11-01 10:00:00")],
    *[("!!str 5", "5"), ('"\\u00e9"', "é"), ("'12:30'", "12:30"), ("{'<<': {b: 1}}", {"<<": {"b": 1}})],
    *[("|\n  a\n  b\n", "a\nb\n"), (">\n  a\n  b\n", "a b\n"), ("&a [1]", [1])],
]


@pytest.mark.parametrize(("text", "value"), KUBECTL)
def test_yaml_is_read_as_kubectl_reads_it(tmp_path: Path, text: str, value: Any) -> None:
    found = yaml_value(text, tmp_path / "a.yaml")
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


# What kubectl reads, though nobody can have meant it, or as another value than is written.
REFUSED = [
    ("{a: 1, a: 2}", "a is given twice"),
    ("{a: &x 1, b: *x}", r"aliases \(\*name\) are not read"),
    ("{<<: {b: 1}}", r"merge keys \(<<\) are not read"),
    ("{yes: a}", "the name of a field is not a string; quote it"),
    ("{1: a}", "the name of a field is not a string; quote it"),
    ("{[1]: a}", "the name of a field is not a string; quote it"),
    ("!foo 5", "the tag !foo is not read; leave it out"),
    ("!!binary aGk=", "the tag tag:yaml.org,2002:binary is not read"),
    ("!!python/object:os.system x", "the tag tag:yaml.org,2002:python/object:os.system is not read"),
    ("18446744073709551616", "18446744073709551616 has over 64 bits"),
    ("-9223372036854775809", "-9223372036854775809 has over 64 bits"),
    ("9" * 5000, f"{'9' * 30} has over 64 bits"),
    ("0x" + "F" * 17, "has over 64 bits"),
    (".inf", r"\.inf is not a JSON number; quote it if it is text"),
    ("-.Inf", "is not a JSON number"),
    (".nan", "is not a JSON number"),
    ("[" * (LIMIT_DEPTH + 1) + "]" * (LIMIT_DEPTH + 1), f"more than {LIMIT_DEPTH} levels"),
    ("{" * 100_000, "nesting depth"),
    ("[1, 2", "did not find expected"),
    ("\x00", ""),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_yaml_that_nobody_can_have_meant_is_refused_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SpecError, match=rf"a\.yaml(, line [12])?: .*{problem}") as caught:
        yaml_value(text, tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)


def test_yaml_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(SpecError, match=r"a\.yaml.*: .*(UTF-8|utf8|utf-8)") as caught:
        read_yaml(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)


def test_several_documents_are_read_by_those_who_ask_for_them(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("---\na: 1\n---\n---\nb: 2\n...\n")
    assert [fields.values for fields in read_yaml_documents(path)] == [{"a": 1}, {"b": 2}]
    assert [fields.where for fields in read_yaml_documents(path)] == [str(path), f"{path}, document 3"]
    with pytest.raises(SpecError, match=r"a\.yaml holds 2 documents; give a file with one"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n"])
def test_a_yaml_file_without_a_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert list(read_yaml_documents(tmp_path / "a.yaml")) == []
    with pytest.raises(SpecError, match=r"a\.yaml is empty; it must hold a mapping"):
        read_yaml(tmp_path / "a.yaml")


def test_an_error_is_of_the_class_that_is_asked_for_and_names_the_field(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: {b: 5}\n")
    fields = read_yaml(path, DocumentError)
    with pytest.raises(DocumentError, match=r"a\.yaml: a: b is '5'; it must be true or false"):
        fields.required("a", lambda a: a.fields().required("b", lambda b: b.truth()))
    with pytest.raises(DocumentError, match="cannot read the document: No such file"):
        read_yaml(tmp_path / "none", DocumentError)


JSON_REFUSED = [
    (b'{"a": 1, "a": 2}', r"^A: not a document: not JSON \('a' is given twice\)$"),
    (b'{\n"a": NaN}', "NaN is not a JSON number"),
    (b'{"a": -Infinity}', r"-Infinity is not a JSON number"),
    (b'{"a": 1e999}', r"1e999 is out of the range of a number"),
    (b'{"a": 18446744073709551616}', r"18446744073709551616 has over 64 bits"),
    (b'{"a": ' + b"9" * 5000 + b"}", r"9{30} has over 64 bits"),
    (b'{"a": ' + b"[" * 100_000, rf"not JSON \(more than {LIMIT_DEPTH} levels"),
    (b'{"a": "\\ud800"}', r"not JSON \('utf-8' codec can't encode"),
    (b'{"\\uD83D": 1}', r"not JSON \('utf-8' codec can't encode"),
    (b'{"a": ' + b"[" * LIMIT_DEPTH + b"]" * LIMIT_DEPTH + b"}", rf"not JSON \(more than {LIMIT_DEPTH} levels"),
    (b'{\n"a":\n}', r"not JSON \(line 3: Expecting value\)"),
    (b'{"a": 1', r"not JSON \(line 1: "),
    (b'\n{"a": "\xff"}', r"not JSON \(line 2: not UTF-8\)"),
    ('{"a": 1}'.encode("utf-16"), r"not JSON \(line 1: not UTF-8\)"),
    (b"[]", r"not a document: not a JSON object"),
    (b"", r"not JSON \(line 1: "),
    (b'{"a": "' + b"a" * LIMIT_BYTES, r"^A: larger than 1 MiB, more than any document has$"),
]


@pytest.mark.parametrize(("data", "problem"), JSON_REFUSED)
def test_json_that_is_none_or_exceeds_a_limit_is_refused_in_one_line(
    tmp_path: Path, data: bytes, problem: str
) -> None:
    (tmp_path / "a.json").write_bytes(data)
    path = tmp_path / "a.json"
    with pytest.raises(DocumentError, match=problem.replace("A", re.escape(str(path)))) as caught:
        read_json(path, DocumentError)
    assert "\n" not in str(caught.value)


def test_json_and_yaml_have_the_same_limit_of_levels(tmp_path: Path) -> None:
    text = b'{"a":' * LIMIT_DEPTH + b"1" + b"}" * LIMIT_DEPTH
    (tmp_path / "deep").write_bytes(text)
    assert parse_json(text, SpecError) == read_yaml(tmp_path / "deep").values


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_json(b'{"a": "\\ud83d\\udc5f"}', SpecError) == {"a": "\U0001f45f"}


def test_a_byte_order_mark_before_json_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json", DocumentError) == {"a": 1}


def test_a_field_that_lacks_or_does_not_fit_is_named() -> None:
    with (
        pytest.raises(DocumentError, match=r"^a\.json: not an act: lacks the field 'b'$"),
        fitting(DocumentError, "act", where="a.json: "),
    ):
        {}["b"]
    for values, says in (({"colour": 1}, "it has no field 'colour'"), ({}, "lacks the field 'total'")):
        with pytest.raises(DocumentError, match=f"^not a bill: {says}"), fitting(DocumentError, "bill"):
            Bill(**values)
    with pytest.raises(DocumentError, match=r"^not a bill: could not convert"), fitting(DocumentError, "bill"):
        float("x")


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)


def values(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | NUMBERS | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )


TEXT = st.text(st.characters(codec="utf-8"))
PRINTED = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=20)


@given(values(TEXT))
def test_json_that_was_written_is_read_again(value: Any) -> None:
    assert json_value(json.dumps(value), DocumentError) == value
    assert json_value(json.dumps(value, ensure_ascii=False).encode(), DocumentError) == value


@given(st.binary(max_size=200) | st.text('[]{}":,0123456789.eE+-\n tfn', max_size=60).map(str.encode))
def test_any_bytes_are_json_or_an_error_of_one_line(data: bytes) -> None:
    said = None
    try:
        value = json_value(data, DocumentError)
    except DocumentError as error:
        said = str(error)
    if said is None:
        assert value == json.loads(data.decode("utf-8-sig"))
    else:
        assert said.startswith("not a document: not JSON (")
        assert "\n" not in said


@pytest.fixture(scope="module")
def yaml_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yaml") / "a.yaml"


@given(value=values(PRINTED))
def test_yaml_in_the_form_of_json_is_read_as_json_is(yaml_file: Path, value: Any) -> None:
    assert yaml_value(json.dumps(value, ensure_ascii=False), yaml_file) == value


@given(data=st.binary(max_size=200) | st.text("[]{}\":,019.-\n &*!|>#%'tfny~\t", max_size=60).map(str.encode))
def test_any_bytes_are_yaml_or_an_error_of_one_line(yaml_file: Path, data: bytes) -> None:
    yaml_file.write_bytes(data)
    said, documents = str(yaml_file), []
    try:
        documents = list(read_yaml_documents(yaml_file))
    except SpecError as error:
        said = str(error)
    assert said.startswith(str(yaml_file))
    assert "\n" not in said
    assert all(isinstance(name, str) for fields in documents for name in fields.values)


@given(value=NUMBERS)
def test_numbers_survive_yaml(yaml_file: Path, value: float) -> None:
    found = yaml_value(repr(value), yaml_file)
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)
