"""Requests made up from the service's own OpenAPI description, fitting and not: every answer is one it documents."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.search.ingest.tiny import jpeg

from .serving import serving

DIMENSION = 16
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
QUICK = settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    derandomize=True,
    database=None,
)


def test_no_request_made_up_from_the_description_breaks_the_service(index: Path, network: Path):
    with serving(index, "--embedder", str(network)) as (_, url):
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        assert len(operations) >= 13
        for operation in operations:
            assert statuses_of(operation, GenerationMode.POSITIVE)
            statuses_of(operation, GenerationMode.NEGATIVE)


def statuses_of(operation: schemathesis.APIOperation, mode: GenerationMode) -> Counter[int]:
    """How often each status was answered."""
    statuses: Counter[int] = Counter()

    @QUICK
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            _fit(case.body)
        response = case.call()
        statuses[response.status_code] += 1
        assert response.status_code < 500 or response.status_code == 503, response.text
        case.validate_response(response, checks=CHECKS)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        ask()
    return statuses


def _fit(body: dict[str, Any]) -> None:
    """Make the body one for this index: a real photo, vectors of its dimension, a product that is there."""
    if "photo" in body:
        body["photo"] = jpeg(3)
    elif "vector" in body:
        body["vector"] = (body["vector"] * DIMENSION)[:DIMENSION]
    elif "id" in body:
        body["id"] = "item-3"
    elif isinstance(body.get("items"), list):
        for item in body["items"]:
            if "vectors" in item:
                item["vectors"] = [(vector * DIMENSION)[:DIMENSION] for vector in item["vectors"]]
