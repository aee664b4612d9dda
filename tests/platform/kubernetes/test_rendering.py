"""``lykeion render``: what each cloud would be given, pinned."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.platform import WRITTEN, facts_of, read_resources, render
from lykeion.platform.kubernetes.installing.cloud_profiles import PROFILES

from .group_views import is_as_pinned

SAMPLE = Path(__file__).parent / "rendered.yaml"


def _rendered(profile: str, **options: Any) -> str:
    return render(read_resources([SAMPLE], WRITTEN, "default"), facts_of(profile, **options))


def _documents(profile: str, **options: Any) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(_rendered(profile, **options)) if each]


def test_the_documents_of_all_kinds_are_those_that_are_pinned() -> None:
    assert is_as_pinned("render-all-gke", _documents("gke"))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_documents_of_a_profile_are_those_that_are_pinned(profile: str) -> None:
    training, *_ = read_resources([SAMPLE], WRITTEN, "default")
    made = yaml.safe_load_all(render([training], facts_of(profile)))
    assert is_as_pinned(f"render-{profile}", list(made))


def test_every_document_is_of_a_namespace_and_none_is_there_twice() -> None:
    documents = _documents("gke")
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert {each["metadata"]["namespace"] for each in documents} == {"shop"}
    assert len(set(names)) == len(names)


def test_comments_say_whose_documents_follow_and_what_is_open() -> None:
    text = _rendered("plain")
    for line in (
        "# training/fashion",
        "# pipeline/nightly",
        "# step tell is known only when steps.export.results.count is",
    ):
        assert line in text.splitlines()


def test_our_own_programs_run_in_the_operator_s_image_and_with_the_registry_s_prefix() -> None:
    documents = _documents("plain", image="registry.example.com/lykeion@sha256:" + "1" * 64)
    jobs = [each for each in documents if each["kind"] == "Job"]
    images = {
        container["image"]
        for job in jobs
        for container in job["spec"]["template"]["spec"]["containers"]
        if container["command"][0] == "lykeion"
    }
    assert images == {"registry.example.com/lykeion@sha256:" + "1" * 64}


def test_requests_are_shared_by_the_gateway_where_there_is_one() -> None:
    assert not [each for each in _documents("plain") if each["kind"] == "HTTPRoute"]
    assert [each for each in _documents("gke") if each["kind"] == "HTTPRoute"]


def test_what_a_cluster_would_not_start_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    text = SAMPLE.read_text().replace("$(LYKEION_SHARD_FILE)", "$(LYKEION_SHARD)")
    file.write_text(text)
    assert " would not start: " in render(read_resources([file], WRITTEN, "default"), facts_of("plain"))
    assert " would not start: " not in _rendered("plain")


def test_a_resource_that_makes_nothing_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {a: b}\n")
    assert render(read_resources([file], WRITTEN, "default"), facts_of("plain")) == (
        "# configmap/shop: nothing is created for it\n"
    )


def test_files_of_an_image_are_shown_for_a_cluster_that_is_said_to_keep_them(tmp_path: Path) -> None:
    document = {"apiVersion": "lykeion.github.io/v1alpha1", "kind": "BatchExecution", "metadata": {"name": "embed"}}
    volume = {"name": "model", "mountPath": "/model", "image": "registry.example.com/shoes-files:v1"}
    program = {"image": "shop:v1", "command": ["true"], "pod": {"volumes": [volume]}}
    file = tmp_path / "batch.yaml"
    file.write_text(yaml.safe_dump({**document, "spec": {"program": program, "shards": {"count": 1}}}))
    resources = read_resources([file], WRITTEN, "default")
    assert "reference: registry.example.com/shoes-files:v1" in render(
        resources, facts_of("plain", extensions=("image-volumes",))
    )
    assert "is an image, which the API server" in render(resources, facts_of("plain"))
