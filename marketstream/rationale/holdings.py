"""A caller's own book in place of the house's: what can be worked out of it, and nothing that cannot. See facts.py.

Weights, their sum and their order are the caller's; risk comes from the covariance of the snapshot, where it covers
every holding. What was held before, what it cost, limits and stakes are not known and become no facts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from marketstream.analytics.analysis import Snapshot
from marketstream.analytics.covariance import FactorCovariance
from marketstream.errors import InvalidInputError
from marketstream.market.allocation import Allocation, AllocationStatus
from marketstream.market.catalog import Catalog
from marketstream.market.frames import ALLOCATION
from marketstream.market.instruments import Kind
from marketstream.market.rationale import Holding, RationaleRequest

LOSS_QUANTILE = 2.326347874
"""99 % of a normal law, as Allocation.worst_loss is stated."""


def check_request(request: RationaleRequest, catalog: Catalog) -> None:
    """Refuse an order that no catalogue entry can answer.

    Raises:
        NotFoundError: Nobody lists the subject or a holding.
        InvalidInputError: A holding is an outcome, or the subject is one where the caller's own book is asked about.
    """
    for holding in request.portfolio_data:
        if catalog.instrument(holding.instrument).kind is not Kind.ASSET:
            raise InvalidInputError(f"portfolio_data holds assets; {holding.instrument!r} is an outcome")
    if request.subject is not None:
        subject = catalog.instrument(request.subject)
        if request.portfolio_data and subject.kind is not Kind.ASSET:
            raise InvalidInputError(f"subject must be an asset beside portfolio_data; {subject.id!r} is an outcome")


def with_holdings(snapshot: Snapshot, holdings: Sequence[Holding]) -> Snapshot:
    """Return the snapshot with a caller's holdings as its allocation.

    Raises:
        InvalidInputError: Quantities cannot be valued: a fair value is missing, or their currencies differ.
    """
    weights = _weights(snapshot, holdings)
    covariance = _covariance(snapshot, list(weights))
    values = np.array(list(weights.values()))
    expected = _expected(snapshot, weights)
    risk, shares, method = math.nan, np.full(len(values), math.nan), "weights of the caller"
    if covariance is not None:
        marginal = values * covariance.times(values)
        variance = float(marginal.sum())
        risk = math.sqrt(variance)
        shares = marginal / variance if variance > 0 else np.zeros(len(values))
        method += f"; {covariance.method}"
    house = snapshot.allocation
    allocation = Allocation(
        frame=_frame(weights, shares),
        status=AllocationStatus.OPTIMAL,
        reason="",
        method=method,
        horizon_s=house.horizon_s,
        expected_return=expected,
        risk=risk,
        worst_loss=max(0.0, LOSS_QUANTILE * risk - expected) if math.isfinite(risk) else math.nan,
        turnover=math.nan,
        cost=math.nan,
        bankroll=math.nan,
        stake_total=0.0,
        outcome_profit=0.0,
        outcome_worst_loss=0.0,
        binding=(),
    )
    return replace(snapshot, allocation=allocation)


def _weights(snapshot: Snapshot, holdings: Sequence[Holding]) -> dict[str, float]:
    given = {holding.instrument: holding.weight for holding in holdings if holding.weight is not None}
    return given or _valued(snapshot, {h.instrument: h.quantity for h in holdings if h.quantity})


def _valued(snapshot: Snapshot, quantities: Mapping[str, float]) -> dict[str, float]:
    """Return each quantity's share of their value at fair values."""
    catalog = snapshot.market.catalog
    currencies = sorted({catalog.instrument(name).quote_currency for name in quantities})
    if len(currencies) > 1:
        raise InvalidInputError(f"quantities quoted in {', '.join(currencies)} cannot be added up; give weights")
    fair = snapshot.fair["fair"].reindex(list(quantities)).to_numpy(dtype=np.float64)
    missing = [name for name, price in zip(quantities, fair, strict=True) if not np.isfinite(price)]
    if missing:
        raise InvalidInputError(
            f"no fair value for {', '.join(missing[:3])}, so quantities have no value; give weights"
        )
    values = fair * np.array(list(quantities.values()))
    return dict(zip(quantities, (values / values.sum()).tolist(), strict=True))


def _covariance(snapshot: Snapshot, instruments: Sequence[str]) -> FactorCovariance | None:
    """Return the covariance of these instruments over the horizon; None where it does not cover each of them."""
    known = snapshot.after.portfolio
    if known is None or known.estimate is None or not snapshot.allocation.horizon_s > 0:
        return None
    assets = known.layout.index[~known.layout.is_outcome]
    rows = assets.get_indexer(pd.Index(instruments, dtype=object))
    if (rows < 0).any() or len(assets) != len(known.estimate.covariance.idiosyncratic):
        return None
    return known.estimate.covariance.take(rows).scaled_to(snapshot.allocation.horizon_s)


def _expected(snapshot: Snapshot, weights: Mapping[str, float]) -> float:
    views = snapshot.knobs.get("optimizer", {}).get("views") or {}
    return math.fsum(weight * float(views.get(name, 0.0)) for name, weight in weights.items())


def _frame(weights: Mapping[str, float], shares: np.ndarray) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([list(weights), [""] * len(weights)], names=ALLOCATION.index)
    unknown = np.full(len(weights), math.nan)
    return pd.DataFrame(
        {
            "target": np.array(list(weights.values()), dtype=np.float64),
            "current": unknown,
            "change": unknown,
            "stake": unknown,
            "locked": unknown,
            "contribution": shares,
            "binding": pd.Series([""] * len(weights), index=index, dtype=object),
        },
        index=index,
    )
