"""The rows of the edges frame and the terms of one contract, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from market_factory import Q, make_catalog, make_market

from marketstream.analytics.layout import Layout
from marketstream.analytics.terms import Terms, rows_of, terms_of
from marketstream.analytics.valuation import FairValue
from marketstream.market.instruments import Fees
from marketstream.market.state import MarketState


def terms(market: MarketState, extra_fee: float = 0.0) -> tuple[list[tuple[str, str, str]], Terms]:
    layout = Layout.of(market)
    rows = rows_of(market, layout)
    _, state = FairValue().apply(market, None)
    return rows.index.tolist(), terms_of(market, state.consensus, layout, rows, extra_fee)


def test_an_asset_by_hand() -> None:
    catalog = make_catalog(["BTC"], fees={"alpha": Fees(per_trade=0.001)})
    quotes = {("BTC", "alpha"): Q(98.0, 99.0, 2.0), ("BTC", "beta"): Q(99.0, 101.0, 3.0)}
    keys, found = terms(make_market(catalog, quotes), extra_fee=0.0005)
    buy = keys.index(("BTC", "alpha", "buy"))
    assert found.fair[buy] == 100.0
    assert found.fee[buy] == pytest.approx(99.0 * 0.0015)
    assert found.edge[buy] == pytest.approx(100.0 - 99.0 - 99.0 * 0.0015)
    assert found.gap_bps[buy] == pytest.approx(-150.0)
    assert found.age_s[buy] == 3.0
    assert found.locked[buy] == 99.0
    sell = keys.index(("BTC", "alpha", "sell"))
    assert found.edge[sell] == pytest.approx(98.0 - 100.0 - 98.0 * 0.0015)


def test_an_outcome_by_hand() -> None:
    catalog = make_catalog(markets={"M": ("yes", "no")}, fees={"ace": Fees(commission=0.05)})
    quotes = {("M:yes", "ace"): Q(0.40, 0.44), ("M:no", "ace"): Q(0.55, 0.60)}
    quotes |= {("M:yes", "bet"): Q(ask=0.55), ("M:no", "bet"): Q(ask=0.55)}
    keys, found = terms(make_market(catalog, quotes))
    buy, lay = keys.index(("M:yes", "ace", "buy")), keys.index(("M:no", "ace", "lay"))
    assert found.fair[buy] == pytest.approx(0.5)
    assert found.edge[buy] == pytest.approx(0.5 * 0.56 * 0.95 - 0.5 * 0.44)
    assert found.locked[buy] == 0.44
    assert found.edge[lay] == pytest.approx(0.5 * 0.55 * 0.95 - 0.5 * 0.45)
    assert found.locked[lay] == pytest.approx(0.45)
    assert np.isnan(found.gap_bps).all()


def test_a_bookmaker_without_bids_has_no_lay_rows() -> None:
    catalog = make_catalog(markets={"M": ("yes", "no")})
    keys, _ = terms(make_market(catalog, {("M:yes", "ace"): Q(ask=0.5), ("M:no", "ace"): Q(ask=0.55)}))
    assert {side for _, _, side in keys} == {"buy"}
