"""The names of volumes in a pod differ, are what the API server takes, and do not change by an upgrade."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from lykeion.platform.kubernetes.pods.volume_names import names_in_pod
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.programs.pod_template import PodTemplate, PodVolume
from lykeion.platform.resources.programs.program import Program

from .job_documents import FACTS, job, work

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
NAMES = st.one_of(
    st.from_regex(LABEL, fullmatch=True),
    st.builds(
        "{}{}".format, st.just("a" * 57), st.sampled_from(["", "a", "-a", "--b", "ab", "aab", "aac", "abcdef"])
    ),
)
SETS = st.lists(NAMES, unique=True, max_size=8)


def _as_before(name: str) -> str:
    """What earlier versions made of a name."""
    return f"own-{name}"[:63].rstrip("-")


@given(SETS)
def test_names_differ_and_are_dns_labels(names: list[str]) -> None:
    made = names_in_pod(names)
    assert list(made) == names
    assert len(set(made.values())) == len(names)
    assert all(LABEL.fullmatch(each) and each.startswith("own-") for each in made.values())


@given(SETS, st.randoms())
def test_names_do_not_depend_on_the_order(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert names_in_pod(shuffled) == names_in_pod(names)


@given(SETS)
def test_a_pod_that_could_be_made_before_keeps_all_its_names(names: list[str]) -> None:
    before = {name: _as_before(name) for name in names}
    if len(set(before.values())) == len(names):
        assert names_in_pod(names) == before


def test_a_name_that_ends_as_another_was_given_a_digest_is_not_taken_twice() -> None:
    first = names_in_pod(["b" * 59 + "x", "b" * 59 + "y"])
    forged = first["b" * 59 + "x"].removeprefix("own-")
    made = names_in_pod(["b" * 59 + "x", "b" * 59 + "y", forged])
    assert len(set(made.values())) == 3
    assert made[forged] == f"own-{forged}"


def _with_volumes(*names: str) -> Program:
    volumes = tuple(PodVolume(name=each, mount_path=f"/{each}", config_map="c") for each in names)
    return Program(command=("true",), pod=PodTemplate(volumes=volumes))


def test_each_volume_is_mounted_where_it_is_asked_for() -> None:
    first, second = "v" * 60 + "a", "v" * 60 + "b"
    template = job(work(1, program=_with_volumes(first, second)))["spec"]["template"]["spec"]
    mounted = {each["name"]: each["mountPath"] for each in template["containers"][0]["volumeMounts"]}
    named = names_in_pod([first, second])
    assert {mounted[named[first]], mounted[named[second]]} == {f"/{first}", f"/{second}"}
    assert set(named.values()) <= {each["name"] for each in template["volumes"]}


def test_a_job_whose_pods_have_volumes_of_other_names_is_left_as_it_is() -> None:
    was = work(2, parallelism=2, program=_with_volumes("photos"))
    there = job(was)
    for each in (*there["spec"]["template"]["spec"]["volumes"], *_mounts(there)):
        each["name"] = each["name"].replace("own-", "earlier-")
    for parallelism in (1, 2):
        wanted = replace(was, spec=structs.replace(was.spec, parallelism=parallelism))
        (change,) = WORKS.changes((there,), wanted, FACTS)
        assert (change.verb, change.document["spec"]) == ("merge", {"parallelism": parallelism})


def _mounts(document: dict) -> list[dict]:
    return document["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
