"""Which lookups wait for one another: those that ask the same registry, repository, or cluster for a namespace."""

import pytest

from lykeion.control import Lookup
from lykeion.platform.lookups import (
    ImageDigest,
    ModelVersion,
    NoRemoteRun,
    PrometheusCounts,
    RemoteRun,
    SourceDigest,
)
from lykeion.platform.resources.pipelines import PIPELINE_RUN, PipelineRunSpec, PipelineStep
from lykeion.platform.resources.programs import Program

RUN = PIPELINE_RUN.new(
    "night", PipelineRunSpec(steps=(PipelineStep(name="train", program=Program(command=("train",))),))
)


@pytest.mark.parametrize(
    ("lookup", "source"),
    [
        (ModelVersion("shoes:champion"), "the registry"),
        (ModelVersion("shop/shoes:champion"), "the registry"),
        (ModelVersion("registry.example.com/shop/shoes:v1"), "the registry registry.example.com"),
        (ImageDigest("localhost:5000/train:v1"), "the registry localhost:5000"),
        (SourceDigest(repository="https://git.example.com/shop"), "https://git.example.com/shop"),
        (PrometheusCounts("http://prometheus:9090", "a", "b"), "http://prometheus:9090"),
        (RemoteRun("gke", "shop", "n", "o", "u", RUN), "the cluster gke, for shop"),
        (NoRemoteRun("gke", "lab", "n", "o", "u"), "the cluster gke, for lab"),
    ],
)
def test_a_lookup_names_what_answers_it(lookup: Lookup, source: str) -> None:
    assert lookup.source == source
