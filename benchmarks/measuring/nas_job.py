"""A search, or some children to train, in a process of its own, so that its peak memory is its own."""

import json
import sys
from pathlib import Path
from typing import Any

from lykeion.core import CONSOLE
from lykeion.engines.running import peak_bytes
from lykeion.nas import NasRequest, Problem, open_space, parse_genotype
from lykeion.nas.strategies.children import Children


def problem_of(request: NasRequest) -> Problem:
    return request.problem(*open_space(request.space, request.data, CONSOLE))


def main() -> None:
    job = json.loads(sys.argv[1])
    problem = problem_of(NasRequest.from_json(json.loads(Path(job["request"]).read_bytes())))
    print(json.dumps(_JOBS[job["job"]](problem, job) | {"peak_bytes": peak_bytes()}))


def train_children(problem: Problem, job: dict[str, Any]) -> dict[str, Any]:
    """Those ``genotypes`` with seeds ``seeds`` that the table lacks."""
    evaluate = Children(Path(job["table"]), problem)
    trained = [
        evaluate(parse_genotype(genotype), seed)
        for genotype, seed in zip(job["genotypes"], job["seeds"], strict=True)
    ]
    return {"accuracies": [child.accuracy for child in trained]}


def inherit(problem: Problem, job: dict[str, Any]) -> dict[str, Any]:
    """Inherited accuracies of ``genotypes`` in the supernet whose search is in ``run``, finished there."""
    from lykeion.nas.strategies.gradient import train_supernet
    from lykeion.nas.strategies.single_path import THRESHOLDS

    from .inheritance import inherited_accuracy

    request = NasRequest.from_json(json.loads(Path(job["request"]).read_bytes()))
    supernet, _, _ = train_supernet(THRESHOLDS, problem, request.budget, Path(job["run"]))
    return {
        "accuracies": [
            inherited_accuracy(supernet, parse_genotype(genotype), problem.data) for genotype in job["genotypes"]
        ]
    }


_JOBS = {"children": train_children, "inherit": inherit}

if __name__ == "__main__":
    main()
