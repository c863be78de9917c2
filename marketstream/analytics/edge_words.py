"""Words for why an edge is not to be traded, in the order in which a trader would ask. Used by edges.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from marketstream.analytics.terms import Rows, Terms
from marketstream.analytics.words import state_words
from marketstream.market.state import MarketState

FAR = 0.1
"""A venue whose price of an asset is a tenth away from all the others has a fault, not an offer."""


def edge_reasons(
    market: MarketState,
    rows: Rows,
    terms: Terms,
    executable: np.ndarray,
    usable: np.ndarray,
    min_edge_se: float,
    max_leg_age_s: float,
) -> np.ndarray:
    """Return for every row of the `edges` frame why it is not tradable, the first reason that applies."""
    words = np.full(len(terms.price), "", dtype=object)
    left = ~executable

    def say(where: np.ndarray, sentence: Callable[..., str], *columns: np.ndarray) -> None:
        # Plain floats: a NumPy scalar is slow to round.
        at = np.flatnonzero(left & where)
        if len(at):
            words[at] = [sentence(*values) for values in zip(*(c[at].tolist() for c in columns), strict=True)]
            left[at] = False

    here = (rows.instrument, rows.venue)
    say(~usable[here], state_words, market.state[here], market.age_ns[here] / 1e9)
    say(~np.isfinite(terms.price), "no {}".format, np.where(rows.is_bid, "bid", "ask"))
    say(~np.isfinite(terms.fair), lambda _: "no fair value without this venue", terms.fair)
    say(terms.age_s > max_leg_age_s, lambda age_s: _old(age_s, max_leg_age_s), terms.age_s)
    say(far_off(rows, terms), _far, terms.price / terms.fair - 1.0)
    beyond = np.where(rows.is_bid, "bid below fair value", "ask above fair value")
    say(terms.gross <= 0.0, str, beyond)
    unit = np.where(rows.is_outcome, 1.0, 1e4 / terms.fair)
    costs, gap = (terms.gross - terms.edge) * unit, terms.gross * unit
    say(terms.edge <= 0.0, _fees, costs, gap, rows.is_outcome)
    weak = terms.edge < min_edge_se * terms.se
    say(weak, lambda ratio: _weak(ratio, min_edge_se), terms.edge / terms.se)
    say(left, lambda _: "no size at this price", terms.size)
    return words


def far_off(rows: Rows, terms: Terms) -> np.ndarray:
    """Return where an asset's price is more than FAR away from what the other venues agree on."""
    return np.asarray(~rows.is_outcome & (np.abs(terms.price / terms.fair - 1.0) > FAR))


def _far(gap: float) -> str:
    return f"{100.0 * gap:+,.0f} % from fair value: more likely wrong than a bargain"


def _old(age_s: float, limit_s: float) -> str:
    older, limit = _apart(age_s, limit_s, 1)
    return f"oldest leg {older} s > {limit} s"


def _fees(costs: float, gap: float, is_outcome: bool) -> str:
    more, less = _apart(costs, gap, 4 if is_outcome else 1)
    return f"fees {more} > gap {less}" if is_outcome else f"fees {more} > gap {less} bps"


def _weak(ratio: float, least: float) -> str:
    less, more = _apart(ratio, least, 1)
    return f"edge {less} < {more} standard error{'' if least == 1.0 else 's'}"


def _apart(one: float, other: float, decimals: int) -> tuple[str, str]:
    """Return two figures with as many decimals as it takes to tell them apart, at most six.

    >>> _apart(2.61, 1.7, 1), _apart(0.98, 1.0, 1)
    (('2.6', '1.7'), ('0.98', '1.00'))
    """
    while round(one, decimals) == round(other, decimals) and decimals < 6:
        decimals += 1
    # Adding 0.0 turns the negative zero of a rounded -0.04 into a plain one.
    return f"{round(one, decimals) + 0.0:.{decimals}f}", f"{round(other, decimals) + 0.0:.{decimals}f}"
