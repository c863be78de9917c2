"""Every quote state has its words."""

from __future__ import annotations

import pytest

from marketstream.analytics.words import state_words
from marketstream.market.quotes import QuoteState


@pytest.mark.parametrize("state", list(QuoteState))
def test_every_state_has_words_of_its_own(state: QuoteState) -> None:
    words = state_words(state, 12.34)
    if state in (QuoteState.LIVE, QuoteState.STALE):
        assert words == "stale 12.3 s"
    elif state is QuoteState.NO_DATA:
        assert words == "no quote yet"
    else:
        assert words == state.name.lower()
