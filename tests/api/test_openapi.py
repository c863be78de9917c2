"""The OpenAPI document and the docs that people read."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI

from marketstream.api.app import create_app
from marketstream.api.examples import EXAMPLES
from marketstream.api.idempotency import CREATING
from marketstream.engine import Engine

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
ENDPOINTS = {
    "GET /streaming/status",
    "POST /streaming/control",
    "GET /streaming/health",
    "GET /streaming/health/live",
    "GET /streaming/health/ready",
    "GET /streaming/providers",
    "POST /streaming/providers",
    "GET /streaming/providers/{name}",
    "PUT /streaming/providers/{name}",
    "DELETE /streaming/providers/{name}",
    "POST /streaming/providers/{name}/health",
    "GET /streaming/events",
    "GET /streaming/handlers",
    "GET /streaming/dead-letters",
    "GET /streaming/dead-letters/{id}",
    "POST /streaming/dead-letters/{id}/replay",
    "POST /streaming/dead-letters/{id}/discard",
    "GET /streaming/allocations",
    "GET /streaming/store",
    "POST /streaming/rationale/generate",
    "GET /streaming/rationale",
    "GET /streaming/rationale/{id}",
    "POST /streaming/rationale/{id}/cancel",
    "GET /streaming/rationale/{id}/feedback",
    "POST /streaming/rationale/{id}/feedback",
    "GET /markets",
    "GET /markets/{instrument}",
    "GET /edges",
    "GET /portfolio",
}


@pytest.fixture
def operations(app: FastAPI) -> dict[str, Any]:
    document = app.openapi()
    return {f"{m.upper()} {path}": o for path, methods in document["paths"].items() for m, o in methods.items()}


def test_the_endpoints_are_those_promised(operations: dict[str, Any]) -> None:
    assert set(operations) == ENDPOINTS


def test_every_operation_is_summed_up_described_and_filed(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name


def test_operations_have_short_names_of_their_own(operations: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and len(name) < 16 for name in names)


def test_every_error_is_a_problem_of_its_own_media_type(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        errors = {status: r for status, r in operation["responses"].items() if int(status) >= 400}
        assert "400" in errors, name
        for response in errors.values():
            assert response["content"] == {"application/problem+json": {"schema": PROBLEM}}


def test_an_operation_with_a_body_documents_what_any_body_can_meet(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        if "requestBody" in operation:
            assert list(operation["requestBody"]["content"]) == ["application/json"], name
            assert {"400", "403", "413", "415", "422"} <= set(operation["responses"]), name


def test_an_operation_that_changes_something_can_refuse_a_page_of_another_origin(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        assert name.startswith("GET") or "403" in operation["responses"], name


def test_what_creates_something_takes_an_idempotency_key(operations: dict[str, Any]) -> None:
    for path in CREATING:
        operation = operations[f"POST {path}"]
        (header,) = [p for p in operation["parameters"] if p["in"] == "header"]
        assert header["name"] == "Idempotency-Key"
        assert not header["required"]
        assert {"409", "422", "503"} <= set(operation["responses"])
        (success,) = [r for status, r in operation["responses"].items() if status.startswith("2")]
        assert "Idempotent-Replayed" in success["headers"]


def test_the_document_is_the_same_for_every_application(engine: Engine) -> None:
    assert create_app(engine).openapi() == create_app(engine).openapi()


def test_the_validation_error_of_fastapi_is_nowhere(app: FastAPI) -> None:
    assert "HTTPValidationError" not in str(app.openapi())


def test_every_parameter_is_described(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), f"{parameter['name']} of {name}"


def test_every_body_and_every_answer_carries_an_example_that_fits_its_schema(app: FastAPI) -> None:
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for name, schema in shown_schemas(document).items():
        found = schema if "examples" in schema else schemas[schema["$ref"].rpartition("/")[2]]
        assert found.get("examples"), f"{name} has no example"
        for example in found["examples"]:
            jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(example)


def shown_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of each JSON body and answer by operation."""
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts = {"body": operation.get("requestBody", {})} | operation["responses"]
            for part, holder in parts.items():
                for content in holder.get("content", {}).values():
                    schema = content["schema"]
                    found[f"{method} {path} {part}"] = schema.get("anyOf", [schema])[0]
    return found


def test_the_check_of_examples_catches_one_that_does_not_fit(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    document = copy.deepcopy(app.openapi())
    document["components"]["schemas"]["Liveness"]["examples"] = [{"live": False}]
    monkeypatch.setattr(app, "openapi", lambda: document)
    with pytest.raises(jsonschema.ValidationError):
        test_every_body_and_every_answer_carries_an_example_that_fits_its_schema(app)


def test_examples_are_of_models_that_exist(app: FastAPI) -> None:
    assert set(EXAMPLES) <= set(app.openapi()["components"]["schemas"])


def test_docs_list_every_endpoint_with_a_command(operations: dict[str, Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, operation in operations.items():
        assert f"`{name}`" in text, f"{name} is not in docs/api.md"
        for parameter in operation.get("parameters", ()):
            assert f"`{parameter['name']}`" in text, f"{parameter['name']} of {name} is not in docs/api.md"
    assert text.count("curl ") >= len(operations)
