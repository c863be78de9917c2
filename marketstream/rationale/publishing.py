"""Publishing: a draft as a text that the verifier has read, and the texts that need no model. Used by chain.py."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from marketstream.market.rationale import Attempt, FactSheet, Issue, Outcome, Rationale, RationaleStatus
from marketstream.rationale.narrator import safe_draft
from marketstream.rationale.prose import Draft, Facts
from marketstream.rationale.sentences import given
from marketstream.rationale.verifier import examine

_LOG = logging.getLogger(__name__)

NARRATOR = "narrator"
SAFE_SENTENCE = "safe sentence"


def publish(text: Rationale, draft: Draft, sheet: FactSheet, written_by: str) -> tuple[Rationale, tuple[Issue, ...]]:
    """Return a draft as a ready text, and what the verifier found; the text may be shown only if that is nothing."""
    headline, headline_spans = draft.render_headline()
    body, spans = draft.render_text()
    verdicts = examine(headline, headline_spans, sheet), examine(body, spans, sheet)
    ready = replace(
        text,
        status=RationaleStatus.READY,
        headline=headline,
        headline_spans=headline_spans,
        text=body,
        spans=spans,
        n_figures=sum(verdict.n_figures for verdict in verdicts),
        written_by=written_by,
    )
    return ready, tuple(issue for verdict in verdicts for issue in verdict.issues)


def owned(draft: Draft, sheet: FactSheet) -> Draft:
    """Return a model's draft with the narrator's word in front that the book is a caller's own, where it is one.

    A model may leave it out, and every figure of a book is as true of the caller's as it would be of the house's.
    """
    sentence = given(Facts(sheet))
    if sentence is None:
        return draft
    # Its own words alone count: a venue may have called an instrument by them.
    own = [segment.text for paragraph in draft.paragraphs for segment in paragraph if segment.kind is None]
    said = any(segment.text in words for segment in sentence for words in own)
    return draft if said else replace(draft, paragraphs=(sentence, *draft.paragraphs))


def narrated(
    text: Rationale, sheet: FactSheet, write: Callable[[FactSheet], Draft], elapsed_ms: Callable[[], float]
) -> Rationale:
    """Return the narrator's text, or a safe sentence where it was refused; failed when not even that is verified.

    Args:
        text: What it is about, with the attempts before.
        sheet: All that may be said.
        write: The narrator.
        elapsed_ms: Returns the milliseconds since it began.
    """
    ready, issues = publish(text, write(sheet), sheet, NARRATOR)
    if not issues:
        return attempted(ready, NARRATOR, Outcome.WRITTEN, "", elapsed_ms())
    _LOG.warning("rationale %s was refused: %s", text.id, "; ".join(issue.message for issue in issues[:5]))
    text = attempted(text, NARRATOR, Outcome.REFUSED, refusal(issues), elapsed_ms())
    safe, more = publish(text, safe_draft(sheet), sheet, SAFE_SENTENCE)
    if not more:
        return attempted(replace(safe, issues=issues), SAFE_SENTENCE, Outcome.WRITTEN, "", elapsed_ms())
    text = attempted(text, SAFE_SENTENCE, Outcome.REFUSED, refusal(more), elapsed_ms())
    return failed(replace(text, issues=(*issues, *more)), "the text did not pass the verifier")


def attempted(text: Rationale, backend: str, outcome: Outcome, detail: str, duration_ms: float) -> Rationale:
    """Return a text with one attempt more."""
    attempt = Attempt(backend=backend, outcome=outcome, detail=detail, duration_ms=round(duration_ms, 3))
    return replace(text, attempts=(*text.attempts, attempt))


def failed(text: Rationale, reason: str) -> Rationale:
    """Return a text that was not written."""
    return replace(text, status=RationaleStatus.FAILED, reason=reason)


def refusal(issues: tuple[Issue, ...]) -> str:
    """Return what the verifier refused in words that hold nothing of the text.

    >>> from marketstream.market.rationale import IssueKind
    >>> refusal((Issue(kind=IssueKind.WRONG_SIGN, start=0, end=4, message="'buy now'"),))
    'the verifier refused 1 piece: wrong_sign'
    """
    kinds = ", ".join(sorted({issue.kind.value for issue in issues}))
    return f"the verifier refused {len(issues)} piece{'' if len(issues) == 1 else 's'}: {kinds}"
