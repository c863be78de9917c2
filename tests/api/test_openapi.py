"""The OpenAPI document and the docs that people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
ENDPOINTS = {
    "GET /streaming/status",
    "GET /streaming/health",
    "GET /streaming/providers",
    "GET /streaming/providers/{name}",
    "PUT /streaming/providers/{name}",
    "POST /streaming/control",
    "POST /streaming/rationale/generate",
    "GET /streaming/rationale/{id}",
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
    assert all(name.isidentifier() and len(name) < 12 for name in names)


def test_every_error_is_a_problem_of_its_own_media_type(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        errors = {status: r for status, r in operation["responses"].items() if int(status) >= 400}
        assert "400" in errors, name
        for response in errors.values():
            assert response["content"] == {"application/problem+json": {"schema": PROBLEM}}


def test_an_operation_with_a_body_documents_what_any_body_can_meet(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        if not name.startswith("GET"):
            assert list(operation["requestBody"]["content"]) == ["application/json"]
            assert {"400", "403", "413", "415", "422"} <= set(operation["responses"])


def test_the_validation_error_of_fastapi_is_nowhere(app: FastAPI) -> None:
    assert "HTTPValidationError" not in str(app.openapi())


def test_every_parameter_is_described(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), f"{parameter['name']} of {name}"


def test_bodies_carry_examples_that_are_valid(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert all(schemas[name]["examples"] for name in ("Control", "ProviderChange", "RationaleOrder"))


def test_docs_list_every_endpoint_with_a_command(operations: dict[str, Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, operation in operations.items():
        assert f"`{name}`" in text, f"{name} is not in docs/api.md"
        for parameter in operation.get("parameters", ()):
            assert f"`{parameter['name']}`" in text, f"{parameter['name']} of {name} is not in docs/api.md"
    assert text.count("curl ") >= len(operations)
