"""The conformance suite that every provider passes. Its checks are in checks_rows.py and checks_life.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from marketstream.errors import PermanentError
from marketstream.providers import checks_life, checks_rows
from marketstream.providers.checks_bench import (
    MakeProvider,
    NotCheckable,
    NotConformingError,
    Rig,
    Settle,
    Silence,
)

CHECKS: tuple[Callable[[Rig], Awaitable[None]], ...] = (
    checks_rows.listing_is_well_formed,
    checks_rows.attach_gives_codes,
    checks_rows.delivers_valid_rows,
    checks_rows.drains_in_order_of_receipt,
    checks_rows.drains_each_row_once,
    checks_rows.counts_what_it_delivers,
    checks_rows.screens_bad_rows,
    checks_rows.repeats_itself,
    checks_life.stops_and_starts_again,
    checks_life.rejoins_without_a_backlog,
    checks_life.health_follows_progress,
    checks_life.refuses_faults_it_cannot_play,
    checks_life.plays_a_stall,
    checks_life.plays_a_gap,
    checks_life.plays_crossed_quotes,
    checks_life.plays_a_spike,
    checks_life.plays_a_disconnect,
)
"""All checks; the name of the function is the name of the check."""


class ConformanceError(PermanentError):
    """A provider that does not keep the promises of the interface; `failures` has a sentence per check."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        listed = "\n".join(f"  {name}: {what}" for name, what in self.failures.items())
        super().__init__(f"{len(self.failures)} of {len(CHECKS)} checks failed\n{listed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceReport:
    """What was checked: names that passed, and those that could not be checked with the reason."""

    passed: tuple[str, ...]
    skipped: Mapping[str, str]


async def check_provider(
    make_provider: MakeProvider,
    *,
    seconds: float = 20.0,
    step_s: float = 0.5,
    settle: Settle | None = None,
    silence: Silence | None = None,
    deterministic: bool = False,
) -> ConformanceReport:
    """Hold a provider to the interface; each check runs a fresh one on a ManualClock of its own.

    Args:
        make_provider: Makes a provider on the given clock, not attached and not started. Called about 30
            times; equal calls must make equal providers.
        seconds: How long a check listens, in the clock's time; long enough for data to come.
        step_s: Time between drains.
        settle: Awaited after each move of the clock, so that a loopback venue can deliver.
        silence: Makes the feed fall silent, where the provider cannot play a stall.
        deterministic: Check too that equal providers deliver equal rows.

    Raises:
        ConformanceError: Lists every check that failed and why.
    """
    rig = Rig(
        make=make_provider,
        seconds=seconds,
        step_s=step_s,
        settle=settle,
        silence=silence,
        deterministic=deterministic,
    )
    passed, failures, skipped = [], {}, {}
    for check in CHECKS:
        name = getattr(check, "__name__", "check")
        if check is checks_rows.repeats_itself and not deterministic:
            skipped[name] = "not said to be deterministic"
            continue
        try:
            await check(rig)
            passed.append(name)
        except NotCheckable as reason:
            skipped[name] = str(reason)
        except NotConformingError as error:
            failures[name] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a broken provider raises is its failure, told below
            failures[name] = f"raised {type(error).__name__}: {error}"
    if failures:
        raise ConformanceError(failures)
    return ConformanceReport(passed=tuple(passed), skipped=skipped)
