"""Sentences about feeds and weights that several kinds of text share; None where the sheet has no facts for one."""

from __future__ import annotations

from marketstream.market.rationale import FEEDS, Fact
from marketstream.rationale.prose import Facts, Sentence, figure, join, listed, marked, plural, quoted, say, unsigned

_STATUS = {
    "infeasible": "the limits conflict",
    "no_data": "the assets have no data",
    "failed": "the optimizer failed",
}


def rises(change: Fact) -> str:
    """Return the verb of a movement."""
    return "rises" if change.value > 0 else "falls"


def status_words(facts: Facts) -> str:
    """Return why there are no weights, empty when there could be."""
    status = facts.get("status")
    return _STATUS.get(status.text, "") if status is not None else ""


def no_weights(facts: Facts) -> Sentence:
    """Say that there are no weights, and why."""
    as_of, why = facts.get("as_of", FEEDS), status_words(facts)
    opening = say("As of {} there are no weights", as_of) if as_of is not None else say("There are no weights")
    reason = facts.get("status_reason")
    because = say(f": {why}.") if why else say(".")
    said = say("The optimizer says: {}.", quoted(reason)) if reason is not None and why else None
    return join((*opening, *because), said)


# Feeds ------------------------------------------------------------------------------------------------------


def feeds_are_sound(facts: Facts) -> bool:
    """Return whether every quote is live and every instrument has a source."""
    n_quotes = facts.number("n_quotes", FEEDS)
    return n_quotes > 0 and n_quotes == facts.number("n_live", FEEDS) and not facts.number("n_no_source", FEEDS)


def freshness(facts: Facts) -> Sentence:
    """Say how many quotes are live and how old the oldest of them is."""
    live, quotes = facts.get("n_live", FEEDS), facts.get("n_quotes", FEEDS)
    if live is None or quotes is None or quotes.value == 0:
        return say("No quote has arrived.")
    if live.value == 0:
        return say("No quote is live.")
    verb = "quotes are live"
    all_live = live.value == quotes.value and live.value > 1
    count = say("All {} {}", live, verb) if all_live else say("{} of {} {}", live, quotes, verb)
    age = facts.get("oldest_age", FEEDS)
    if age is None:
        return (*count, *say("."))
    return join(count, say("and the oldest live quote is {} old.", age))


def late_venues(facts: Facts) -> Sentence | None:
    """Say which venues have late or interrupted quotes."""
    clauses = [clause for live in facts.all("live") if (clause := _venue_trouble(facts, live))]
    if not clauses:
        return None
    return (*join(join(*clauses[:-1], by=", "), clauses[-1], by=" and "), *say("."))


def _venue_trouble(facts: Facts, live: Fact) -> Sentence | None:
    venue = facts.venue(live)
    late, interrupted = (facts.get(m, FEEDS, live.venue) for m in ("late", "interrupted"))
    if live.value == 0:
        return say("{} has no live quote", venue)
    troubles = [
        say(f"{{}} {word} {plural(fact, 'quote', 'quotes')}", fact)
        for word, fact in (("late", late), ("interrupted", interrupted))
        if fact is not None and fact.value
    ]
    return join(say("{} has", venue), join(*troubles, by=" and ")) if troubles else None


def dark_instruments(facts: Facts) -> Sentence | None:
    """Say how many instruments have no live source, and name some."""
    dark, total = facts.get("n_no_source", FEEDS), facts.get("n_instruments", FEEDS)
    if dark is None or total is None or dark.value == 0:
        return None
    names = [facts.name(f) for f in facts.all("live_venues") if f.value == 0][:3]
    opening = say(f"{{}} of {{}} instruments {plural(dark, 'has', 'have')} no live source", dark, total)
    if not names:
        return (*opening, *say("."))
    lists = "namely" if len(names) == dark.value else "among them"
    return (*opening, *say(f", {lists} "), *listed(names), *say("."))


# The book ---------------------------------------------------------------------------------------------------


def held(facts: Facts, *, dated: bool = True) -> Sentence | None:
    """Say how much of what is held."""
    n, invested, as_of = facts.get("n_held"), facts.get("invested"), facts.get("as_of", FEEDS)
    if n is None or invested is None:
        return None
    things = plural(n, "instrument", "instruments")
    rest = say(f"portfolio holds {{}} {things} with {{}} of capital invested.", n, invested)
    return join(say("As of {} the", as_of) if dated and as_of is not None else say("The"), rest)


def given(facts: Facts) -> Sentence | None:
    """Say that the weights are a caller's own, where they are."""
    return say("The weights are as given by the caller.") if facts.get("given") is not None else None


def outlook(facts: Facts) -> Sentence | None:
    """Say expected return and risk over the horizon."""
    expected, risk, horizon = (facts.get(m) for m in ("expected_return", "risk", "horizon"))
    if expected is None or risk is None or horizon is None:
        return None
    opening = "No view is set: the" if facts.get("n_views") and facts.number("n_views") == 0 else "The"
    return say(opening + " expected return is {} per {} at a risk of {}.", expected, horizon, risk)


def worst_loss(facts: Facts) -> Sentence | None:
    """Say what is lost at worst, at which confidence."""
    loss, confidence = facts.get("worst_loss"), facts.get("confidence")
    if loss is None or confidence is None:
        return None
    return say("At a confidence of {} the worst loss is {} over the same horizon.", confidence, loss)


def limits(facts: Facts) -> Sentence | None:
    """Say which weights a limit holds."""
    n, total = facts.get("n_limited"), facts.get("n_held")
    if n is None or total is None or total.value == 0:
        return None
    if n.value == 0:
        return say("No weight is held by a limit.")
    held_by = [f for f in facts.all("limit") if f.venue is None and facts.number("weight", f.subject) > 0][:3]
    if n.value == 1 and held_by:
        return say("{} is held by the limit {}.", facts.name(held_by[0]), quoted(held_by[0]))
    verb = plural(n, "weights is", "weights are") if total.value != 1 else "weight is"
    opening = say(f"{{}} of {{}} {verb} held by a limit", n, total)
    if not held_by:
        return (*opening, *say("."))
    lists = "namely" if len(held_by) == n.value else "among them"
    return (*opening, *say(f", {lists} "), *listed([facts.name(f) for f in held_by]), *say("."))


def moved(facts: Facts, subject: str, opening: Sentence, *, origin: bool = False) -> Sentence | None:
    """Say a weight's movement after an opening that ends with "weight" or names its owner."""
    change, weight, before = (facts.get(m, subject) for m in ("weight_change", "weight", "weight_before"))
    if change is None or weight is None or before is None or change.value == 0:
        return None
    verb = marked(rises(change), change)
    end = say("from {}", figure(before)) if origin else say("to {} of capital", figure(weight))
    return join(opening, say("{} by {}", verb, unsigned(change)), (*end, *say(".")))
