"""The verifier's vocabulary: every word and phrase it can read, and what each one says about which facts.

A word that is not here is refused, so this file decides what a text may claim. Entries are written as words
parted by spaces, alternatives by `|`. Only reading.py and verifier.py use it, and names.py to see which names could
be taken for words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from marketstream.market.rationale import EDGES, FEEDS, PORTFOLIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A yes or no that a phrase states: a fact of some subject, and the values or words that make it true.

    `of` is PORTFOLIO, FEEDS or EDGES, or `instrument`, `leg` (instrument and venue) or `venue`.
    """

    of: str
    metric: str
    value: float = 0.0
    text: str = ""
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sense:
    """What a phrase does.

    Attributes:
        before: Metrics of a figure or quotation that follows.
        after: Metrics of a figure that stands directly before.
        whole: In "3 of 16 ...", the metrics of the second figure; `after` are those of the first.
        sign: Direction stated: +1 more, -1 less.
        verb: The direction is a movement "by", "from", "to" figures; else it compares or stands before a name.
        rank: Place claimed by a superlative; -1 for the low end.
        test: What the phrase states by itself.
        each: What it states of every instrument listed after "among them".
        beside: Metrics of which one must be spoken of next to this phrase: what a horizon, a confidence or "after
            fees" belongs to.
        verbal: A verb that says what a figure is ("holds"); it cannot be ranked or move as a noun can.
        looks_ahead: What is spoken of next is looked for after the phrase first; else only before it.
        role: The part of a movement that a figure after this word is.
        lists: The phrase opens a list of names that `each` of an earlier phrase is said of.
        glue: Says nothing by itself.
        pronoun: Stands for the instrument named last.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    sign: int = 0
    verb: bool = False
    rank: int = 0
    test: Test | None = None
    each: Test | None = None
    beside: frozenset[str] = frozenset()
    verbal: bool = False
    looks_ahead: bool = False
    role: str = ""
    lists: bool = False
    glue: bool = False
    pronoun: bool = False


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrases by their words, the longest phrase by its first word, and every single word in them."""

    phrases: Mapping[tuple[str, ...], Sense]
    longest: Mapping[str, int]
    words: frozenset[str] = field(default_factory=frozenset)


GLUE = (
    "a an the and with as on in at for is are has have been that which there this portfolio while also but now stands"
)

_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve dozen hundred thousand million billion "
    "half halves third thirds quarter quarters fifth tenth twice thrice double doubled triple both all every each "
    "most none some many few several any majority minority first percent"
)
NUMBER_WORDS = frozenset(_NUMBER_WORDS.split())


_BEFORE: Mapping[str, str] = {
    "expected return": "expected_return",
    "risk": "risk",
    "worst loss": "worst_loss",
    "turnover": "turnover",
    "cost|costs": "cost",
    "as of": "as_of",
    "weight|weights": "weight",
    "trade": "weight_change",
    "share of the risk": "risk_share",
    "other": "n_other",
    "fair value": "fair",
    "standard deviation": "fair_sd",
    "reference price": "price",
    "best bid": "best_bid",
    "best ask": "best_ask",
    "ask": "ask",
    "bid": "bid",
    "gap": "gap",
    "edge": "edge",
    "return on capital": "roi",
    "tradable return on capital": "tradable_roi",
    "band": "band",
    "stake": "stake",
    "bankroll": "bankroll",
    "expected profit": "stakes_profit profit",
    "largest possible loss": "stakes_loss",
    "oldest live quote": "oldest_age",
    "oldest leg": "leg_age",
    "newest quote": "quote_age",
    "open for": "open_for",
    "held by the limit": "limit",
    "kept by the": "kept_by",
    "the reason is|given": "reason",
    "the optimizer says": "status_reason",
    "the method is": "method",
    "view on": "view",
    "the consensus leaves out": "left_out",
}
"""Nouns and prepositions that say what the figure after them is."""

_VERBS: Mapping[str, str] = {
    "holds|hold": "weight n_held invested",
    "carries|carry": "risk_share",
    "accounts|account for": "weight risk_share",
    "together hold|holds": "other_weight",
    "ranks": "weight_rank",
    "locks|lock": "locked",
    "sum to": "top_risk",
}
"""Verbs that do."""

_AFTER: Mapping[str, str] = {
    "of capital": "weight weight_before turnover other_weight largest_weight",
    "of capital invested": "invested",
    "of the risk": "risk_share top_risk",
    "of the bankroll": "stake_share stakes_share",
    "instrument|instruments": "n_held n_other n_instruments",
    "venue|venues": "n_venues",
    "weight|weights is|are up": "n_up",
    "weight|weights is|are down": "n_down",
    "late quote|quotes": "late",
    "interrupted quote|quotes": "interrupted",
    "largest shares of the risk": "n_top_risk",
    "old": "oldest_age leg_age quote_age",
}
"""Phrases that say what the figure directly before them is."""

_STATEMENTS: tuple[tuple[str, Test], ...] = (
    ("the weights are as given by the caller", Test(of=PORTFOLIO, metric="given", value=1)),
    ("no stake is open", Test(of=PORTFOLIO, metric="n_stakes")),
    ("no view is set", Test(of=PORTFOLIO, metric="n_views")),
    ("no weight is held by a limit", Test(of=PORTFOLIO, metric="n_limited")),
    ("the weights are unchanged", Test(of=PORTFOLIO, metric="n_trades")),
    ("no price carries a tradable edge", Test(of=EDGES, metric="n_tradable")),
    ("no price carries a positive edge", Test(of=EDGES, metric="n_positive")),
    ("no edge is priced", Test(of=EDGES, metric="n_prices")),
    ("no quote has arrived", Test(of=FEEDS, metric="n_quotes")),
    ("no quote is live", Test(of=FEEDS, metric="n_live")),
    ("no quote is late", Test(of=FEEDS, metric="n_late")),
    ("the limits conflict", Test(of=PORTFOLIO, metric="status", text="infeasible")),
    ("the assets have no data", Test(of=PORTFOLIO, metric="status", text="no_data")),
    ("the optimizer failed", Test(of=PORTFOLIO, metric="status", text="failed")),
    ("no limit holds it", Test(of="instrument", metric="n_limits")),
    ("no fair value", Test(of="instrument", metric="n_venues")),
    ("no weight", Test(of="instrument", metric="weight")),
    ("no stake", Test(of="instrument", metric="n_legs")),
    ("no live source", Test(of="instrument", metric="live_venues")),
    ("can be traded", Test(of="leg", metric="tradable", value=1)),
    ("can not be traded", Test(of="leg", metric="tradable")),
    ("cannot be traded", Test(of="leg", metric="tradable")),
    ("no live quote", Test(of="venue", metric="live")),
    ("there are no weights", Test(of=PORTFOLIO, metric="n_held")),
    ("no weights", Test(of=PORTFOLIO, metric="n_held")),
)
"""Phrases that state something without a figure."""


def _metrics(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _figure_senses() -> Iterable[tuple[str, Sense]]:
    """Yield the phrases that say what the figure beside them is."""
    for words, metrics in _BEFORE.items():
        yield words, Sense(before=_metrics(metrics))
    for words, metrics in _VERBS.items():
        yield words, Sense(before=_metrics(metrics), verbal=True)
    over_time = _metrics("expected_return risk worst_loss view")
    yield "per", Sense(before=_metrics("horizon"), beside=over_time)
    yield "over", Sense(before=_metrics("price_window"), beside=_metrics("price"))
    yield "confidence", Sense(before=_metrics("confidence"), beside=_metrics("worst_loss"), looks_ahead=True)
    yield "over the same horizon", Sense(beside=over_time)
    yield "after fees", Sense(beside=_metrics("edge"))
    for words, metrics in _AFTER.items():
        yield words, Sense(after=_metrics(metrics))
    yield "stake|stakes takes|take", Sense(after=_metrics("n_stakes"), before=_metrics("stake_total"))
    for thing, tied in (("instruments", "weight"), ("stakes", "stake")):
        yield (
            f"{thing} share the largest {tied}",
            Sense(after=_metrics(f"n_largest_{tied}"), before=_metrics(f"largest_{tied}")),
        )


def _count_senses() -> Iterable[tuple[str, Sense]]:
    """Yield the phrases behind "3 of 16": what the part is, what the whole."""
    no_source = Test(of="instrument", metric="live_venues")
    limited = Test(of="instrument", metric="n_limits", value=1, at_least=True)
    counts: tuple[tuple[str, str, str, Test | None], ...] = (
        ("quote|quotes is|are live", "n_live", "n_quotes", None),
        ("quote|quotes is|are late", "n_late", "n_quotes", None),
        ("quote|quotes is|are interrupted", "n_interrupted", "n_quotes", None),
        ("venue|venues is|are live", "live_venues", "quoted_venues", None),
        ("instrument|instruments has|have no live source", "n_no_source", "n_instruments", no_source),
        ("instrument|instruments rests|rest on a single venue", "n_single", "n_priced", None),
        ("weight|weights is|are held by a limit", "n_limited", "n_held", limited),
        ("price|prices carries|carry a tradable edge", "n_tradable", "n_prices", None),
        ("price|prices carries|carry a positive edge", "n_positive", "n_prices", None),
        ("instrument|instruments by weight", "weight_rank", "n_held", None),
    )
    for words, part, whole, each in counts:
        yield words, Sense(after=_metrics(part), whole=_metrics(whole), each=each)


def _claim_senses() -> Iterable[tuple[str, Sense]]:
    """Yield the phrases that state something without a figure."""
    for words, test in _STATEMENTS:
        yield words, Sense(test=test)
    unchanged = Test(of="instrument", metric="weight_change")
    yield "weight unchanged", Sense(test=unchanged, before=_metrics("weight"))
    yield "weight is unchanged", Sense(test=unchanged, before=_metrics("weight"))
    yield "among them", Sense(lists=True)
    yield "namely", Sense(lists=True)


def _direction_senses() -> Iterable[tuple[str, Sense]]:
    """Yield words of movement, comparison and rank."""
    yield "rises|rise|climbs|increases|grows", Sense(sign=1, verb=True)
    yield "falls|fall|drops|decreases|shrinks|declines", Sense(sign=-1, verb=True)
    yield "more", Sense(sign=1)
    yield "less", Sense(sign=-1)
    yield "more than its weight", Sense(sign=1, after=_metrics("risk_excess"))
    yield "less than its weight", Sense(sign=-1, after=_metrics("risk_excess"))
    yield "largest|highest|biggest|greatest|best|widest", Sense(rank=1)
    yield "second largest|highest|best|widest", Sense(rank=2)
    yield "third largest|highest|best|widest", Sense(rank=3)
    yield "smallest|lowest|worst|least|narrowest|newest|oldest", Sense(rank=-1)


def _small_words() -> Iterable[tuple[str, Sense]]:
    for word in GLUE.split():
        yield word, Sense(glue=True)
    yield "out of", Sense(glue=True)
    # A definition, true of every sheet.
    yield "a gap is not a return", Sense(glue=True)
    yield "it|its", Sense(glue=True, pronoun=True)
    for word in ("by", "from", "to"):
        yield word, Sense(glue=True, role=word)
    yield "of", Sense(glue=True)


@cache
def lexicon() -> Lexicon:
    """Return the vocabulary, read-only."""
    phrases: dict[tuple[str, ...], Sense] = {}
    for words, sense in itertools.chain(
        _small_words(), _figure_senses(), _count_senses(), _claim_senses(), _direction_senses()
    ):
        for phrase in itertools.product(*(word.split("|") for word in words.split())):
            phrases[phrase] = sense
    longest: dict[str, int] = {}
    for phrase in phrases:
        longest[phrase[0]] = max(longest.get(phrase[0], 0), len(phrase))
    words_known = frozenset(itertools.chain.from_iterable(phrases)) | NUMBER_WORDS
    return Lexicon(phrases=phrases, longest=longest, words=words_known)
