"""The operator's rules beside what translations read and make: all of that is allowed, and nothing of other types."""

from pathlib import Path

import pytest

from lykeion.platform import DEFINED, WRITTEN, facts_of, read_resources
from lykeion.platform.composition import CONTROLLERS
from lykeion.platform.kubernetes.exporting.foreseen_children import foresee
from lykeion.platform.kubernetes.installing.cluster_link import account_objects
from lykeion.platform.kubernetes.installing.operator_rules import (
    BOUND,
    CLUSTERED,
    EDITORS,
    NAMESPACED,
    OWN,
    REMOTES,
    VIEWERS,
)
from lykeion.platform.kubernetes.objects.object_types import LEASES, ObjectType, custom_type, type_of
from lykeion.platform.kubernetes.objects.translation import Translation
from lykeion.platform.kubernetes.translations import TRANSLATIONS

SAMPLE = Path(__file__).parent / "rendered.yaml"
Right = tuple[str, str, str]
RULES = (*NAMESPACED, *CLUSTERED, *OWN)
GRANTED = {(rule.group, each, verb) for rule in RULES for each in rule.resources for verb in rule.verbs}


def _rights(type_: ObjectType, *verbs: str) -> set[Right]:
    return {(type_.group, type_.plural, verb) for verb in verbs}


def _made() -> list[ObjectType]:
    """The types of all objects that the sample makes in a cluster of GKE, with a gateway."""
    translations = {each.kind.name: each for each in TRANSLATIONS}
    facts = facts_of("gke", extensions=("gateway-api", "jobset"))
    children = [child for each in read_resources([SAMPLE], WRITTEN, "shop") for child in foresee(each).children]
    plain = [each for each in children if each.kind.name in translations]
    return [type_of(made) for each in plain for made in translations[each.kind.name].objects(each, facts)]


@pytest.mark.parametrize("translation", TRANSLATIONS, ids=lambda each: each.kind.name)
def test_what_a_translation_reads_may_be_listed_and_watched(translation: Translation) -> None:
    for source in translation.sources:
        assert _rights(source.type, "list", "watch") <= GRANTED, source.type


def test_what_is_made_may_be_created_and_read_when_the_name_is_taken() -> None:
    made = _made()
    assert {each.kind for each in made} >= {"Job", "Deployment", "Service", "PersistentVolumeClaim", "HTTPRoute"}
    for each in made:
        assert _rights(each, "create", "get") <= GRANTED, each


def test_our_kinds_may_be_watched_and_have_a_status() -> None:
    for kind in DEFINED.values():
        assert _rights(custom_type(kind), "list", "watch") <= GRANTED
    for each in CONTROLLERS:
        assert (custom_type(each.kind).group, f"{each.kind.plural}/status", "patch") in GRANTED
        for child in (child for child in each.children if child.name in DEFINED):
            assert _rights(custom_type(child), "create", "patch", "delete") <= GRANTED


def test_no_other_type_is_granted() -> None:
    read = [source.type for each in TRANSLATIONS for source in each.sources]
    ours = [custom_type(kind) for kind in DEFINED.values()]
    known = {(each.group, each.plural) for each in (*read, *_made(), *ours, LEASES)}
    assert {(group, resource.partition("/")[0]) for group, resource, _ in GRANTED} <= known


def test_every_rule_says_why_and_none_is_there_twice() -> None:
    assert all(rule.why for rule in (*RULES, *BOUND, *REMOTES, *VIEWERS, *EDITORS))
    every = [(rule.group, each, verb) for rule in RULES for each in rule.resources for verb in rule.verbs]
    assert len(every) == len(set(every))


def test_the_account_of_another_cluster_may_make_and_remove_runs_alone() -> None:
    made = account_objects("shop")
    assert {each["metadata"]["namespace"] for each in made} == {"shop"}
    (role,) = (each for each in made if each["kind"] == "Role")
    assert [rule["resources"] for rule in role["rules"]] == [["pipelineruns"]]
    assert not [each for each in made if each["kind"].startswith("Cluster")]


def test_who_may_view_writes_nothing_and_who_may_edit_writes_no_status() -> None:
    assert {verb for rule in VIEWERS for verb in rule.verbs} == {"get", "list", "watch"}
    assert not [each for rule in EDITORS for each in rule.resources if each.endswith("/status")]
