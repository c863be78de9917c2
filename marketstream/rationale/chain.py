"""Chain: writers in order. Models first, each held to the sheet by slots and by the verifier; the narrator is the last.

Whatever a backend does, there is a text in time, and the text says who wrote it and who failed before. Repeats are
few: one try more after a lost connection or a failed server, one repair after a refused draft, else the next writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from marketstream.clock import Clock
from marketstream.market.rationale import FactSheet, Outcome, Rationale
from marketstream.rationale.backends import Backend
from marketstream.rationale.completions import BackendError
from marketstream.rationale.draft import DraftError
from marketstream.rationale.narrator import narrate
from marketstream.rationale.prose import Draft
from marketstream.rationale.publishing import attempted, narrated, owned, publish, refusal
from marketstream.rationale.slots import Slots

_LOG = logging.getLogger(__name__)

TRIES = 2
"""Of one backend at one text."""
_AGAIN = frozenset({Outcome.UNREACHABLE, Outcome.SERVER_ERROR, Outcome.REFUSED, Outcome.MALFORMED})
"""After these the same backend is asked once more; after a limit, a timeout or a filter it would not help."""


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: Outcome
    detail: str = ""
    ready: Rationale | None = None
    reasons: tuple[str, ...] = ()


class Chain:
    """Write texts with the first backend that can, the narrator where none can.

    Args:
        clock: Measures durations, and the pause before a second try.
        backends: In order; none for the narrator alone.
        write: The narrator.
        deadline_s: Seconds that all backends together may take for one text.
        attempt_s: Seconds that one try may take.
        pause_s: Seconds before a backend that failed is tried again.
    """

    def __init__(
        self,
        clock: Clock,
        backends: Sequence[Backend] = (),
        *,
        write: Callable[[FactSheet], Draft] = narrate,
        deadline_s: float = 20.0,
        attempt_s: float = 8.0,
        pause_s: float = 0.2,
    ) -> None:
        self._clock = clock
        self._backends = tuple(backends)
        self._write = write
        self._deadline_s = deadline_s
        self._attempt_s = attempt_s
        self._pause_s = pause_s

    @property
    def writers(self) -> tuple[str, ...]:
        """Return the names of the backends, in order."""
        return tuple(backend.name for backend in self._backends)

    async def written(self, text: Rationale, sheet: FactSheet, context: str = "") -> Rationale:
        """Return the text of a sheet: ready, or failed where not even the narrator's passed the verifier.

        Args:
            text: What it is about.
            sheet: All that may be said.
            context: A caller's own words, for the models.
        """
        due = self._clock.monotonic_ns() + round(self._deadline_s * 1e9)
        for backend in self._backends:
            reasons: tuple[str, ...] = ()
            for number in range(1, TRIES + 1):
                left_s = (due - self._clock.monotonic_ns()) / 1e9
                if left_s <= 0:
                    break
                began = self._clock.monotonic_ns()
                result = await self._tried(backend, text, sheet, min(left_s, self._attempt_s), context, reasons)
                took_ms = (self._clock.monotonic_ns() - began) / 1e6
                text = attempted(result.ready or text, backend.name, result.outcome, result.detail, took_ms)
                if result.ready is not None:
                    return text
                _LOG.warning("rationale %s: %s: %s", text.id, backend.name, result.detail)
                if result.outcome not in _AGAIN:
                    break
                reasons = result.reasons
                if not reasons and number < TRIES:
                    await self._pause()
        return self.narrated(text, sheet)

    def narrated(self, text: Rationale, sheet: FactSheet) -> Rationale:
        """Return the text as the narrator writes it, at once."""
        began = self._clock.monotonic_ns()
        return narrated(text, sheet, self._write, lambda: (self._clock.monotonic_ns() - began) / 1e6)

    async def close(self) -> None:
        """Let every backend go of what it holds on the running loop."""
        for backend in self._backends:
            try:
                await backend.close()
            except Exception:  # noqa: BLE001 - a fence: one backend that cannot close keeps no other from it
                _LOG.exception("backend %s could not be closed", backend.name)

    async def _pause(self) -> None:
        # A clock that nobody turns must not hold a text for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self._pause_s):
                await self._clock.sleep(self._pause_s)

    async def _tried(
        self,
        backend: Backend,
        text: Rationale,
        sheet: FactSheet,
        deadline_s: float,
        context: str,
        refused: Sequence[str],
    ) -> _Result:
        try:
            # A backend keeps its deadline itself; this one holds for those that do not.
            async with asyncio.timeout(deadline_s):
                draft = await backend.draft(sheet, deadline_s=deadline_s, context=context, refused=refused)
            ready, issues = publish(text, owned(Slots(sheet).fill(draft), sheet), sheet, backend.name)
        except BackendError as error:
            return _Result(error.outcome, str(error))
        except DraftError as error:
            outcome = Outcome.MALFORMED if error.malformed else Outcome.REFUSED
            return _Result(outcome, str(error), reasons=tuple(map(str, error.faults)))
        except TimeoutError:
            return _Result(Outcome.TIMEOUT, f"no draft within {deadline_s:.1f} s")
        except Exception as error:  # noqa: BLE001 - a fence: no trouble of a model stops a text
            _LOG.exception("backend %s failed at rationale %s", backend.name, text.id)
            return _Result(Outcome.FAILED, f"the backend broke ({type(error).__name__})")
        if issues:
            return _Result(Outcome.REFUSED, refusal(issues), reasons=tuple(issue.message for issue in issues))
        return _Result(Outcome.WRITTEN, ready=ready)
