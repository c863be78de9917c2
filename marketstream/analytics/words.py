"""Words for why a quote feeds no price. Why an edge is not to be traded is in edge_words.py."""

from __future__ import annotations

import numpy as np

from marketstream.analytics.opinions import Evidence
from marketstream.market.quotes import QuoteState

_WORDS = ("live", "stale", "gap", "resyncing", "crossed", "suspended", "closed", "no quote yet")


def state_words(state: int, age_s: float) -> str:
    """Return why a quote in this state is not used; LIVE here means too old for the knob.

    >>> state_words(QuoteState.GAP, 1.0), state_words(QuoteState.LIVE, 12.34)
    ('gap', 'stale 12.3 s')
    """
    if state in (QuoteState.LIVE, QuoteState.STALE):
        return f"stale {age_s:.1f} s"
    return _WORDS[state]


Reasons = tuple[tuple[str, str], ...]
"""Of one instrument: (venue id, why it feeds nothing); a venue of "" is about the instrument as a whole."""


def sentence(reasons: Reasons) -> str:
    """Return reasons as the `fair` frame shows them.

    >>> sentence((("kraken", "stale 12.3 s"), ("", "needs 3 venues, has 2")))
    'kraken: stale 12.3 s; needs 3 venues, has 2'
    """
    return "; ".join(f"{venue}: {why}" if venue else why for venue, why in reasons)


def left_out(
    evidence: Evidence, used: np.ndarray, fair: np.ndarray, distance: np.ndarray, min_venues: int
) -> tuple[Reasons, ...]:
    """Return by instrument code the venues that quote it and feed nothing, each with its reason.

    Args:
        evidence: The moment.
        used: (K, V) venues that feed the consensus.
        fair: (K,) the consensus; where it is NaN the words say why.
        distance: (K, V) from the median of the venues, in robust standard deviations.
        min_venues: How many venues are asked for.
    """
    venues = evidence.layout.venue_ids
    quoting = evidence.market.book["state"] != QuoteState.NO_DATA
    words: list[list[tuple[str, str]]] = [[] for _ in range(len(fair))]
    for code, venue in np.argwhere(quoting & ~used).tolist():
        words[code].append((venues[venue], _why(evidence, code, venue, distance[code, venue])))
    for code in np.flatnonzero(~np.isfinite(fair)).tolist():
        n_used = int(used[code].sum())
        if 0 < n_used < min_venues:
            words[code].append(("", f"needs {min_venues} venues, has {n_used}"))
        elif evidence.layout.is_outcome[code] and evidence.layout.market_of[code] < 0:
            words[code].append(("", "its market is not listed"))
        elif not quoting[code].any():
            words[code].append(("", "no venue has quoted"))
    return tuple(map(tuple, words))


def _why(evidence: Evidence, code: int, venue: int, distance: float) -> str:
    market, layout = evidence.market, evidence.layout
    if not evidence.usable[code, venue]:
        return state_words(int(market.state[code, venue]), float(evidence.age_s[code, venue]))
    if not layout.is_outcome[code]:
        return f"outlier {distance:.1f} sd"
    if not np.isfinite(market.book["ask"][code, venue]):
        return "no ask"
    legs = layout.legs[layout.market_of[code]] if layout.market_of[code] >= 0 else np.array([code])
    for leg in legs[legs >= 0].tolist():
        if not evidence.usable[leg, venue]:
            why = state_words(int(market.state[leg, venue]), float(evidence.age_s[leg, venue]))
            return f"no whole market, {layout.index[leg]} {why}"
        if not np.isfinite(market.book["ask"][leg, venue]):
            return f"no whole market, {layout.index[leg]} has no ask"
    return f"outlier {distance:.1f} sd"
