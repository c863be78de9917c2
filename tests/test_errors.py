"""The exception tree is the retry policy."""

from __future__ import annotations

import inspect

from marketstream import errors


def test_every_error_is_drawn_in_the_tree() -> None:
    for name, thing in vars(errors).items():
        if inspect.isclass(thing) and issubclass(thing, errors.MarketStreamError):
            assert name in (errors.__doc__ or ""), name


def test_a_wrong_value_is_a_value_error_and_an_unknown_name_a_key_error() -> None:
    assert issubclass(errors.InvalidInputError, ValueError)
    assert issubclass(errors.ConfigurationError, ValueError)
    assert issubclass(errors.NotFoundError, KeyError)
    assert str(errors.NotFoundError("unknown venue 'x'")) == "unknown venue 'x'"


def test_what_may_be_retried_and_what_may_not_never_overlap() -> None:
    assert not issubclass(errors.TransientError, errors.PermanentError)
    assert not issubclass(errors.PermanentError, errors.TransientError)
