"""Requests made up from the service's own OpenAPI description: any answer is one that it documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .serving import serving

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture
def described(index: Path, network: Path) -> Iterator[schemathesis.BaseSchema]:
    with serving(index, "--embedder", str(network)) as (_, url):
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_no_request_made_up_from_the_description_breaks_the_service(case: schemathesis.Case):
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    assert response.status_code < 500 or response.status_code == 503
