"""Parameters of a world that contradict themselves are refused."""

from __future__ import annotations

import pytest

from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Kind
from marketstream.providers.simulated_lists import make_world_spec
from marketstream.providers.simulated_spec import AssetSpec, MarketSpec, VenueSpec, WorldSpec


def test_loadings_that_explain_more_than_everything_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at most 1"):
        AssetSpec(id="A-USD", price=1.0, tick=0.1, market_beta=0.9, sector_beta=0.9)


def test_shares_of_the_variance_sum_to_one() -> None:
    asset = AssetSpec(id="A-USD", price=1.0, tick=0.1, market_beta=0.6, sector_beta=0.4)
    assert asset.market_beta**2 + asset.sector_beta**2 + asset.own_share**2 == pytest.approx(1.0)


@pytest.mark.parametrize("second", [0.4, 0.6])
def test_probabilities_that_do_not_sum_to_one_are_refused(second: float) -> None:
    with pytest.raises(InvalidInputError, match="sum to 1"):
        MarketSpec(id="M", name="M", outcomes=(("a", "A", 0.5), ("b", "B", second)), settles_after_s=9.0)


def test_a_venue_with_nothing_to_quote_is_refused() -> None:
    venue = VenueSpec(id="v", name="V", code="VVV", kind=Kind.OUTCOME, rate=1.0)
    with pytest.raises(InvalidInputError, match="'v' has nothing to quote"):
        WorldSpec(name="w", assets=(), markets=(), venues=(venue,))


def test_venues_are_found_by_kind_and_by_name() -> None:
    spec = make_world_spec("demo")
    assert [v.id for v in spec.asset_venues] == ["alder", "birch", "cedar", "damson"]
    assert [v.id for v in spec.outcome_venues] == ["quayside", "redfern", "saltmarsh", "tidemark"]
    assert spec.venue("cedar").name == "Cedar Digital"
    assert "BTC-EUR" not in [a.id for a in spec.assets_of("damson")]
    with pytest.raises(InvalidInputError, match="no venue 'elm'"):
        spec.venue("elm")
