"""The exception tree, which is also the retry policy.

MarketStreamError
├── TransientError         worth another try (a lost connection, a busy peer)
├── PermanentError         no retry helps; the work goes to dead letters
│   ├── DecodeError        a frame that is not what its venue promises
│   ├── InvalidInputError  a caller's value is wrong (also a ValueError)
│   └── NotFoundError      a name that nothing answers to (also a KeyError)
└── ConfigurationError     stops start-up (also a ValueError)
"""

from __future__ import annotations


class MarketStreamError(Exception):
    """Every error this package raises on purpose."""


class TransientError(MarketStreamError):
    """A fault that may pass; worth another try."""


class PermanentError(MarketStreamError):
    """A fault that no retry helps."""


class DecodeError(PermanentError):
    """A frame that is not what its venue promises."""


class InvalidInputError(PermanentError, ValueError):
    """A value from a caller that is wrong; the message says what would be right."""


class NotFoundError(PermanentError, KeyError):
    """A name that nothing answers to."""

    def __str__(self) -> str:
        # KeyError shows its argument in quotes; this is a sentence.
        return str(self.args[0]) if self.args else ""


class ConfigurationError(MarketStreamError, ValueError):
    """A setting or declaration that the program cannot start with."""
