"""What the narrator says about the book as a whole: the portfolio summary and the risk review."""

from __future__ import annotations

from marketstream.market.rationale import FEEDS, Fact, SpanKind
from marketstream.rationale.edge_sentences import edge_counts, fair_value, largest_stake, ranked_edge, stakes
from marketstream.rationale.prose import Facts, Sentence, join, marked, plural, quoted, say, unsigned
from marketstream.rationale.sentences import (
    dark_instruments,
    feeds_are_sound,
    freshness,
    given,
    held,
    late_venues,
    limits,
    moved,
    no_weights,
    outlook,
    status_words,
    worst_loss,
)

Paragraphs = list[list[Sentence | None]]


def summary(facts: Facts) -> tuple[Sentence, Paragraphs]:
    """Return headline and paragraphs of a portfolio summary, most important first."""
    feeds = [freshness(facts), late_venues(facts), dark_instruments(facts)]
    bets = [stakes(facts), largest_stake(facts), edge_counts(facts)]
    if not facts.number("n_held"):
        return _headline_without_weights(facts), [[no_weights(facts)], feeds, bets, [ranked_edge(facts, 1)]]
    body: Paragraphs = [
        [held(facts), given(facts), outlook(facts), worst_loss(facts)],
        _trades(facts),
        [*_largest_weights(facts), limits(facts)],
        bets,
        [] if facts.number("n_stakes") else [ranked_edge(facts, 1)],
    ]
    # Trouble with the feeds comes before everything that was made of them, but for the book itself.
    body.insert(len(body) if feeds_are_sound(facts) else 1, feeds)
    return _headline(facts), body


def risk_review(facts: Facts) -> tuple[Sentence, Paragraphs]:
    """Return headline and paragraphs of a risk review, most important first."""
    feeds = [freshness(facts), late_venues(facts), dark_instruments(facts)]
    bets = [stakes(facts), largest_stake(facts, terms=False)]
    values = [_widest_band(facts), _single_sources(facts)]
    if not facts.number("n_held"):
        return _headline_without_weights(facts), [[no_weights(facts)], feeds, bets, values]
    body: Paragraphs = [
        [_risk(facts) or held(facts), given(facts), worst_loss(facts)],
        [*_risk_shares(facts), _top_risk(facts)],
        [limits(facts)],
        bets,
        values,
    ]
    body.insert(len(body) if feeds_are_sound(facts) else 1, feeds)
    return _risk_headline(facts), body


def background(facts: Facts) -> list[Sentence | None]:
    """Return what else may fill a short text, most important first."""
    return [
        held(facts, dated=False),
        outlook(facts),
        freshness(facts),
        edge_counts(facts),
        stakes(facts),
        _single_sources(facts),
        ranked_edge(facts, 1),
        worst_loss(facts),
        _method(facts),
        _feed_counts(facts),
    ]


def _method(facts: Facts) -> Sentence | None:
    method = facts.get("method")
    return say("The method is {}.", quoted(method)) if method is not None else None


def _feed_counts(facts: Facts) -> Sentence | None:
    late, interrupted, total = (facts.get(m, FEEDS) for m in ("n_late", "n_interrupted", "n_quotes"))
    if late is None or interrupted is None or total is None or total.value == 0:
        return None
    verbs = [plural(fact, "quote is", "quotes are") for fact in (late, interrupted)]
    return say(f"{{}} {verbs[0]} late and {{}} {verbs[1]} interrupted.", late, interrupted)


# Headlines --------------------------------------------------------------------------------------------------


def _headline(facts: Facts) -> Sentence:
    up, down = _strongest(facts, 1), _strongest(facts, -1)
    if up is not None and down is not None:
        trade = say("{} {}, {} {}", marked("More", up), facts.name(up), marked("less", down), facts.name(down))
    elif up is not None:
        trade = say("{} {}", marked("More", up), facts.name(up))
    elif down is not None:
        trade = say("{} {}", marked("Less", down), facts.name(down))
    elif facts.get("n_trades") is not None:
        trade = say("The weights are unchanged")
    else:
        trade = _largest_headline(facts)
    return join(trade, _second_headline(facts), by="; ")


def _largest_headline(facts: Facts) -> Sentence:
    first = facts.ranked("weight", 1)
    weight = facts.get("weight", first.subject) if first is not None else None
    if first is None or weight is None:
        return say("The weights are as given by the caller")
    return say(
        "{} has the {} weight, {} of capital", facts.name(first), marked("largest", first, SpanKind.RANK), weight
    )


def _second_headline(facts: Facts) -> Sentence | None:
    if not facts.number("n_live", FEEDS):
        return say("no quote is live")
    n_limited, n_stakes, total = facts.get("n_limited"), facts.get("n_stakes"), facts.get("stake_total")
    if n_limited is not None and n_limited.value:
        return say(f"{{}} {plural(n_limited, 'weight is', 'weights are')} held by a limit", n_limited)
    if n_stakes is not None and n_stakes.value and total is not None:
        return say(f"{{}} {plural(n_stakes, 'stake takes', 'stakes take')} {{}}", n_stakes, total)
    return None


def _headline_without_weights(facts: Facts) -> Sentence:
    why = status_words(facts)
    return join(say(f"No weights: {why}" if why else "No weights"), _second_headline(facts), by="; ")


def _risk_headline(facts: Facts) -> Sentence:
    risk, horizon, first = facts.get("risk"), facts.get("horizon"), facts.ranked("risk_share", 1)
    if risk is None or horizon is None:
        return _headline(facts)
    lead = say("Risk of {} per {}", risk, horizon)
    if first is None:
        return lead
    share = say("{} has the {} share of the risk", facts.name(first), marked("largest", first, SpanKind.RANK))
    return join(lead, share, by="; ")


# Weights and trades -----------------------------------------------------------------------------------------


def _strongest(facts: Facts, sign: int) -> Fact | None:
    changes = [f for f in facts.all("weight_change") if f.value * sign > 0]
    return max(changes, key=lambda f: abs(f.value), default=None)


def _trades(facts: Facts) -> list[Sentence | None]:
    if facts.get("n_trades") is None:
        return []
    if not facts.number("n_trades"):
        return [say("The weights are unchanged.")]
    first = facts.ranked("weight_change", 1)
    lead = first.subject if first is not None else None
    sentences: list[Sentence | None] = []
    if first is not None:
        largest = marked("largest", first, SpanKind.RANK)
        opening = say("The {} trade is {}: its weight", largest, facts.name(first))
        sentences.append(moved(facts, first.subject, opening))
    for sign in (1, -1):
        change = _strongest(facts, sign)
        if change is not None and change.subject != lead:
            sentences.append(moved(facts, change.subject, say("The weight of {}", facts.name(change))))
    return [*sentences, _counts(facts), _turnover(facts)]


def _counts(facts: Facts) -> Sentence | None:
    up, down = facts.get("n_up"), facts.get("n_down")
    if up is None or down is None or up.value + down.value <= 2:
        return None
    rising, falling = (plural(fact, "weight is", "weights are") for fact in (up, down))
    return say(f"{{}} {rising} up and {{}} {falling} down.", up, down)


def _turnover(facts: Facts) -> Sentence | None:
    turnover, cost = facts.get("turnover"), facts.get("cost")
    if turnover is None or cost is None:
        return None
    return say("The turnover is {} of capital at a cost of {}.", turnover, cost)


def _largest_weights(facts: Facts) -> list[Sentence | None]:
    first, riskiest = facts.ranked("weight", 1), facts.ranked("risk_share", 1)
    if first is None:
        n, size = facts.get("n_largest_weight"), facts.get("largest_weight")
        tied = n is not None and size is not None and n.value > 1
        lead = say("{} instruments share the largest weight, {} of capital.", n, size) if tied and n and size else None
        return [lead, _riskiest(facts, riskiest)]
    weight = facts.get("weight", first.subject)
    if weight is None:
        return []
    lead = say(
        "{} has the {} weight, {} of capital", facts.name(first), marked("largest", first, SpanKind.RANK), weight
    )
    return [(*lead, *_risk_clause(facts, first, riskiest)), _other_weights(facts, first)]


def _risk_clause(facts: Facts, first: Fact, riskiest: Fact | None) -> Sentence:
    share = facts.get("risk_share", riskiest.subject) if riskiest is not None else None
    if riskiest is None or share is None:
        return say(".")
    largest = marked("largest", riskiest, SpanKind.RANK)
    if riskiest.subject == first.subject:
        return say(", and the {} share of the risk, {}.", largest, share)
    return say(", and {} the {} share of the risk, {}.", facts.name(riskiest), largest, share)


def _riskiest(facts: Facts, rank: Fact | None) -> Sentence | None:
    share = facts.get("risk_share", rank.subject) if rank is not None else None
    if rank is None or share is None:
        return None
    largest = marked("largest", rank, SpanKind.RANK)
    return say("{} has the {} share of the risk, {}.", facts.name(rank), largest, share)


def _other_weights(facts: Facts, first: Fact) -> Sentence | None:
    """Say the next two weights and what is left, so that the weights named add up to all that is held."""
    weights = sorted((f for f in facts.all("weight") if f.value > 0), key=lambda f: -f.value)
    others = [f for f in weights if f.subject != first.subject][:2]
    n, rest = facts.get("n_other"), facts.get("other_weight")
    clauses = [say("{} holds {}", facts.name(f), f) for f in others]
    if n is not None and rest is not None and n.value > 1:
        clauses.append(say("the other {} instruments together hold {}", n, rest))
    if not clauses:
        return None
    return (*join(join(*clauses[:-1], by=", "), clauses[-1], by=" and "), *say("."))


# Risk -------------------------------------------------------------------------------------------------------


def _risk(facts: Facts) -> Sentence | None:
    as_of, risk, horizon, expected = (
        facts.get("as_of", FEEDS),
        *(facts.get(m) for m in ("risk", "horizon", "expected_return")),
    )
    if as_of is None or risk is None or horizon is None or expected is None:
        return None
    return say("As of {} the risk is {} per {} and the expected return is {}.", as_of, risk, horizon, expected)


def _risk_shares(facts: Facts) -> list[Sentence | None]:
    shares = sorted((f for f in facts.all("risk_share") if f.value > 0), key=lambda f: -f.value)[:3]
    sentences: list[Sentence | None] = []
    for share in shares:
        weight, name = facts.get("weight", share.subject), facts.name(share)
        if weight is None:
            continue
        rank = facts.get("risk_share_rank", share.subject)
        if rank is not None and rank.value == 1:
            largest = marked("largest", rank, SpanKind.RANK)
            lead = say("{} has the {} share of the risk, {}, on a weight of {}", name, largest, share, weight)
        else:
            lead = say("{} carries {} of the risk on a weight of {}", name, share, weight)
        sentences.append((*lead, *(excess(facts, share.subject, ": ") if not sentences else ()), *say(".")))
    return sentences


def excess(facts: Facts, subject: str, by: str) -> Sentence:
    """Return a clause that compares an instrument's share of the risk with its weight, empty when they are equal."""
    gap = facts.get("risk_excess", subject)
    if gap is None or gap.value == 0:
        return ()
    word = marked("more than its weight" if gap.value > 0 else "less than its weight", gap)
    return (*say(by), *say("{} {}", unsigned(gap), word))


def _top_risk(facts: Facts) -> Sentence | None:
    n, total = facts.get("n_top_risk"), facts.get("top_risk")
    if n is None or total is None:
        return None
    return say("The {} largest shares of the risk sum to {}.", n, total)


def _widest_band(facts: Facts) -> Sentence | None:
    band = next(iter(facts.all("band")), None)
    rank = facts.ranked("band", 1)
    if band is None or rank is None:
        return None
    widest = marked("widest", rank, SpanKind.RANK)
    return join(say("{} has the {} band, {}.", facts.name(band), widest, band), fair_value(facts, band.subject))


def _single_sources(facts: Facts) -> Sentence | None:
    single, priced = facts.get("n_single", FEEDS), facts.get("n_priced", FEEDS)
    if single is None or priced is None or priced.value == 0:
        return None
    verb = plural(single, "rests", "rest")
    return say(f"{{}} of {{}} instruments {verb} on a single venue.", single, priced)
