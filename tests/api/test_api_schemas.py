"""Schemas: complete, documented, and in step with the nouns they show."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from marketstream.analytics.terms import SIDES
from marketstream.api import (
    handling_schemas,
    health_schemas,
    provider_schemas,
    rationale_schemas,
    record_schemas,
    schemas,
    table_schemas,
)
from marketstream.api.provider_schemas import ProviderChange
from marketstream.api.schemas import Input, Output, timestamp
from marketstream.market.allocation import AllocationStatus
from marketstream.market.events import Absence, ProviderStatus
from marketstream.market.frames import ALLOCATION, EDGES, FAIR
from marketstream.market.instruments import Kind
from marketstream.market.quotes import QuoteState
from marketstream.providers.base import Fault
from marketstream.streaming.streamer import StreamerState

MODULES = (
    schemas,
    health_schemas,
    provider_schemas,
    record_schemas,
    handling_schemas,
    table_schemas,
    rationale_schemas,
)
MODELS = sorted(
    {
        model
        for module in MODULES
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, Input | Output)
    },
    key=lambda model: model.__name__,
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described_and_unknown_ones_are_refused(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert model.model_config["extra"] == "forbid"
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} has no description"


def choices(model: type[BaseModel], field: str) -> set[str]:
    """Return the literals that a field, optional or not, may hold."""
    annotation = model.model_fields[field].annotation
    nested = [get_args(arg) or (arg,) for arg in get_args(annotation)]
    return {value for values in nested for value in values if isinstance(value, str)}


@pytest.mark.parametrize(
    ("model", "field", "values"),
    [
        (provider_schemas.FaultOrder, "kind", {fault.value for fault in Fault}),
        (provider_schemas.ProviderInfo, "status", {status.value for status in ProviderStatus}),
        (provider_schemas.ProviderInfo, "absence", {absence.value for absence in Absence}),
        (schemas.StreamingStatus, "state", {state.value for state in StreamerState}),
        (health_schemas.Health, "state", {state.value for state in StreamerState}),
        (table_schemas.VenueQuote, "state", {state.name for state in QuoteState}),
        (table_schemas.EdgeRow, "side", set(SIDES)),
        (table_schemas.MarketRow, "kind", {kind.value for kind in Kind}),
        (table_schemas.Portfolio, "status", {status.value for status in AllocationStatus}),
    ],
)
def test_choices_are_those_of_the_nouns(model: type[BaseModel], field: str, values: set[str]) -> None:
    assert choices(model, field) == values


def test_rows_show_every_column_of_their_frame() -> None:
    assert set(FAIR.columns) <= set(table_schemas.MarketRow.model_fields)
    assert {*EDGES.index, *EDGES.columns} <= set(table_schemas.EdgeRow.model_fields)
    assert {*ALLOCATION.index, *ALLOCATION.columns} <= set(table_schemas.PositionRow.model_fields)


@pytest.mark.parametrize("body", [{}, {"enabled": None}, {"fault": None}, {"options": None, "stale_after_s": None}])
def test_a_change_asks_for_something(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give at least one of"):
        ProviderChange.model_validate(body)


def test_times_are_utc_with_microseconds() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    # 1e9 s is 2001-09-09 01:46:40 UTC, a date that every Unix hand knows.
    assert timestamp(1_000_000_000_123_456_789) == "2001-09-09T01:46:40.123456Z"
