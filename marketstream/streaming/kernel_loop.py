"""The compiled loop of the rolling kernel. kernel.py owns the arrays and says what they mean.

Sums are compensated (Knuth's two-sum) and taken about an anchor near the prices, so that a price of 65,000 with a
standard deviation of 0.001 keeps its digits; once per turn of the ring they are taken afresh from the ring.
"""

from __future__ import annotations

import numba
import numpy as np

RATE_SECONDS = 10
_SLOTS = RATE_SECONDS + 1
_SECOND = 1_000_000_000
_LIVE = 0
_MIN_CHANGES = 20
_FAR_AHEAD = 9_000_000_000_000_000_000

# The numpy error model spares a zero check per division; no division here can have a zero below the line.
_compiled = numba.njit(cache=True, error_model="numpy")

ROLLING_DTYPE = np.dtype(
    [
        ("anchor", np.float64),
        ("total", np.float64),
        ("total_rest", np.float64),
        ("squares", np.float64),
        ("squares_rest", np.float64),
        ("change_squares", np.float64),
        ("change_squares_rest", np.float64),
        ("last_change", np.float64),
        ("last_ts", np.int64),
        ("rate_second", np.int64),
        ("first_second", np.int64),
        ("mark", np.int32),
        ("rate_total", np.int32),
        ("rate_counts", np.uint16, (_SLOTS,)),
        ("count", np.int16),
        ("head", np.int16),
        ("priced", np.int8),
    ],
    align=True,
)
"""Rolling sums of one instrument. `change_squares` leaves the newest change out: a z-score needs those before it."""


@_compiled
def _add(total, rest, value):  # type: ignore[no-untyped-def]  # compiled; numba infers the types
    # Knuth's exact sum of two numbers, without a branch: `rest` collects what the rounded addition drops.
    new = total + value
    taken = new - total
    return new, rest + ((total - (new - taken)) + (value - taken))


@_compiled
def _price(b):  # type: ignore[no-untyped-def]
    if np.isnan(b.bid):
        return b.ask
    if np.isnan(b.ask):
        return b.bid
    return 0.5 * (b.bid + b.ask)


@_compiled
def _reference(book, k, t, stale, per_stale):  # type: ignore[no-untyped-def]
    # Mean of fresh venues' prices at time t, weighted by size and recency; NaN where none is fresh. Recency falls in a
    # straight line to nothing at stale_after, so that a venue fades out and the mid does not jump when it goes stale.
    top = 0.0
    weights = 0.0
    for v in range(book.shape[1]):
        b = book[k, v]
        if b.state != _LIVE:
            continue
        left = stale[v] - (t - b.ts_received)
        if left < 0:
            continue
        weight = b.weight * ((left + 1) * per_stale[v])
        top += weight * _price(b)
        weights += weight
    return top / weights if weights > 0.0 else np.nan


@_compiled
def _find_best(book, best, k, now, stale):  # type: ignore[no-untyped-def]
    # Best bid and ask over fresh venues; returns when the first of them stops being fresh.
    bid, ask = -np.inf, np.inf
    bid_venue, ask_venue, n_live = -1, -1, 0
    expiry = _FAR_AHEAD
    for v in range(book.shape[1]):
        b = book[k, v]
        if b.state != _LIVE:
            continue
        until = b.ts_received + stale[v]
        if now > until:
            continue
        n_live += 1
        expiry = min(expiry, until)
        if b.bid > bid:
            bid, bid_venue = b.bid, v
        if b.ask < ask:
            ask, ask_venue = b.ask, v
    row = best[k]
    row.best_bid = bid if bid_venue >= 0 else np.nan
    row.best_ask = ask if ask_venue >= 0 else np.nan
    row.bid_venue, row.ask_venue, row.n_live = bid_venue, ask_venue, n_live
    both = bid_venue >= 0 and ask_venue >= 0
    row.spread = ask - bid if both else np.nan
    row.crossed = both and bid > ask
    if both:
        row.mid = 0.5 * (bid + ask)
    else:
        row.mid = row.best_bid if bid_venue >= 0 else row.best_ask
    return expiry


@_compiled
def _refresh(r, ring_row, n):  # type: ignore[no-untyped-def]
    # Take the sums afresh about the window's own mean; called once per turn of a full ring, head at 0.
    mean = 0.0
    for i in range(n):
        mean += ring_row[i] - ring_row[0]
    r.anchor = ring_row[0] + mean / n
    total, total_rest, squares, squares_rest = 0.0, 0.0, 0.0, 0.0
    changes, changes_rest = 0.0, 0.0
    for i in range(n):
        d = ring_row[i] - r.anchor
        total, total_rest = _add(total, total_rest, d)
        squares, squares_rest = _add(squares, squares_rest, d * d)
        if 0 < i < n - 1:
            c = ring_row[i] - ring_row[i - 1]
            changes, changes_rest = _add(changes, changes_rest, c * c)
    r.total, r.total_rest = total, total_rest
    r.squares, r.squares_rest = squares, squares_rest
    r.change_squares, r.change_squares_rest = changes, changes_rest


@_compiled
def _push(r, ring_row, x):  # type: ignore[no-untyped-def]
    # Put one reference mid into the ring and keep the sums with it.
    window = ring_row.shape[0]
    n, head = r.count, r.head
    if n == 0:
        r.anchor = x
        r.last_change = np.nan
    else:
        if n >= 2:
            c = r.last_change
            r.change_squares, r.change_squares_rest = _add(r.change_squares, r.change_squares_rest, c * c)
        r.last_change = x - ring_row[head - 1 if head > 0 else window - 1]
    if n == window:
        old = ring_row[head]
        d = old - r.anchor
        r.total, r.total_rest = _add(r.total, r.total_rest, -d)
        r.squares, r.squares_rest = _add(r.squares, r.squares_rest, -d * d)
        c = ring_row[head + 1 if head + 1 < window else 0] - old
        r.change_squares, r.change_squares_rest = _add(r.change_squares, r.change_squares_rest, -c * c)
    else:
        r.count = n + 1
    d = x - r.anchor
    r.total, r.total_rest = _add(r.total, r.total_rest, d)
    r.squares, r.squares_rest = _add(r.squares, r.squares_rest, d * d)
    ring_row[head] = x
    head += 1
    r.head = head
    if head == window:
        r.head = 0
        _refresh(r, ring_row, window)


@_compiled
def _roll(r, second):  # type: ignore[no-untyped-def]
    # Move the per-second counts on to `second`; `rate_total` is the sum of all slots.
    if r.first_second == 0:
        r.first_second = second
        r.rate_second = second
    if second > r.rate_second:
        for s in range(max(r.rate_second + 1, second - _SLOTS + 1), second + 1):
            r.rate_total -= r.rate_counts[s % _SLOTS]
            r.rate_counts[s % _SLOTS] = 0
        r.rate_second = second


@_compiled
def _count_quote(r, second):  # type: ignore[no-untyped-def]
    _roll(r, second)
    r.rate_counts[r.rate_second % _SLOTS] += 1
    r.rate_total += 1


@_compiled
def _rate(r, second):  # type: ignore[no-untyped-def]
    # Quotes per second over the ten whole seconds before this one, or as many as there were.
    if r.first_second == 0 or second <= r.first_second:
        return np.nan
    _roll(r, second)
    return (r.rate_total - r.rate_counts[second % _SLOTS]) / min(RATE_SECONDS, second - r.first_second)


@_compiled
def _write_delta(out, r, ring_row, k, now, second):  # type: ignore[no-untyped-def]
    window = ring_row.shape[0]
    n = r.count
    out.instrument = k
    out.rate = _rate(r, second)
    out.age_ms = (now - r.last_ts) * 1e-6 if r.last_ts > 0 else np.nan
    out.ref_mid = out.change = out.rel_change = out.mean = out.sd = out.z_change = np.nan
    if n == 0 or r.priced == 0:
        return
    x = ring_row[r.head - 1 if r.head > 0 else window - 1]
    out.ref_mid = x
    total = r.total + r.total_rest
    out.mean = r.anchor + total / n
    if n < 2:
        return
    squares = r.squares + r.squares_rest
    out.sd = np.sqrt(max(0.0, (squares - total * total / n) / (n - 1)))
    change = r.last_change
    out.change = change
    out.rel_change = change / (x - change)
    before = n - 2
    if before < _MIN_CHANGES:
        return
    first = ring_row[r.head if n == window else 0]
    mean = (x - change - first) / before
    variance = (r.change_squares + r.change_squares_rest - before * mean * mean) / (before - 1)
    if variance > 0.0:
        out.z_change = (change - mean) / np.sqrt(variance)


@_compiled
def _sample(book, history, stale, per_stale, marks, until):  # type: ignore[no-untyped-def]
    # Take every once-a-second sample that is due up to `until`; a quote at the very second comes after it.
    length = history.shape[1]
    if marks[0] == 0:
        marks[0] = (until // _SECOND) * _SECOND + _SECOND
        return
    if until < marks[0]:
        return
    due = (until - marks[0]) // _SECOND + 1
    # Away for longer than the history lasts: the first samples would be overwritten at once.
    for j in range(max(0, due - length), due):
        at = marks[0] + j * _SECOND
        column = (marks[1] + j) % length
        for k in range(book.shape[0]):
            history[k, column] = _reference(book, k, at, stale, per_stale)
    marks[0] += due * _SECOND
    marks[1] += due


@_compiled
def _store(b, q):  # type: ignore[no-untyped-def]
    b.bid, b.ask = q.bid, q.ask
    b.bid_size, b.ask_size = q.bid_size, q.ask_size
    b.ts_event, b.ts_received, b.seq = q.ts_event, q.ts_received, q.seq
    b.provider, b.state = q.provider, q.state
    size = q.bid_size + q.ask_size
    b.weight = np.sqrt(size) if size > 0.0 else 1.0


@_compiled
def advance(quotes, now, book, rolling, ring, best, history, changed, stale, per_stale, marks):  # type: ignore[no-untyped-def]
    """Apply quotes in order and write the deltas of every instrument they touched; returns how many."""
    marks[3] += 1
    batch = np.int32(marks[3] & 0x7FFFFFFF)
    n_changed = 0
    n_instruments, n_venues = book.shape
    for i in range(quotes.shape[0]):
        q = quotes[i]
        k, v, t = q.instrument, q.venue, q.ts_received
        if k < 0 or k >= n_instruments or v < 0 or v >= n_venues:
            marks[5] += 1
            continue
        b = book[k, v]
        if t < b.ts_received:
            marks[4] += 1
            continue
        if t >= marks[0]:
            _sample(book, history, stale, per_stale, marks, t)
        _store(b, q)
        r = rolling[k]
        if r.mark != batch:
            r.mark = batch
            changed[n_changed].instrument = k
            n_changed += 1
        if q.state == _LIVE:
            r.last_ts = t
            _count_quote(r, marks[0] // _SECOND - 1)
            r.priced = 1
            _push(r, ring[k], _reference(book, k, t, stale, per_stale))
        elif np.isnan(_reference(book, k, t, stale, per_stale)):
            r.priced = 0
    _sample(book, history, stale, per_stale, marks, now)
    second = now // _SECOND
    for i in range(n_changed):
        k = changed[i].instrument
        marks[2] = min(marks[2], _find_best(book, best, k, now, stale))
        _write_delta(changed[i], rolling[k], ring[k], k, now, second)
    if now > marks[2]:
        # Something may have gone stale without a quote: look at every instrument once.
        marks[2] = _FAR_AHEAD
        for k in range(n_instruments):
            marks[2] = min(marks[2], _find_best(book, best, k, now, stale))
    return n_changed
