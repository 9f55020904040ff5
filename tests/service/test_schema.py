"""Generated requests get what the OpenAPI description says, and never an error of the server's."""

import os
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from rankprompt.api.reranker import Reranker
from rankprompt.service.settings import ServiceSettings
from tests.llm.rerankers.classifiers import save_classifier
from tests.service.serving import serving

# What the libraries under it warn of; requests that cannot be sent are sent all the same.
pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = int(os.environ.get("RANKPROMPT_SCHEMA_EXAMPLES", "15"))
OPERATIONS = [
    *(("POST", path) for path in ("/v1/rerank", "/v2/rerank", "/rerank", "/score", "/v1/score")),
    *(("GET", path) for path in ("/health", "/ready", "/v1/models", "/info", "/metrics")),
]
CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
FITTING, BROKEN = schemathesis.GenerationMode


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    # Over a socket: without one, schemathesis would start the application for each request.
    with (
        Reranker(str(save_classifier(tmp_path_factory.mktemp("model")))) as reranker,
        serving(reranker, ServiceSettings(max_documents=50)) as url,
    ):
        description = httpx.get(f"{url}/openapi.json", timeout=60).json()
        schema = schemathesis.openapi.from_dict(description)
        schema.config.update(base_url=url)
        yield schema


def test_every_operation_is_tried(schema: Any) -> None:
    found = (one.ok() for one in schema.get_all_operations())
    assert sorted((one.method.upper(), one.path) for one in found) == sorted(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_operation_keeps_to_its_description(schema: Any, method: str, path: str) -> None:
    operation = schema[path][method]
    strategy = operation.as_strategy(FITTING)
    if method == "POST":
        strategy |= operation.as_strategy(BROKEN)

    statuses: set[int] = set()

    @seed(0)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def check(case: Any) -> None:
        answer = case.call_and_validate(checks=CHECKS, timeout=60)
        statuses.add(answer.status_code)

    check()
    assert 200 in statuses <= {200, 400, 413, 415, 422}
