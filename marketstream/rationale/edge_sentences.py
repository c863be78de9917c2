"""Sentences about outcomes, edges and fair values that several kinds of text share. See sentences.py for the rest."""

from __future__ import annotations

from marketstream.market.rationale import EDGES, Fact, SpanKind
from marketstream.rationale.prose import Facts, Sentence, join, marked, plural, quoted, say

_PLACES = {1: "best", 2: "second best", 3: "third best"}


def stakes(facts: Facts) -> Sentence | None:
    """Say what is staked in all, and what that may earn and lose; nothing of a book whose stakes are not known."""
    if facts.get("n_stakes") is None:
        return None
    n, total, bankroll = (facts.get(m) for m in ("n_stakes", "stake_total", "bankroll"))
    profit, loss = facts.get("stakes_profit"), facts.get("stakes_loss")
    if n is None or total is None or bankroll is None or profit is None or loss is None:
        return say("No stake is open.")
    things = plural(n, "stake takes", "stakes take")
    opening = say(f"{{}} {things} {{}} out of a bankroll of {{}},", n, total, bankroll)
    return join(opening, say("with an expected profit of {} and a largest possible loss of {}.", profit, loss))


def largest_stake(facts: Facts, *, terms: bool = True) -> Sentence | None:
    """Say where the largest stake is, or that several share the first place."""
    rank = facts.ranked("stake", 1)
    if rank is None:
        n, size = facts.get("n_largest_stake"), facts.get("largest_stake")
        tied = n is not None and size is not None and n.value > 1
        return say("{} stakes share the largest stake, {}.", n, size) if tied and n and size else None
    stake = facts.get("stake", rank.subject, rank.venue)
    if stake is None:
        return None
    opening = say(
        "The {} stake is {} on {} at {}",
        marked("largest", rank, SpanKind.RANK),
        stake,
        facts.name(stake),
        facts.venue(stake),
    )
    detail = leg_terms(facts, stake.subject, stake.venue) if terms else None
    return (*opening, *say(": "), *detail, *say(".")) if detail else (*opening, *say("."))


def leg_terms(facts: Facts, subject: str, venue: str | None) -> Sentence | None:
    """Say price and edge of a leg, as a clause about the instrument and venue named before it."""
    edge = facts.get("edge", subject, venue)
    price = facts.get("ask", subject, venue) or facts.get("bid", subject, venue)
    if edge is None or price is None:
        return None
    ratio = facts.get("edge_ratio", subject, venue)
    clause = say(f"the {price.metric} is {{}} and the edge after fees is {{}}", price, edge)
    return (*clause, *say(", {}", ratio)) if ratio is not None else clause


def fair_value(facts: Facts, subject: str) -> Sentence | None:
    """Say the fair value, how certain it is and how many venues made it."""
    name = facts.instrument(subject)
    fair, sd, n = (facts.get(m, subject) for m in ("fair", "fair_sd", "n_venues"))
    if n is not None and n.value == 0:
        return say("{} has no fair value.", name)
    if fair is None or sd is None or n is None:
        return None
    things = plural(n, "venue", "venues")
    return say(
        f"The fair value of {{}} is {{}} from {{}} {things}, with a standard deviation of {{}}.", name, fair, n, sd
    )


def edge_counts(facts: Facts) -> Sentence | None:
    """Say how many prices carry an edge."""
    tradable, prices, positive = (facts.get(m, EDGES) for m in ("n_tradable", "n_prices", "n_positive"))
    if tradable is None or prices is None or positive is None:
        return None
    if prices.value == 0:
        return say("No edge is priced.")
    if tradable.value == 0:
        opening = say("No price carries a tradable edge")
    else:
        opening = say(f"{{}} of {{}} prices {plural(tradable, 'carries', 'carry')} a tradable edge", tradable, prices)
    things = plural(positive, "price carries", "prices carry")
    more = positive.value > tradable.value
    return (*opening, *(say(f"; {{}} {things} a positive edge.", positive) if more else say(".")))


def best_edge(facts: Facts, place: int) -> Fact | None:
    """Return the rank of an edge by return on capital: among tradable ones, or the best of all where none is."""
    if facts.number("n_tradable", EDGES):
        return facts.ranked("tradable_roi", place)
    return facts.ranked("roi", place)


def ranked_edge(facts: Facts, place: int) -> Sentence | None:
    """Say which edge has the best, second best or third best return on capital, and why not where it cannot be had."""
    rank = best_edge(facts, place)
    if rank is None:
        return None
    roi = facts.get(rank.metric.removesuffix("_rank"), rank.subject, rank.venue)
    if roi is None:
        return None
    word, what = marked(_PLACES[place], rank, SpanKind.RANK), roi.metric.replace("_roi", " ").replace("roi", "")
    lead = say(
        f"The {{}} {what}return on capital is {{}} on {{}} at {{}}", word, roi, facts.name(roi), facts.venue(roi)
    )
    terms = leg_terms(facts, roi.subject, roi.venue)
    lead = (*lead, *say(": "), *terms) if terms else lead
    return join((*lead, *say(".")), verdict(facts, roi))


def verdict(facts: Facts, leg: Fact) -> Sentence | None:
    """Say why the leg named last cannot be traded; nothing when it can."""
    tradable, reason = facts.get("tradable", leg.subject, leg.venue), facts.get("reason", leg.subject, leg.venue)
    if tradable is None or tradable.value == 1:
        return None
    if reason is None:
        return say("It can not be traded.")
    return say("It can not be traded; the reason is {}.", quoted(reason))


def leg_age(facts: Facts, leg: Fact) -> Sentence | None:
    """Say how old the quotes behind the leg named last are, and for how long it has been open."""
    age, open_for = (facts.get(m, leg.subject, leg.venue) for m in ("leg_age", "open_for"))
    if age is None:
        return None
    if open_for is None:
        return say("Its oldest leg is {} old.", age)
    return say("It has been open for {} and its oldest leg is {} old.", open_for, age)
