"""RegistryChange: one decision of the ProviderRegistry, whole enough to be carried out again by a replay."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from marketstream.market.events import MarketEvent, ProviderStatus
from marketstream.market.quotes import empty_quotes

TRUST_DTYPE = np.dtype([("instrument", np.int32), ("venue", np.int16), ("provider", np.int16)])
"""Who is trusted for a pair from now on, as codes of the Catalog; provider -1 is nobody."""


def no_trust() -> np.ndarray:
    """Return no row of TRUST_DTYPE."""
    return np.empty(0, dtype=TRUST_DTYPE)


class ChangeKind(StrEnum):
    """What was decided."""

    ADDED = "added"
    REMOVED = "removed"
    ENABLED = "enabled"
    DISABLED = "disabled"
    STATUS = "status"
    """What the provider is doing has changed: it started, degraded, faulted or recovered."""
    SETTLED = "settled"
    """Pairs that had nobody got a provider, or lost the last one."""
    SWITCHED = "switched"
    """Pairs went from an unhealthy provider to the next healthy one."""
    RETURNED = "returned"
    """Pairs went back to an earlier provider, which was healthy for long enough."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegistryChange:
    """One decision. Carried out in order, between the same drains, it gives the same rows.

    Attributes:
        kind: What was decided.
        provider: Whom it is about; for SWITCHED and RETURNED the one that is trusted from now on.
        ts: When, UTC ns.
        enabled: Whether that provider is drained after it.
        status: What that provider is doing after it.
        trust: Pairs whose trusted provider changes, of TRUST_DTYPE.
        rows: What enters the next drain, of QUOTE_DTYPE: state rows of withdrawn prices, quotes of a reserve.
        events: What was told of it.
    """

    kind: ChangeKind
    provider: str
    ts: int
    enabled: bool
    status: ProviderStatus
    trust: np.ndarray = field(default_factory=no_trust)
    rows: np.ndarray = field(default_factory=empty_quotes)
    events: tuple[MarketEvent, ...] = ()
