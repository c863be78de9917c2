"""What the narrator says about one instrument and about edges: the position explanation and the edge note."""

from __future__ import annotations

from marketstream.market.rationale import EDGES, FEEDS, Fact, Name, SpanKind
from marketstream.rationale.book_texts import Paragraphs, excess
from marketstream.rationale.edge_sentences import (
    best_edge,
    edge_counts,
    fair_value,
    leg_age,
    leg_terms,
    ranked_edge,
    stakes,
    verdict,
)
from marketstream.rationale.prose import Facts, Segment, Sentence, join, marked, quoted, say, unsigned
from marketstream.rationale.sentences import (
    dark_instruments,
    freshness,
    given,
    held,
    late_venues,
    moved,
    no_weights,
    outlook,
    rises,
    status_words,
    worst_loss,
)


def position(facts: Facts) -> tuple[Sentence, Paragraphs]:
    """Return headline and paragraphs about one instrument, most important first."""
    subject = str(facts.sheet.subject)
    if facts.get("n_legs", subject) is not None:
        return _outcome_position(facts, subject)
    return _asset_position(facts, subject)


def edge_note(facts: Facts) -> tuple[Sentence, Paragraphs]:
    """Return headline and paragraphs about the edges, best first."""
    ranks = [r for place in (1, 2, 3) if (r := best_edge(facts, place)) is not None]
    body: Paragraphs = [[_dated_edge_counts(facts)]]
    for place, rank in enumerate(ranks, 1):
        body.append([ranked_edge(facts, place), leg_age(facts, rank), _stake_on(facts, rank)])
        body.append([fair_value(facts, rank.subject)])
    body += [[stakes(facts)], [freshness(facts), late_venues(facts), dark_instruments(facts)]]
    return _edge_headline(facts), body


# An asset ---------------------------------------------------------------------------------------------------


def _asset_position(facts: Facts, subject: str) -> tuple[Sentence, Paragraphs]:
    name = facts.instrument(subject)
    weighed = facts.get("weight", subject) is not None
    live = _live_venues(facts, subject)
    dark = bool(live) and facts.number("live_venues", subject) == 0
    body: Paragraphs = [
        _weight(facts, subject, name) if weighed else [no_weights(facts)],
        _risk(facts, subject, name) if weighed else [],
        [fair_value(facts, subject), _move(facts, subject, name), _left_out(facts, subject)],
        [_best_prices(facts, subject, name), _largest_gap(facts, name)],
    ]
    body.insert(1 if dark else len(body), [live])
    body.append([held(facts, dated=False), outlook(facts), worst_loss(facts)] if weighed else [freshness(facts)])
    return _asset_headline(facts, subject, name), body


def _asset_headline(facts: Facts, subject: str, name: Name) -> Sentence:
    change, weight = facts.get("weight_change", subject), facts.get("weight", subject)
    if weight is None:
        why = status_words(facts)
        return say(f"No weights: {why}" if why else "No weights")
    if change is not None and change.value:
        verb = marked(rises(change), change)
        return say("{}: weight {} by {} to {} of capital", name, verb, unsigned(change), weight)
    if weight.value == 0:
        return say("{}: no weight", name)
    if change is None:
        return say("{}: weight {} of capital", name, weight)
    return say("{}: weight unchanged at {} of capital", name, weight)


def _weight(facts: Facts, subject: str, name: Name) -> list[Sentence | None]:
    as_of, weight = facts.get("as_of", FEEDS), facts.get("weight", subject)
    if as_of is None or weight is None:
        return []
    if weight.value == 0:
        lead = say("As of {} {} has no weight.", as_of, name)
    else:
        lead = say("As of {} {} holds {} of capital.", as_of, name, weight)
    movement = moved(facts, subject, say("Its weight"), origin=True)
    if movement is None and weight.value and facts.get("weight_change", subject) is not None:
        movement = say("Its weight is unchanged.")
    return [lead, given(facts), movement, _place(facts, subject)]


def _place(facts: Facts, subject: str) -> Sentence | None:
    rank, n = facts.get("weight_rank", subject), facts.get("n_held")
    if rank is None or n is None or n.value < 2:
        return None
    if rank.value == 1:
        return say("It has the {} weight.", marked("largest", rank, SpanKind.RANK))
    return say("It ranks {} of {} instruments by weight.", rank, n)


def _risk(facts: Facts, subject: str, name: Name) -> list[Sentence | None]:
    share, limit = facts.get("risk_share", subject), facts.get("limit", subject)
    carries = None
    if share is not None and facts.number("weight", subject):
        carries = (*say("{} carries {} of the risk", name, share), *excess(facts, subject, ", "), *say("."))
    held_by = say("{} is held by the limit {}.", name, quoted(limit)) if limit is not None else None
    kept = facts.get("kept_by", subject)
    if kept is not None:
        held_by = say("{} is kept by the {}.", name, quoted(kept))
    elif held_by is None and carries is not None and facts.get("n_limits", subject) is not None:
        held_by = say("No limit holds it.")
    return [carries, held_by, _view(facts, subject, name)]


def _view(facts: Facts, subject: str, name: Name) -> Sentence | None:
    view, horizon = facts.get("view", subject), facts.get("horizon")
    return say("The view on {} is {} per {}.", name, view, horizon) if view is not None and horizon else None


def _left_out(facts: Facts, subject: str) -> Sentence | None:
    words = facts.get("left_out", subject)
    return say("The consensus leaves out {}.", quoted(words)) if words is not None else None


def _move(facts: Facts, subject: str, name: Name) -> Sentence | None:
    change, window = facts.get("price_change", subject), facts.get("price_window", subject)
    if change is None or window is None or change.value == 0:
        return None
    verb = marked(rises(change), change)
    return say("The reference price of {} {} by {} over {}.", name, verb, unsigned(change), window)


def _best_prices(facts: Facts, subject: str, name: Name) -> Sentence | None:
    bid = next((f for f in facts.all("best_bid") if f.subject == subject), None)
    ask = next((f for f in facts.all("best_ask") if f.subject == subject), None)
    if bid is None or ask is None:
        return None
    opening = say("The best bid for {} is {} on {}", name, bid, facts.venue(bid))
    return join(opening, say("and the best ask is {} on {}.", ask, facts.venue(ask)))


def _largest_gap(facts: Facts, name: Name) -> Sentence | None:
    rank = facts.ranked("gap", 1)
    gap = facts.get("gap", rank.subject, rank.venue) if rank is not None else None
    if rank is None or gap is None or gap.value == 0:
        return None
    largest = marked("largest", rank, SpanKind.RANK)
    return say("The {} gap of {} is {} on {}; a gap is not a return.", largest, name, gap, facts.venue(gap))


def _live_venues(facts: Facts, subject: str) -> Sentence | None:
    live, quoted_venues, age = (facts.get(m, subject) for m in ("live_venues", "quoted_venues", "quote_age"))
    name = facts.instrument(subject)
    if live is None or quoted_venues is None:
        return None
    if live.value == 0:
        return say("{} has no live source.", name)
    verb = "venues are live" if quoted_venues.value != 1 else "venue is live"
    opening = say(f"{{}} of {{}} {verb} for {{}}", live, quoted_venues, name)
    return (*opening, *(say(" and the newest quote is {} old.", age) if age is not None else say(".")))


# An outcome -------------------------------------------------------------------------------------------------


def _outcome_position(facts: Facts, subject: str) -> tuple[Sentence, Paragraphs]:
    name = facts.instrument(subject)
    stake = next((f for f in facts.all("stake") if f.subject == subject), None)
    edge = _edge_of(facts, subject, stake)
    live = _live_venues(facts, subject)
    dark = bool(live) and facts.number("live_venues", subject) == 0
    body: Paragraphs = [
        _stake(facts, name, stake),
        [_edge(facts, edge), leg_age(facts, edge), verdict(facts, edge)] if edge is not None else [],
        [fair_value(facts, subject), _left_out(facts, subject)],
    ]
    body.insert(1 if dark else len(body), [live])
    body += [[stakes(facts), edge_counts(facts)], [freshness(facts), late_venues(facts)]]
    if stake is None:
        return say("{}: no stake", name), body
    return say("{}: a stake of {} at {}", name, stake, facts.venue(stake)), body


def _edge_of(facts: Facts, subject: str, stake: Fact | None) -> Fact | None:
    """Return the edge that the stake rests on; without a stake, the best there is."""
    edges = [f for f in facts.all("edge") if f.subject == subject]
    at_stake = [f for f in edges if stake is not None and f.venue == stake.venue]
    return next(iter(at_stake or edges), None)


def _stake(facts: Facts, name: Name, stake: Fact | None) -> list[Sentence | None]:
    as_of = facts.get("as_of", FEEDS)
    if as_of is None:
        return []
    if stake is None:
        return [say("As of {} there is no stake on {}.", as_of, name)]
    share, profit, locked, limit = (
        facts.get(m, stake.subject, stake.venue) for m in ("stake_share", "profit", "locked", "limit")
    )
    lead = say("As of {} the stake on {} at {} is {}", as_of, name, facts.venue(stake), stake)
    lead = (*lead, *(say(", {} of the bankroll.", share) if share is not None else say(".")))
    promise = None
    if profit is not None and locked is not None:
        promise = say("It has an expected profit of {} and locks {}.", profit, locked)
    return [lead, promise, say("It is held by the limit {}.", quoted(limit)) if limit is not None else None]


def _edge(facts: Facts, edge: Fact) -> Sentence | None:
    terms, roi = leg_terms(facts, edge.subject, edge.venue), facts.get("roi", edge.subject, edge.venue)
    if terms is None or roi is None:
        return None
    lead = say("At {} the return on capital for {} is {}", facts.venue(edge), facts.name(edge), roi)
    return (*lead, *say(": "), *terms, *say("."))


# Edges ------------------------------------------------------------------------------------------------------


def _edge_headline(facts: Facts) -> Sentence:
    first = best_edge(facts, 1)
    roi = facts.get("tradable_roi", first.subject, first.venue) if first is not None else None
    if not facts.number("n_prices", EDGES):
        return say("No edge is priced")
    if first is None or roi is None:
        return say("No price carries a tradable edge")
    return say(
        "{} has the {} tradable return on capital, {} at {}",
        facts.name(first),
        marked("best", first, SpanKind.RANK),
        roi,
        facts.venue(first),
    )


def _dated_edge_counts(facts: Facts) -> Sentence | None:
    as_of, counts = facts.get("as_of", FEEDS), edge_counts(facts)
    if as_of is None or counts is None:
        return counts
    head = counts[0]
    lowered = Segment(head.text[:1].lower() + head.text[1:], head.fact_id, head.kind)
    return join(say("As of {},", as_of), (lowered, *counts[1:]))


def _stake_on(facts: Facts, leg: Fact) -> Sentence | None:
    stake = facts.get("stake", leg.subject, leg.venue)
    return say("The stake on it is {}.", stake) if stake is not None else None
