import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.oci.distribution import InvalidReference, Reference
from lykeion.registry import parse
from lykeion.registry.model_names import check_alias, version_number

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("shoes", Reference(None, "shoes")),
        ("shoes:canary", Reference(None, "shoes", "canary")),
        (f"shoes@{DIGEST}", Reference(None, "shoes", digest=DIGEST)),
        ("shop/shoes:v1", Reference(None, "shop/shoes", "v1")),
        ("localhost/shoes:v1", Reference("localhost", "shoes", "v1")),
        ("localhost:5000/shoes", Reference("localhost:5000", "shoes")),
        ("registry.example.com/shop/shoes:v3", Reference("registry.example.com", "shop/shoes", "v3")),
        (f"[::1]:5000/a/b@{DIGEST}", Reference("[::1]:5000", "a/b", digest=DIGEST)),
    ],
)
def test_a_reference_is_read_and_written_alike(text: str, reference: Reference) -> None:
    assert parse(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":v1",
        "Shoes",
        "shoes:",
        "shoes@",
        "shoes@sha256:12",
        f"shoes:v1@{DIGEST}",
        "a b",
        "../shoes",
        "a//b",
        "/a",
        "shoes:-x",
        "shoes:" + "x" * 129,
        "a" * 600,
        "http://x.com/a",
        "x.com/",
        "exa mple.com/a",
        "a/../b",
        "shoes\n",
    ],
)
def test_what_is_no_reference_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidReference) as error:
        parse(text)
    assert "\n" not in str(error.value).replace("\\n", "")


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidReference):
        assert parse(str(parse(text))) == parse(text)


def test_versions_are_v_and_a_number_from_one() -> None:
    assert [version_number(tag) for tag in ("v1", "v12", "v0", "v01", "1", "v", "V1", "v1.2")] == [1, 12] + [None] * 6


@pytest.mark.parametrize("alias", ["v3", "_moved.x.000001", "sha256-" + "a" * 64, "", "a b", "x" * 65, "-a"])
def test_versions_and_records_are_no_aliases(alias: str) -> None:
    with pytest.raises(InvalidReference):
        check_alias(alias)
    assert check_alias("champion") == "champion"


def test_the_registrys_prefix_is_put_before_names_without_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_REGISTRY_PREFIX", "registry.example.com/shop/")
    assert str(parse("shoes:v1")) == "registry.example.com/shop/shoes:v1"
    assert str(parse("localhost:5000/shoes:v1")) == "localhost:5000/shoes:v1"
    with pytest.raises(InvalidReference):
        parse("Shoes!")
