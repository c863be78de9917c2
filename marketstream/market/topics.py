"""Topics are dotted words, and patterns name many at once: the bus, the lanes and the store all match them here."""

from __future__ import annotations

import re

from marketstream.errors import InvalidInputError

_WORD = re.compile(r"[A-Za-z0-9_]+")


class TopicPattern:
    """Which topics: dotted words, `*` for exactly one word, `#` as the last word for any number of words, also none.

    Raises:
        InvalidInputError: The pattern is none.

    >>> [TopicPattern("market.#").matches(topic) for topic in ("market", "market.data.updated", "feed.gap.found")]
    [True, True, False]
    >>> [TopicPattern("*.status.changed").matches(t) for t in ("store.status.changed", "status.changed")]
    [True, False]
    """

    __slots__ = ("_expression", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._expression = re.compile(_expression(text))

    def matches(self, topic: str) -> bool:
        """Return whether `topic` is one of those."""
        return self._expression.fullmatch(topic) is not None

    def __repr__(self) -> str:
        return f"TopicPattern({self.text!r})"


def _expression(text: str) -> str:
    words = text.split(".")
    # `#` alone also takes a topic without words before it; after words it takes their dot with it.
    rest = words[-1] == "#"
    if rest:
        words.pop()
    for word in words:
        if word != "*" and not _WORD.fullmatch(word):
            raise InvalidInputError(
                f"a topic pattern is words of letters, digits and _ with dots between, `*` for one word, and `#` only"
                f" as the last word; was {text!r}"
            )
    fixed = r"\.".join(r"[^.]+" if word == "*" else re.escape(word) for word in words)
    if not rest:
        return fixed
    return rf"{fixed}(\.[^.]+)*" if fixed else r".*"
