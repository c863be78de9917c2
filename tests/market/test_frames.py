"""Frame schemas."""

from __future__ import annotations

import pytest

from marketstream.errors import InvalidInputError
from marketstream.market.frames import FAIR, FRAMES, check_frame, empty_frame


@pytest.mark.parametrize("name", FRAMES)
def test_an_empty_frame_fits_its_schema(name: str) -> None:
    check_frame(empty_frame(FRAMES[name]), FRAMES[name])


@pytest.mark.parametrize("name", FRAMES)
def test_every_column_says_what_it_is(name: str) -> None:
    for column in FRAMES[name].columns.values():
        assert column.doc and column.kind in "fibO"
        assert column.kind != "f" or column.unit


def test_a_frame_that_differs_is_refused() -> None:
    frame = empty_frame(FAIR)
    with pytest.raises(InvalidInputError, match="columns must be"):
        check_frame(frame.drop(columns="fair"), FAIR)
    with pytest.raises(InvalidInputError, match="is indexed by"):
        check_frame(frame.rename_axis("name"), FAIR)
    with pytest.raises(InvalidInputError, match="fair_sd must be of kind 'f'"):
        check_frame(frame.assign(fair_sd=frame["fair_sd"].astype(str).astype(object)), FAIR)
