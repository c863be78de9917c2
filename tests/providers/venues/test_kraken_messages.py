from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kraken_frames import BIDS, SNAPSHOT

from marketstream.providers.venues.kraken_messages import BookChange, checksum_digits, parse_books
from marketstream.providers.venues.levels import PRICE_SCALE
from marketstream.providers.venues.readings import FrameRefusedError


def _one(data: str) -> BookChange:
    (change,) = parse_books(data.encode())
    return change


def test_numbers_are_read_as_their_exact_text() -> None:
    change = _one(SNAPSHOT.decode().partition('"data":')[2][:-1])
    assert [(Decimal(level.price) / PRICE_SCALE, level.size) for level in change.bids] == [
        (Decimal(price), float(size)) for price, size in BIDS
    ]
    assert change.bids[0].digits == "452835" + "10000000"


@settings(max_examples=200, deadline=None)
@given(
    st.decimals(min_value=Decimal("0.00000001"), max_value=10**9, places=8),
    st.integers(0, 8),
    st.decimals(min_value=0, max_value=10**9, places=8),
)
def test_digits_keep_every_zero_but_the_first(price: Decimal, places: int, size: Decimal) -> None:
    price = max(round(price, places), Decimal(1).scaleb(-places))
    texts = f"{price:.{places}f}", f"{size:.8f}"
    # The venue's rule in another form: the number as a whole of its smallest decimal.
    whole = [str(int(Decimal(text).scaleb(p))) for text, p in zip(texts, (places, 8), strict=True)]
    assert checksum_digits(*texts) == whole[0] + (whole[1] if size else "")


def test_the_event_time_is_exact_to_the_microsecond() -> None:
    change = _one('[{"symbol":"A/B","checksum":0,"timestamp":"2023-10-06T17:35:55.440295Z"}]')
    assert change.ts_event == 1_696_613_755_440_295_000
    change = _one('[{"symbol":"A/B","checksum":0,"timestamp":"2023-10-06T19:35:55.440295+02:00"}]')
    assert change.ts_event == 1_696_613_755_440_295_000


def test_a_time_that_is_absent_is_none() -> None:
    assert _one('[{"symbol":"A/B","checksum":0}]').ts_event is None


def test_a_price_of_0_is_refused() -> None:
    with pytest.raises(FrameRefusedError, match="a price was 0"):
        _one('[{"symbol":"A/B","checksum":0,"bids":[{"price":0.00,"qty":1.0}]}]')
