"""Completions: the text in a server's answer, or what is wrong with it. Used by backends.py."""

from __future__ import annotations

import msgspec

from marketstream.errors import MarketStreamError
from marketstream.market.rationale import Outcome


class BackendError(MarketStreamError):
    """A backend gave no draft; `outcome` says what happened and whether to ask again (chain.py).

    The message holds nothing of the answer.
    """

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


def status_fault(status: int) -> tuple[Outcome, str]:
    """Return what an HTTP error status means.

    >>> status_fault(429)[0].value, status_fault(404)[0].value, status_fault(503)[0].value
    ('rate_limited', 'rejected', 'server_error')
    """
    if status == 429:
        return Outcome.RATE_LIMITED, "the server asks for fewer requests (status 429)"
    if status >= 500:
        return Outcome.SERVER_ERROR, f"the server failed (status {status})"
    why = {401: "the key", 403: "the key", 404: "the model or the address"}.get(status, "the request")
    return Outcome.REJECTED, f"the server does not accept {why} (status {status})"


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None


def answer_text(body: bytes) -> str:
    """Return the text of a chat completion.

    Raises:
        BackendError: MALFORMED, EMPTY, CUT or FILTERED.

    >>> answer_text(b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "eos"}]}')
    'hello'
    """
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BackendError(Outcome.MALFORMED, "the answer is not the JSON of a chat completion") from None
    choice = completion.choices[0] if completion.choices else None
    if choice is None:
        raise BackendError(Outcome.EMPTY, "the answer has no choice")
    if choice.finish_reason == "content_filter" or (choice.message is not None and choice.message.refusal):
        raise BackendError(Outcome.FILTERED, "the model or its filter declined to answer")
    if choice.finish_reason == "length":
        raise BackendError(Outcome.CUT, "the answer was cut at its longest")
    if choice.message is None or not choice.message.content:
        raise BackendError(Outcome.EMPTY, "the answer has no text")
    return choice.message.content
