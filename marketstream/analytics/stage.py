"""Stage: one step of the analysis, made of documented knobs and a pure `apply`. Analysis wires the stages."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import param

from marketstream.errors import InvalidInputError


class Knob(param.Number[float]):
    """A number that an analyst may move; it refuses what is not a finite number within its bounds."""

    def _validate(self, val: Any) -> None:
        # Number would take NaN (no comparison fails) and a callable (it would draw values from it).
        lower, upper = self.bounds if self.bounds is not None else (None, None)
        if isinstance(val, bool) or not isinstance(val, (int, float)) or not math.isfinite(val):
            raise InvalidInputError(f"{self.name} must be a finite number, was {val!r}")
        if (lower is not None and val < lower) or (upper is not None and val > upper):
            raise InvalidInputError(f"{self.name} must be in [{lower:g}, {upper:g}], was {val:g}")


class WholeKnob(Knob):
    """A knob that counts: whole numbers only."""

    def _validate(self, val: Any) -> None:
        super()._validate(val)
        if val != int(val):
            raise InvalidInputError(f"{self.name} must be a whole number, was {val!r}")


class Views(param.Dict[dict[str, float]]):
    """The analyst's opinions: a figure per instrument id."""

    def _validate(self, val: Any) -> None:
        if not isinstance(val, dict):
            raise InvalidInputError(f"{self.name} must be a dict of instrument id to figure, was {val!r}")
        for key, value in val.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not isinstance(key, str) or not number or not math.isfinite(value) or abs(value) > 1.0:
                raise InvalidInputError(
                    f"{self.name} must map an instrument id to a figure in [-1, 1], had {key!r}: {value!r}"
                )


class Stage(param.Parameterized):
    """A set of knobs and a pure function of (inputs, state).

    Every parameter of a subclass is a knob with `doc`, `bounds`, a label and a unit in its metadata.
    """

    units: ClassVar[Mapping[str, str]] = {}
    """Unit of every knob, by name; made from the knobs' metadata."""

    def __init__(self, **knobs: Any) -> None:
        unknown = sorted(set(knobs) - set(self.defaults))
        if unknown:
            raise InvalidInputError(f"unknown knobs {unknown}; there are {sorted(self.defaults)}")
        super().__init__(**knobs)  # type: ignore[no-untyped-call]  # param's own initialiser is untyped

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: knob.metadata or {} for name, knob in vars(cls).items() if isinstance(knob, param.Parameter)}
        cls.units = {**cls.units, **{name: str(metadata.get("unit", "")) for name, metadata in own.items()}}

    def apply(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Return (result, next state); the same inputs, knobs and state give the same result, bit for bit."""
        raise NotImplementedError

    @property
    def defaults(self) -> dict[str, Any]:
        """Return the default value of every knob, by name, in the order they are written."""
        return {name: type(self).param[name].default for name in self.units}

    def knobs(self) -> dict[str, Any]:
        """Return the value of every knob, by name; a copy that later moves do not change."""
        return {name: _copied(getattr(self, name)) for name in self.units}

    def knob_key(self) -> Hashable:
        """Return the same as a hashable value, for memoising."""
        return tuple((name, _hashable(value)) for name, value in self.knobs().items())

    def changed_knobs(self) -> tuple[str, ...]:
        """Return the names of the knobs that are not at their default."""
        return tuple(name for name, value in self.defaults.items() if getattr(self, name) != value)

    def set_knobs(self, values: Mapping[str, Any]) -> None:
        """Move several knobs at once, all or none.

        Raises:
            InvalidInputError: A knob is unknown or its value is out of bounds; nothing has moved then.
        """
        type(self)(**values)  # the check: a stage that cannot be made is not to be had
        self.param.update(**values)

    def reset(self) -> None:
        """Put every knob back to its default."""
        self.param.update(**{name: _copied(value) for name, value in self.defaults.items()})


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


def _hashable(value: Any) -> Hashable:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value
