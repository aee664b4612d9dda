"""A Volume is a claim of the profile's class."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.volume_claim import VOLUMES
from lykeion.platform.resources.programs.program_volume import VOLUME, VolumeSpec
from lykeion.platform.resources.settings.cluster_profile import ClusterProfileSpec, StorageProfile

from .job_documents import stored


def _facts(**storage: Any) -> ClusterFacts:
    return ClusterFacts(profile=ClusterProfileSpec(storage=StorageProfile(**storage)))


def _volume(**spec: Any) -> Any:
    return VOLUME.new("run", VolumeSpec(**spec))


@pytest.mark.parametrize(
    ("spec", "facts", "claim"),
    [
        (
            {"size": "50Gi"},
            _facts(),
            {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "50Gi"}}},
        ),
        (
            {},
            _facts(class_name="shared-files", shared=True),
            {
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "10Gi"}},
                "storageClassName": "shared-files",
            },
        ),
    ],
)
def test_a_claim_has_what_the_profile_and_the_volume_say(spec: Any, facts: ClusterFacts, claim: Any) -> None:
    (made,) = VOLUMES.objects(_volume(**spec), facts)
    assert (made["kind"], made["metadata"]["name"], made["spec"]) == ("PersistentVolumeClaim", "run", claim)


@pytest.mark.parametrize(
    ("phase", "truth", "words"),
    [("Bound", "True", ""), ("Pending", "False", "when a program uses it"), ("Lost", "False", "no longer exists")],
)
def test_its_phase_is_whether_it_is_ready(phase: str, truth: str, words: str) -> None:
    (made,) = VOLUMES.objects(_volume(size="1Gi"), _facts())
    read = VOLUMES.resource_of({**stored(made), "status": {"phase": phase}}, ())
    (ready,) = read.status.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", truth, phase)
    assert words in ready.message
    assert read.spec == VolumeSpec(size="1Gi")


def test_a_claim_is_asked_to_grow_and_never_to_shrink() -> None:
    (made,) = VOLUMES.objects(_volume(size="1Gi"), _facts())
    wanted = replace(_volume(), spec=structs.replace(VolumeSpec(), size="2Gi"))
    (change,) = VOLUMES.changes((stored(made, "claim-1"),), _volume(size="500M"), _facts())
    assert "spec" not in change.document
    (change,) = VOLUMES.changes((stored(made, "claim-1"),), wanted, _facts())
    assert (change.verb, change.document["metadata"]["uid"]) == ("merge", "claim-1")
    assert change.document["spec"] == {"resources": {"requests": {"storage": "2Gi"}}}
    read = VOLUMES.resource_of(
        {**stored(made), "metadata": {**stored(made)["metadata"], **change.document["metadata"]}}, ()
    )
    assert read.spec.size == "2Gi"
