"""The built-in worlds: `demo`, `null`, `planted` and `scale`. Every venue, team and player is invented."""

from __future__ import annotations

from dataclasses import replace

from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Fees, Kind
from marketstream.providers.simulated_spec import (
    AssetSpec,
    Margin,
    MarketSpec,
    PlantingSpec,
    VenueSpec,
    WorldSpec,
)

HOUR_S = 3600.0

# id, price, tick, annual volatility, market beta, sector, sector beta, spread scale, rate scale
_COINS: tuple[tuple[str, float, float, float, float, str, float, float, float], ...] = (
    ("BTC-USD", 97_412.50, 0.01, 0.45, 0.90, "base", 0.10, 0.5, 1.8),
    ("ETH-USD", 3_418.20, 0.01, 0.58, 0.82, "base", 0.30, 0.6, 1.6),
    ("SOL-USD", 214.35, 0.001, 0.72, 0.74, "base", 0.45, 0.8, 1.4),
    ("XRP-USD", 2.3140, 0.00001, 0.68, 0.66, "payment", 0.50, 0.8, 1.3),
    ("ADA-USD", 0.94120, 0.00001, 0.74, 0.68, "base", 0.48, 1.0, 1.0),
    ("AVAX-USD", 38.640, 0.0001, 0.80, 0.70, "base", 0.48, 1.1, 0.9),
    ("DOT-USD", 7.1250, 0.0001, 0.74, 0.68, "base", 0.50, 1.1, 0.8),
    ("LINK-USD", 22.840, 0.0001, 0.76, 0.66, "defi", 0.50, 1.0, 1.0),
    ("UNI-USD", 12.960, 0.0001, 0.82, 0.62, "defi", 0.58, 1.1, 0.8),
    ("AAVE-USD", 318.40, 0.001, 0.84, 0.62, "defi", 0.58, 1.2, 0.8),
    ("MKR-USD", 1_642.0, 0.01, 0.72, 0.56, "defi", 0.58, 1.3, 0.6),
    ("LTC-USD", 103.75, 0.001, 0.62, 0.72, "payment", 0.40, 0.9, 0.9),
    ("BCH-USD", 438.10, 0.001, 0.66, 0.70, "payment", 0.42, 1.0, 0.8),
    ("XLM-USD", 0.39420, 0.000001, 0.74, 0.60, "payment", 0.58, 1.1, 0.8),
    ("DOGE-USD", 0.32580, 0.000001, 0.86, 0.64, "meme", 0.52, 0.9, 1.2),
    ("WIF-USD", 0.51230, 0.00001, 0.90, 0.60, "meme", 0.60, 1.2, 0.9),
    ("NEAR-USD", 5.2140, 0.00001, 0.84, 0.68, "base", 0.50, 1.1, 0.8),
    ("ATOM-USD", 6.7320, 0.00001, 0.76, 0.68, "base", 0.48, 1.1, 0.8),
    ("FIL-USD", 5.0830, 0.00001, 0.78, 0.64, "storage", 0.52, 1.2, 0.7),
    ("AR-USD", 17.420, 0.0001, 0.88, 0.60, "storage", 0.58, 1.4, 0.6),
    ("ALGO-USD", 0.34160, 0.000001, 0.76, 0.66, "payment", 0.48, 1.2, 0.7),
    ("EUR-USD", 1.08420, 0.000001, 0.09, -0.10, "currency", 0.60, 0.15, 1.0),
)
_CROSSES = (
    ("BTC-EUR", "BTC-USD", 0.01, 0.6, 1.2),
    ("ETH-EUR", "ETH-USD", 0.01, 0.7, 1.1),
    ("SOL-EUR", "SOL-USD", 0.001, 0.9, 1.0),
    ("XRP-EUR", "XRP-USD", 0.00001, 0.9, 0.9),
)
_EURO_LESS = ("damson",)

_ASSET_VENUES = (
    VenueSpec(
        id="alder", name="Alder Exchange", code="ALD", kind=Kind.ASSET, rate=12.0,
        fees=Fees(per_trade=0.0004), lag_s=0.03, latency_s=0.02, spread_bps=1.6, error=0.9, error_s=45.0,
        noise=0.25, size=60_000.0, dropouts_per_hour=3.0, dropout_s=3.0,
    ),
    VenueSpec(
        id="birch", name="Birch Markets", code="BIR", kind=Kind.ASSET, rate=9.0,
        fees=Fees(per_trade=0.0006), lag_s=0.08, latency_s=0.045, spread_bps=2.2, error=1.4, error_s=30.0,
        noise=0.35, size=35_000.0, dropouts_per_hour=5.0, dropout_s=4.0,
    ),
    VenueSpec(
        id="cedar", name="Cedar Digital", code="CED", kind=Kind.ASSET, rate=6.0,
        fees=Fees(per_trade=0.0002), lag_s=0.20, latency_s=0.09, spread_bps=3.0, error=2.6, error_s=60.0,
        noise=0.5, size=18_000.0, dropouts_per_hour=7.0, dropout_s=5.0,
    ),
    VenueSpec(
        id="damson", name="Damson Trading", code="DAM", kind=Kind.ASSET, rate=3.5,
        fees=Fees(per_trade=0.0001), lag_s=0.45, latency_s=0.14, spread_bps=4.0, error=3.8, error_s=25.0,
        noise=0.7, size=9_000.0, dropouts_per_hour=9.0, dropout_s=6.0,
    ),
)  # fmt: skip
_OUTCOME_VENUES = (
    VenueSpec(
        id="quayside", name="Quayside Sports", code="QUA", kind=Kind.OUTCOME, rate=1.2, lag_s=0.3,
        latency_s=0.08, margin=0.10, method=Margin.ODDS_RATIO, error=0.035, error_s=120.0, noise=0.004,
        size=800.0, dropouts_per_hour=3.0, dropout_s=4.0,
    ),
    VenueSpec(
        id="redfern", name="Redfern Bet", code="RED", kind=Kind.OUTCOME, rate=0.9, lag_s=0.8,
        latency_s=0.12, margin=0.06, method=Margin.POWER, error=0.045, error_s=180.0, noise=0.006,
        size=500.0, dropouts_per_hour=5.0, dropout_s=5.0,
    ),
    VenueSpec(
        id="saltmarsh", name="Saltmarsh Racing", code="SAL", kind=Kind.OUTCOME, rate=0.7, lag_s=2.0,
        latency_s=0.2, margin=0.022, method=Margin.ADDITIVE, error=0.06, error_s=240.0, noise=0.008,
        size=300.0, dropouts_per_hour=7.0, dropout_s=6.0,
    ),
    VenueSpec(
        id="tidemark", name="Tidemark Exchange", code="TID", kind=Kind.OUTCOME, rate=1.8,
        fees=Fees(commission=0.02), lag_s=0.1, latency_s=0.05, margin=0.02, method=Margin.EXCHANGE,
        error=0.015, error_s=60.0, noise=0.004, size=1_500.0, dropouts_per_hour=2.0, dropout_s=3.0,
    ),
)  # fmt: skip

_MATCHES = (
    ("NGR-EMA", "Northgate Rovers", "Eastmoor Athletic", 0.46, 0.27, 2.25),
    ("HRT-WSU", "Harrowby Town", "Westing United", 0.34, 0.29, 3.5),
    ("KLF-PNC", "Kelford City", "Pencarrow", 0.58, 0.24, 5.0),
    ("BRW-STA", "Brackwater", "Stannage Albion", 0.29, 0.28, 26.0),
    ("LVS-ODM", "Lunvik SK", "Odmark IF", 0.41, 0.28, 50.0),
)
_TWO_WAY = (
    (
        "MARCHETTI-PTS",
        "Ivo Marchetti points, line 24.5",
        "over",
        "Over 24.5",
        "under",
        "Under 24.5",
        0.52,
        4.0,
        24.5,
    ),
    (
        "OKONJO-REB",
        "Tade Okonjo rebounds, line 9.5",
        "over",
        "Over 9.5",
        "under",
        "Under 9.5",
        0.47,
        6.0,
        9.5,
    ),
    (
        "VALE-HRT",
        "Tennis: Mira Vale v Lena Hartog",
        "vale",
        "Mira Vale",
        "hartog",
        "Lena Hartog",
        0.63,
        2.75,
        None,
    ),
)
_RATE_DECISION = MarketSpec(
    id="RATE-DECISION", name="Central bank of Arden: next rate decision", settles_after_s=72 * HOUR_S,
    event_s=600.0, event_share=0.3,
    outcomes=(("cut", "Rate cut", 0.36), ("hold", "No change", 0.52), ("rise", "Rate rise", 0.12)),
)  # fmt: skip
_BALLOT = MarketSpec(
    id="ARDEN-BALLOT", name="Arden ballot: measure 7 passes", settles_after_s=60 * HOUR_S,
    event_s=4 * HOUR_S, event_share=0.5, outcomes=(("yes", "Yes", 0.56), ("no", "No", 0.44)),
)  # fmt: skip


def make_world_spec(name: str, *, n_instruments: int | None = None, n_venues: int | None = None) -> WorldSpec:
    """Return the parameters of a built-in world.

    Args:
        name: `demo`, `null`, `planted`, or `scale` for any number of plain assets.
        n_instruments: Of `scale` only, 500 unless given.
        n_venues: Of `scale` only, 4 unless given.
    """
    if name == "scale":
        return _scale(500 if n_instruments is None else n_instruments, 4 if n_venues is None else n_venues)
    if n_instruments is not None or n_venues is not None:
        raise InvalidInputError(f"n_instruments and n_venues belong to the world 'scale', not to {name!r}")
    makers = {"demo": _demo, "null": _null, "planted": _planted}
    if name not in makers:
        raise InvalidInputError(f"unknown world {name!r}; there are {', '.join([*makers, 'scale'])}")
    return makers[name]()


def _demo() -> WorldSpec:
    return WorldSpec(
        name="demo", assets=_assets(), markets=_markets(), venues=_ASSET_VENUES + _OUTCOME_VENUES,
        common_error=(0.8, 0.012),
    )  # fmt: skip


def _null() -> WorldSpec:
    """Venues agree and err by less than it costs to trade, so that nothing can be earned after fees."""
    assets = tuple(
        replace(
            v, error=0.3, noise=0.25, lag_s=0.05, latency_s=0.03, dropouts_per_hour=0.0, rate=8.0,
            size=30_000.0, fees=Fees(per_trade=0.0010),
        )
        for v in _ASSET_VENUES
    )  # fmt: skip
    outcomes = tuple(
        replace(v, error=0.006, noise=0.004, lag_s=0.1, latency_s=0.05, dropouts_per_hour=0.0, rate=1.2)
        for v in _OUTCOME_VENUES
    )
    # Far from their result, probabilities move by little within the life of a quote.
    markets = tuple(replace(m, settles_after_s=72 * HOUR_S, event_share=0.5) for m in _markets())
    return WorldSpec(name="null", assets=_assets(), markets=markets, venues=assets + outcomes)


def _planted() -> WorldSpec:
    """The null world, in which the only edges are the planted ones."""
    return replace(_null(), name="planted", planting=PlantingSpec())


def _scale(n_instruments: int, n_venues: int) -> WorldSpec:
    if not (1 <= n_instruments <= 9999 and 1 <= n_venues <= 99):
        raise InvalidInputError(
            f"a scale world has 1 to 9999 instruments and 1 to 99 venues, was {n_instruments} and {n_venues}"
        )
    assets = tuple(
        AssetSpec(
            id=f"A{i + 1:04d}-USD",
            price=round(10.0 ** (0.5 + 3.5 * (i * 0.618034 % 1.0)), 2),
            tick=0.0001,
            volatility=0.4 + 0.5 * (i * 0.754878 % 1.0),
            sector=f"sector{i % 9}",
        )
        for i in range(n_instruments)
    )
    venues = tuple(
        replace(
            _ASSET_VENUES[i % 4],
            id=f"v{i + 1:02d}",
            name=f"Venue {i + 1:02d}",
            code=f"V{i + 1:02d}",
            rate=1.0,
        )
        for i in range(n_venues)
    )
    return WorldSpec(name="scale", assets=assets, markets=(), venues=venues)


def _assets() -> tuple[AssetSpec, ...]:
    coins = [
        AssetSpec(
            id=name, price=price, tick=tick, volatility=volatility, market_beta=market, sector=sector,
            sector_beta=in_sector, spread_scale=spread, rate_scale=rate,
        )
        for name, price, tick, volatility, market, sector, in_sector, spread, rate in _COINS
    ]  # fmt: skip
    prices = {a.id: a.price for a in coins}
    crosses = [
        AssetSpec(
            id=name, price=prices[base] / prices["EUR-USD"], tick=tick, spread_scale=spread, rate_scale=rate,
            cross=(base, "EUR-USD"), absent_from=_EURO_LESS,
        )
        for name, base, tick, spread, rate in _CROSSES
    ]  # fmt: skip
    return tuple(coins + crosses)


def _markets() -> tuple[MarketSpec, ...]:
    matches = [
        MarketSpec(
            id=name, name=f"{home} v {away}", settles_after_s=hours * HOUR_S,
            outcomes=(("home", home, p), ("draw", "Draw", draw), ("away", away, 1.0 - p - draw)),
        )
        for name, home, away, p, draw, hours in _MATCHES
    ]  # fmt: skip
    pairs = [
        MarketSpec(
            id=name, name=title, line=line, settles_after_s=hours * HOUR_S, event_s=2.25 * HOUR_S,
            outcomes=((first, first_name, p), (second, second_name, 1.0 - p)),
        )
        for name, title, first, first_name, second, second_name, p, hours, line in _TWO_WAY
    ]  # fmt: skip
    return (*matches, *pairs, _RATE_DECISION, _BALLOT)
