"""Ranking, crossing books and sure bets, against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from marketstream.dashboard.views.edge_rows import (
    crossed_assets,
    crossing,
    edge_ratios,
    edge_rows,
    ranked,
    sure_bets,
)
from marketstream.engine import Engine
from marketstream.market.instruments import Kind


async def test_tradable_edges_come_first_and_fall_by_what_they_earn(engine: Engine) -> None:
    assert engine.snapshot is not None
    frame = engine.snapshot.edges
    rows = frame.take(ranked(engine.snapshot, only_tradable=False))
    tradable = rows["executable"].to_numpy()
    assert not (np.diff(tradable.astype(int)) > 0).any()
    earns = (rows["edge"] * rows["size"]).to_numpy()[tradable]
    assert (np.diff(earns) <= 0).all()
    rest = (rows["edge"] / rows["se"]).to_numpy()[~tradable]
    assert (np.diff(rest) <= 0).all()


async def test_only_tradable_leaves_the_others_out(engine: Engine) -> None:
    assert engine.snapshot is not None
    rows = ranked(engine.snapshot, only_tradable=True)
    assert engine.snapshot.edges["executable"].to_numpy()[rows].all()


async def test_a_row_repeats_the_frame_and_has_a_reason_exactly_when_it_cannot_be_traded(engine: Engine) -> None:
    snapshot = engine.snapshot
    assert snapshot is not None
    rows = ranked(snapshot, only_tradable=False)
    data = edge_rows(snapshot, rows, 1.0)
    frame = snapshot.edges.take(rows)
    assert data["price"].tolist() == frame["price"].tolist()
    assert data["id"].tolist() == frame.index.get_level_values("instrument").tolist()
    for tradable, reason in zip(data["tradable"], data["reason"], strict=True):
        assert tradable == (reason == "")


async def test_the_distribution_is_of_every_priced_quote_of_a_kind(engine: Engine) -> None:
    assert engine.snapshot is not None
    both, assets, outcomes = (edge_ratios(engine.snapshot, kind) for kind in (None, Kind.ASSET, Kind.OUTCOME))
    assert len(both) == len(assets) + len(outcomes) > 100
    assert np.isfinite(both).all()


async def test_venue_against_venue_is_bid_over_ask(engine: Engine) -> None:
    assert engine.snapshot is not None
    market = engine.snapshot.market
    venues, table = crossing(engine.snapshot, 0)
    book = market.book[0]
    expected = (book["bid"][venues[0]] / book["ask"][venues[1]] - 1) * 1e4
    assert table[0, 1] == pytest.approx(expected)
    assert np.isnan(np.diag(table)).all()


async def test_crossed_books_are_shown_after_the_fees_of_both_venues(engine: Engine) -> None:
    assert engine.snapshot is not None
    for name, legs, locks, profit in crossed_assets(engine.snapshot):
        best = engine.snapshot.market.best_quotes.loc[name]
        before_fees = (best["best_bid"] / best["best_ask"] - 1) * 100
        assert best["crossed"] and profit <= before_fees + 1e-12 and locks > 0 and "buy" in legs


async def test_a_sure_bet_pays_more_than_it_costs_whatever_happens(engine: Engine) -> None:
    assert engine.snapshot is not None
    for _name, _legs, total, profit in sure_bets(engine.snapshot):
        assert 0 < total < 1 and profit == pytest.approx((1 / total - 1) * 100)
