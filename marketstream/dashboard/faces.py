"""How a knob is shown, worked out from what its stage says of it: label, unit, soft bounds and step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from marketstream.analytics.stage import Knob as StageKnob
from marketstream.analytics.stage import Stage
from marketstream.dashboard.formats import horizon

STAGE_TITLES = {"fair_value": "Fair value", "edge_finder": "Edges", "optimizer": "Optimizer"}
OUTCOME_KNOBS = frozenset({"kelly_fraction", "max_stake", "bankroll"})
"""Knobs of the optimizer that are about outcomes; they have a group of their own."""
HOUSE_ONLY = frozenset({"rebalance_s"})
"""Knobs that a session cannot feel, since it never adopts a target; they are not offered."""
LADDER_FROM = 150.0
"""Ranges that span more than this factor get steps of 1, 2 and 5 in place of a straight scale."""

_UNITS = {
    "fraction": ("%", 100.0),
    "fraction of bankroll": ("% of bankroll", 100.0),
    "se": ("× se", 1.0),
    "1/variance": ("", 1.0),
    "venues": ("", 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How a knob is shown.

    Attributes:
        label: Its name.
        unit: The shown unit.
        factor: From the knob's own unit to the shown one.
        low: Least shown value.
        high: Largest shown value.
        step: Of the slider, in the shown unit.
        ladder: Values to choose from, in the shown unit; empty where the slider is straight.
    """

    label: str
    unit: str
    factor: float
    low: float
    high: float
    step: float
    ladder: tuple[float, ...]

    def words(self, shown: float) -> str:
        """Return a shown value with its unit; long times in the unit that reads best."""
        if self.unit == "min":
            return horizon(shown / self.factor)
        return f"{shown:,.6g} {self.unit}".rstrip()


def face_of(stage: Stage, name: str) -> Face:
    """Return how a knob of `stage` is shown.

    >>> from marketstream.analytics.optimizer import PortfolioOptimizer
    >>> face = face_of(PortfolioOptimizer(), "max_weight")
    >>> face.label, face.words(20.0)
    ('Largest weight', '20 %')
    """
    knob = stage.param[name]
    low, high = (float(bound) for bound in (knob.softbounds or knob.bounds))
    unit, factor = _UNITS.get(stage.units[name], (stage.units[name], 1.0))
    if unit == "s" and high >= 3600:
        unit, factor = "min", 1 / 60
    low, high = low * factor, high * factor
    wide = low > 0 and high / low > LADDER_FROM
    return Face(
        label=str(knob.label),
        unit=unit,
        factor=factor,
        low=low,
        high=high,
        step=float(knob.step or (high - low) / 100) * factor,
        ladder=_ladder(low, high) if wide else (),
    )


def grouped(stages: Mapping[str, Stage]) -> dict[str, list[tuple[str, str]]]:
    """Return (stage, knob) by group of the sidebar, in the order the stages write them; numbers only."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, stage in stages.items():
        for name in stage.units:
            if name in HOUSE_ONLY or not isinstance(stage.param[name], StageKnob):
                continue
            group = "Outcomes" if name in OUTCOME_KNOBS else STAGE_TITLES.get(key, key)
            groups.setdefault(group, []).append((key, name))
    return groups


def _ladder(low: float, high: float) -> tuple[float, ...]:
    """Return the bounds and every 1, 2 and 5 times a power of ten between them.

    >>> _ladder(0.5, 20.0)
    (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = {float(f"{m}e{p}") for p in powers for m in (1, 2, 5)}
    return tuple(sorted({low, high, *(step for step in inside if low < step < high)}))
