from __future__ import annotations

import pytest
from provider_fakes import START_NS, simulated

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError
from marketstream.market.catalog import Catalog
from marketstream.providers.simulated import make_world
from marketstream.providers.venues.binance import BinanceProvider
from marketstream.providers.venues.kraken import KrakenProvider
from marketstream.providers.venues.symbols import make_symbol


def test_an_instrument_means_the_same_at_every_venue() -> None:
    catalog, clock = Catalog(), ManualClock(START_NS)
    simulated(make_world("demo", seed=7, start_ns=START_NS), catalog)
    pairs = [i.id for i in catalog.instruments if i.id.endswith(("-USD", "-EUR")) and i.market_id is None]
    listed = [p for p in pairs if not p.startswith(("UNI", "AAVE", "MKR", "WIF", "NEAR", "FIL", "AR-", "ALGO"))]
    assert len(listed) >= 15
    n = catalog.n_instruments
    KrakenProvider(clock=clock, symbols=[*listed, "ADA-USDT"]).attach(catalog)
    BinanceProvider(clock=clock, symbols=[*listed, "ADAUSDT"]).attach(catalog)
    # What all three list is one instrument each; the currency of the price makes another.
    assert catalog.n_instruments == n + 1


@pytest.mark.parametrize("tick", ["x", "0", "-1", "nan", "inf"])
def test_a_tick_is_a_number_above_0(tick: str) -> None:
    with pytest.raises(InvalidInputError, match="tick after the colon must be a number > 0, was 'BTC/USD:"):
        make_symbol("BTC/USD", "BTC", "USD", tick, f"BTC/USD:{tick}")
