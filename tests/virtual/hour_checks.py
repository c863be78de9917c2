"""What must hold for every virtual hour, checked on its raw trace; nothing here asks the program's own arithmetic.

Each check returns its complaints, so that a test can show that it is silent on the program and speaks up on a bug.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from hour_program import CYCLE_S, FAILBACK_AFTER_S, HEALTH_INTERVAL_S, LEDGER_TOPICS, STALE_AFTER_S, SYMBOLS
from hour_trace import FEEDS, KRAKEN, Cycle, Trace
from virtual_exchange import Session

from marketstream.market.events import ProviderStatus, Topic
from marketstream.market.quotes import QuoteState

SLACK_S = 0.3
"""Delays of the network and late timers, a few of them in a row."""
NOTICED_S = STALE_AFTER_S + HEALTH_INTERVAL_S + CYCLE_S + SLACK_S
MAX_BACKOFF_S = 60.0
OPEN_TIMEOUT_S = 10.0
STEADY_S = 2.0 + CYCLE_S + SLACK_S
"""A feed without faults is never silent for longer: the exchange trades at least every 1.5 s."""
MAX_AHEAD_NS = 2_000_000_000
LIVE = int(QuoteState.LIVE)

Complaints = list[str]
Pair = tuple[int, int]


class _Books:
    # The newest row of each pair, kept by a plain dict.
    def __init__(self) -> None:
        self.rows: dict[Pair, np.void] = {}

    def take(self, row: np.void) -> bool:
        """Keep a row; False where it is older than the one it is for."""
        pair = int(row["instrument"]), int(row["venue"])
        if pair in self.rows and row["ts_received"] < self.rows[pair]["ts_received"]:
            return False
        self.rows[pair] = row
        return True

    def fresh(self, instrument: int, now: int) -> list[np.void]:
        """Return the rows that may feed a price at `now` (UTC ns)."""
        limit = round(STALE_AFTER_S * 1e9)
        rows = [row for (k, _), row in self.rows.items() if k == instrument]
        return [row for row in rows if row["state"] == LIVE and now - row["ts_received"] <= limit]


def old_quotes(trace: Trace) -> Complaints:
    """Complain of every best price and reference mid that is not made of fresh quotes alone."""
    books, found = _Books(), []
    for cycle in trace.cycles:
        last_live: dict[int, tuple[float, float]] = {}
        for row in cycle.rows:
            k = int(row["instrument"])
            if books.take(row) and row["state"] == LIVE:
                last_live[k] = _hull([_middle(r) for r in books.fresh(k, int(row["ts_received"]))])
        for k, best in enumerate(cycle.best):
            fresh = books.fresh(k, cycle.now)
            bid = max((float(r["bid"]) for r in fresh), default=math.nan)
            ask = min((float(r["ask"]) for r in fresh), default=math.nan)
            for side, wanted in (("best_bid", bid), ("best_ask", ask)):
                if not _same(float(best[side]), wanted):
                    found.append(f"{cycle.at:.1f} s: {side} of {k} is {best[side]}, fresh quotes say {wanted}")
        found += _bad_mids(cycle, last_live)
    return found


def _bad_mids(cycle: Cycle, hulls: dict[int, tuple[float, float]]) -> Iterator[str]:
    for delta in cycle.changed:
        low, high = hulls.get(int(delta["instrument"]), (-math.inf, math.inf))
        mid = float(delta["ref_mid"])
        if not math.isnan(mid) and not low * (1 - 1e-12) <= mid <= high * (1 + 1e-12):
            yield f"{cycle.at:.1f} s: reference mid {mid} is outside of the fresh quotes, {low} to {high}"


def old_fair_values(trace: Trace) -> Complaints:
    """Complain of every fair value that is made of more venues than there are fresh quotes."""
    books, found, due = _Books(), [], dict(trace.fair)
    index = list(trace.catalog.index)
    for cycle in trace.cycles:
        for row in cycle.rows:
            books.take(row)
        fair = due.get(cycle.now)
        if fair is None:
            continue
        for name, value, n_venues in zip(fair.index, fair["fair"], fair["n_venues"], strict=True):
            n_fresh = len(books.fresh(index.index(name), cycle.now))
            if n_venues > n_fresh or (n_fresh == 0 and not math.isnan(value)):
                found.append(f"{cycle.at:.1f} s: fair value {value} of {name} from {n_venues} venues, {n_fresh} fresh")
    return found


def false_quotes(trace: Trace) -> Complaints:
    """Complain of every quote of a feed that the exchange never had, or had on another connection."""
    names = list(trace.catalog.providers)
    found, before = [], 0.0
    for cycle in trace.cycles:
        for row in cycle.rows[cycle.rows["state"] == LIVE]:
            feed = names[int(row["provider"])]
            true = _was_true if feed in FEEDS else _was_true_of_kraken
            if feed in (*FEEDS, KRAKEN) and not true(trace, feed, row, before, cycle.at):
                found.append(f"{cycle.at:.1f} s: {feed} quoted {row['bid']}/{row['ask']} as update {row['seq']}")
        before = cycle.at
    return found


def _was_true_of_kraken(trace: Trace, feed: str, row: np.void, since: float, until: float) -> bool:
    # Kraken numbers nothing; so the quote must be a top that held while it was on its way.
    tops = trace.kraken.tops[trace.catalog.instruments[int(row["instrument"])].id.replace("-", "/")]
    starts = [at for at, _ in tops]
    held = tops[max(0, bisect_right(starts, since - SLACK_S) - 1) : bisect_right(starts, until)]
    return _quoted(row) in [top for _, top in held]


def _quoted(row: np.void) -> tuple[float, ...]:
    return tuple(float(row[name]) for name in ("bid", "ask", "bid_size", "ask_size"))


def _was_true(trace: Trace, feed: str, row: np.void, since: float, until: float) -> bool:
    symbol, quoted = SYMBOLS[int(row["instrument"])], _quoted(row)
    sessions = _sessions_between(trace.sessions[feed], since, until)
    return any(trace.exchange.top(symbol, int(row["seq"]) - s.offset) == quoted for s in sessions)


def _sessions_between(sessions: list[Session], since: float, until: float) -> list[Session]:
    # The one that was current at `since` and those accepted after it.
    starts = [s.accepted_at for s in sessions]
    return sessions[max(0, bisect_right(starts, since) - 1) : bisect_right(starts, until)]


def impossible_quotes(trace: Trace) -> Complaints:
    """Complain of every LIVE quote that breaks the rules of the edge: numbers, order of the sides, times."""
    found = []
    for cycle in trace.cycles:
        for row in cycle.rows[cycle.rows["state"] == LIVE]:
            bid, ask, *sizes = _quoted(row)
            ahead_ns = max(int(row["ts_event"]) - MAX_AHEAD_NS, int(row["ts_received"])) - cycle.now
            if not (0 < bid <= ask < math.inf and all(0 <= size < math.inf for size in sizes) and ahead_ns <= 0):
                found.append(f"{cycle.at:.1f} s: {bid} of {sizes[0]} / {ask} of {sizes[1]}, {ahead_ns} ns ahead")
    return found


def deaf_connections(trace: Trace) -> Complaints:
    """Complain of every connection that was kept without data for longer than allowed."""
    found = []
    for feed in FEEDS:
        for session in trace.sessions[feed]:
            end = trace.ended_at if session.link.left_at is None else session.link.left_at
            marks = [session.accepted_at, *(at for at in session.progress if at < end), end]
            silence = max(after - before for before, after in pairwise(marks))
            if silence > STALE_AFTER_S + SLACK_S:
                found.append(f"{feed} kept a connection for {silence:.1f} s without data, up to {end:.1f} s")
    return found


def late_dials(trace: Trace) -> Complaints:
    """Complain of every lost connection that was not tried again within the longest backoff."""
    found = []
    for feed in FEEDS:
        dials = trace.dials[feed]
        for dial, following in zip(dials, [*(d.at for d in dials[1:]), trace.ended_at], strict=True):
            # A dial that nobody answers is given up after the time-out.
            given_up = dial.at + OPEN_TIMEOUT_S if dial.link is None else dial.link.left_at
            if given_up is not None and following - given_up > MAX_BACKOFF_S + SLACK_S:
                found.append(f"{feed} waited {following - given_up:.1f} s up to {following:.1f} s before it dialled")
    return found


def standstills(trace: Trace) -> Complaints:
    """Complain of every time that the stream did not go on, as a stepped wall clock might have it."""
    times = [0.0, *(cycle.at for cycle in trace.cycles), trace.ended_at]
    return [f"{a:.1f} s: no cycle for {b - a:.1f} s" for a, b in pairwise(times) if b - a > 2 * CYCLE_S]


def unnoticed_silence(trace: Trace) -> Complaints:
    """Complain of every moment at which a silent feed still counts as running."""
    found = []
    for feed in (*FEEDS, KRAKEN):
        status = _statuses(trace, feed)
        for cycle in trace.cycles:
            silence = _age(trace.delivered[feed], cycle.at)
            if silence > NOTICED_S and status(cycle.at) == ProviderStatus.RUNNING:
                found.append(f"{cycle.at:.1f} s: {feed} is silent for {silence:.1f} s and counts as RUNNING")
    return found


def false_alarms(trace: Trace) -> Complaints:
    """Complain of every feed that is called degraded, or hung up on, while it delivers."""
    found = []
    for feed in FEEDS:
        for at, event in trace.submitted:
            alarm = event.subject == feed and "RUNNING to DEGRADED" in event.message
            if alarm and _steady(trace, feed, at - 2 * STEADY_S, at):
                found.append(f"{at:.1f} s: {feed} delivers, and is told: {event.message}")
    return found


def misplaced_trust(trace: Trace) -> Complaints:
    """Complain of every moment at which a dead feed is trusted though the other one has been well for a while."""
    found, trusted = [], _trusted(trace)
    for cycle in trace.cycles:
        holder = trusted(cycle.at)
        other = FEEDS[1 - FEEDS.index(holder)]
        silence = _age(trace.delivered[holder], cycle.at)
        if silence > NOTICED_S and _steady(trace, other, cycle.at - 2 * STEADY_S, cycle.at):
            found.append(f"{cycle.at:.1f} s: {holder} is trusted, silent for {silence:.1f} s, while {other} delivers")
    return found


def hasty_returns(trace: Trace) -> Complaints:
    """Complain of every return to a feed that has not been well for as long as agreed."""
    found = []
    for at, event in trace.submitted:
        if event.topic is not Topic.PROVIDER_SWITCH or event.data["direction"] != "failback":
            continue
        feed, since = str(event.data["to"]), at - FAILBACK_AFTER_S + SLACK_S
        marks = [since, *(t for t in trace.delivered[feed] if since < t < at), at]
        silence = max(b - a for a, b in pairwise(marks))
        ill = [
            t
            for t, e in trace.submitted
            if since < t <= at and e.subject == feed and "to DEGRADED" in e.message and e.topic is Topic.PROVIDER_STATUS
        ]
        if ill or silence > NOTICED_S:
            found.append(f"{at:.1f} s: back to {feed}, which was ill at {ill} or silent for {silence:.1f} s")
    return found


def untrusted_quotes(trace: Trace) -> Complaints:
    """Complain of every quote that left the registry though its feed was not trusted."""
    names = list(trace.catalog.providers)
    found, trusted, before = [], _trusted(trace), 0.0
    for cycle in trace.cycles:
        live = cycle.rows[cycle.rows["state"] == LIVE]
        sources = {names[int(code)] for code in np.unique(live["provider"])} & set(FEEDS)
        # Trust moves between two drains, so that a batch has rows of one feed.
        if sources - {trusted(before), trusted(cycle.at)} or len(sources) > 1:
            found.append(f"{cycle.at:.1f} s: quotes of {sorted(sources)}, trusted is {trusted(cycle.at)}")
        before = cycle.at
    return found


def withheld_quotes(trace: Trace) -> Complaints:
    """Complain of every cycle in which the trusted feed delivered and the stream got nothing of it."""
    names = list(trace.catalog.providers)
    found, trusted, before = [], _trusted(trace), 0.0
    for cycle in trace.cycles:
        feed = trusted(before)
        delivered = bisect_right(trace.delivered[feed], cycle.at) > bisect_right(trace.delivered[feed], before)
        got = (cycle.rows["state"] == LIVE) & (cycle.rows["provider"] == names.index(feed))
        if delivered and trusted(cycle.at) == feed and not got.any():
            found.append(f"{cycle.at:.1f} s: {feed} delivered, and the stream got nothing of it")
        before = cycle.at
    return found


def lost_events(trace: Trace) -> Complaints:
    """Complain of every event of the ledger that has no outcome, or two, or one out of order."""
    patterns = [pattern.removesuffix("#") for pattern in LEDGER_TOPICS]
    due = [e.id for _, e in trace.submitted if any(e.topic.startswith(pattern) for pattern in patterns)]
    due += [e.id for e in trace.published if e.topic is Topic.MARKET_DELTA]
    due.sort()  # ids rise as events are taken in
    had = [outcome.event_id for outcome in trace.booked]
    if had == due:
        return []
    first = next((i for i, (a, b) in enumerate(zip(had, due, strict=False)) if a != b), min(len(had), len(due)))
    return [f"{len(due)} events were due, {len(had)} had an outcome; they part at number {first}: {had[first:][:2]}"]


def lost_on_the_bus(trace: Trace) -> Complaints:
    """Complain when the bus left out a control event, or told of a topic out of order."""
    control = [event.id for event in trace.published if event.is_control]
    wanted = [event.id for _, event in trace.submitted]
    found = [] if control == wanted else [f"{len(wanted)} control events, {len(control)} of them on the bus"]
    for topic in {event.topic for event in trace.published}:
        ids = [event.id for event in trace.published if event.topic == topic]
        if ids != sorted(set(ids)):
            found.append(f"{topic} came out of order or twice")
    return found


def _trusted(trace: Trace) -> Callable[[float], str]:
    # The feed that was last told to be trusted, by virtual time.
    times, names = [0.0], [FEEDS[0]]
    for at, event in trace.submitted:
        if event.topic is Topic.PROVIDER_SWITCH:
            times.append(at)
            names.append(str(event.data["to"]))
    return lambda at: names[bisect_right(times, at) - 1]


def _steady(trace: Trace, feed: str, since: float, until: float) -> bool:
    """Tell whether a feed delivered all the time on one connection."""
    times = trace.delivered[feed]
    marks = [since, *times[bisect_right(times, since) : bisect_right(times, until)], until]
    if since < 0 or max(b - a for a, b in pairwise(marks)) > STEADY_S:
        return False
    session = _sessions_between(trace.sessions[feed], until, until)[0]
    return session.accepted_at <= since and (session.link.left_at is None or session.link.left_at > until)


def _age(times: list[float], at: float) -> float:
    before = bisect_right(times, at)
    return at - times[before - 1] if before else at


def _statuses(trace: Trace, feed: str) -> Callable[[float], str]:
    # The status that was last told of a feed, by virtual time.
    times, values = [0.0], [ProviderStatus.RUNNING.value]
    for at, event in trace.submitted:
        if event.subject == feed and event.topic is Topic.PROVIDER_STATUS and " to " in event.message:
            times.append(at)
            values.append(event.message.split(":")[0].split(" to ")[1])
    return lambda at: values[bisect_right(times, at) - 1]


def _middle(row: np.void) -> float:
    return 0.5 * (float(row["bid"]) + float(row["ask"]))


def _hull(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


CHECKS: tuple[Callable[[Trace], Complaints], ...] = (
    old_quotes, old_fair_values, false_quotes, impossible_quotes, deaf_connections, late_dials, standstills,
    unnoticed_silence, false_alarms, misplaced_trust, hasty_returns, untrusted_quotes, withheld_quotes, lost_events,
    lost_on_the_bus,
)  # fmt: skip


def complaints(trace: Trace) -> dict[str, Complaints]:
    """Return what each check that is not content has to say."""
    found = {check.__name__: check(trace) for check in CHECKS}
    return {name: said for name, said in found.items() if said}
