"""Records refuse what no list, reader or page may hold."""

from __future__ import annotations

import pytest

from marketstream.errors import InvalidInputError
from marketstream.market.records import MAX_COMMENT_LENGTH, MAX_PAGE, Feedback, FeedbackReason, PageRequest


@pytest.mark.parametrize("limit", [1, MAX_PAGE])
def test_a_page_has_one_row_to_as_many_as_allowed(limit: int) -> None:
    assert PageRequest(limit=limit).limit == limit


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1, 2**63])
def test_a_page_of_no_rows_or_of_too_many_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInputError, match=f"limit must be 1 to {MAX_PAGE}, was {limit}"):
        PageRequest(limit=limit)


@pytest.mark.parametrize("cursor", [-1, 2**63])
def test_a_cursor_that_no_page_gave_is_refused(cursor: int) -> None:
    with pytest.raises(InvalidInputError, match="cursor must be the next_cursor of a page"):
        PageRequest(cursor=cursor)


def feedback(rating: int = 1, comment: str = "") -> Feedback:
    return Feedback(rationale_id="r", rating=rating, reason=FeedbackReason.USEFUL, comment=comment, at=0)


@pytest.mark.parametrize("rating", [-2, 2, 5])
def test_a_rating_off_the_scale_is_refused(rating: int) -> None:
    with pytest.raises(InvalidInputError, match=f"rating must be -1, 0 or 1, was {rating}"):
        feedback(rating)


def test_a_comment_ends_where_it_must() -> None:
    assert feedback(comment="x" * MAX_COMMENT_LENGTH).comment
    with pytest.raises(InvalidInputError, match="at most 500 characters, had 501"):
        feedback(comment="x" * (MAX_COMMENT_LENGTH + 1))
