"""What schemathesis makes of the service by its own description: what is described is what happens."""

from __future__ import annotations

import json
import warnings
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from real_predictors import BINARY, MULTI, REGRESSION, build
from serving_fakes import Client

from mlwright.serving import App

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    schemathesis = pytest.importorskip("schemathesis")
    from requests import Request
    from schemathesis.core.transport import Response as Answer

CHECKED = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
CLIENTS = {str(task.kind): Client(App(build(task))) for task in (BINARY, MULTI, REGRESSION)}


def operations(client):
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    return [result.ok() for result in schema.get_all_operations()]


def answered(client, case):
    """Send a case through the service in this process and give its reply as `requests` would."""
    request = Request(**case.as_transport_kwargs(base_url="http://127.0.0.1")).prepare()
    path, _, query = request.path_url.partition("?")
    body = request.body or b""
    headers = {
        k.lower(): v if isinstance(v, str) else v.decode("latin-1") for k, v in request.headers.items()
    }
    kept = {k: v for k, v in headers.items() if v.isascii()}
    sent = client.request(
        case.method.upper(),
        unquote(path),
        body if isinstance(body, bytes) else body.encode(),
        kept,
        query=query,
    )
    given_ = {k.decode(): [v.decode("latin-1")] for k, v in sent.headers.items()}
    return Answer(sent.status, given_, sent.body, request, elapsed=0.0, verify=False)


@pytest.mark.parametrize("kind", CLIENTS)
def test_every_operation_does_what_it_says(kind):
    client = CLIENTS[kind]
    told = operations(client)
    assert len(told) == 17
    for operation in told:

        @CHECKED
        @given(case=operation.as_strategy())
        def check(case):
            reply = answered(client, case)
            assert reply.status_code < 500, (case.body, reply.text)
            case.validate_response(
                reply,
                checks=[
                    schemathesis.checks.not_a_server_error,
                    schemathesis.specs.openapi.checks.status_code_conformance,
                    schemathesis.specs.openapi.checks.content_type_conformance,
                    schemathesis.specs.openapi.checks.response_schema_conformance,
                ],
            )
            if 400 <= reply.status_code < 500 and reply.content:
                assert json.loads(reply.content)["error"]

        check()
