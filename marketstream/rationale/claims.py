"""Claims: what a text says about whom, found token by token and held against the facts. Part of the verifier.

Every figure, direction, rank and statement is bound to a metric, a subject and a venue by the words around it,
the way a reader does, and then looked up. Tokens that a supported claim rests on are marked as used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from marketstream.market.rationale import FEEDS, Fact, FactSheet, Issue, IssueKind, fact_id
from marketstream.rationale.binding import NOTHING, WHOLE, Binding, is_name, key_of, same_unit, shows, sign_of
from marketstream.rationale.lexicon import Sense, Test
from marketstream.rationale.reading import Token, TokenKind

_JOINS = ("and", "while", "that")


class Claims:
    """Check the claims of one text, clause by clause in reading order; `issues` holds what failed."""

    def __init__(self, sheet: FactSheet) -> None:
        self.issues: list[Issue] = []
        self._facts = sheet.by_id()
        self._clause: Sequence[Token] = ()
        self._binding = Binding(sheet)
        self._each: Test | None = None
        self._listed: set[str] = set()
        self._quote_cue: Token | None = None

    def start_paragraph(self) -> None:
        """Forget the topic: every paragraph names its own."""
        self._binding.forget()
        self.start_sentence()

    def start_sentence(self) -> None:
        """Forget what a list would be about."""
        self._each = self._quote_cue = None
        self._listed = set()

    def check(self, clause: Sequence[Token]) -> None:
        """Check one clause: tokens with no full stop, colon, semicolon or line end among them."""
        self._clause = self._binding.clause = clause
        listing = False
        for i, token in enumerate(clause):
            sense = token.sense or NOTHING
            if token.kind is TokenKind.NUMBER:
                self._check_number(i)
            elif token.kind is TokenKind.TIME:
                self._check_time(i)
            elif token.kind is TokenKind.QUOTE:
                self._check_quote(i)
            elif token.kind is TokenKind.NAME and listing:
                self._check_listed(token)
            elif sense.rank:
                self._check_rank(i)
            elif sense.sign and not sense.verb and not sense.after:
                self._check_more_of(i)
            if sense.test is not None:
                self._check_test(i, sense.test)
            if sense.beside and not sense.before and self._binding.is_beside(token):
                token.used = True
            self._each = sense.each or self._each
            self._quote_cue = token if sense.before else self._quote_cue
            if sense.lists and self._each is not None and i + 1 < len(clause):
                listing = token.used = is_name(clause[i + 1], "instrument")
        self._binding.end_clause()

    # Figures ------------------------------------------------------------------------------------------------

    def _check_number(self, i: int) -> None:
        token = self._clause[i]
        movement = self._movement(i)
        if movement is not None:
            verb, phrase, metrics = movement
            self._check_moved(i, verb, phrase, metrics)
            return
        left, right, metrics = self._cues(i)
        if left is not None and not self._binding.is_beside(left):
            self._refuse(IssueKind.WRONG_METRIC, token, f"{left.text!r} does not belong to what is spoken of here")
            return
        if not metrics:
            kind = IssueKind.WRONG_METRIC if left or right else IssueKind.UNSUPPORTED_NUMBER
            self._refuse(kind, token, "no word says what this figure is, or two words say different things")
            return
        sign = right.sense.sign if right is not None and right.sense is not None else 0
        if self._settle(i, metrics, sign):
            for cue in (left, right):
                if cue is not None:
                    cue.used = True
            if sign and right is not None:
                right.fact_ids += token.fact_ids

    def _cues(self, i: int) -> tuple[Token | None, Token | None, frozenset[str]]:
        """Return the words left and right that say what figure i is, and the metrics that both allow."""
        left = self._binding.left_cue(i)
        right, metrics = self._right_cue(i)
        if left is not None and left.sense is not None:
            metrics = left.sense.before & metrics if right is not None else left.sense.before
        if self._clause[i].unit == "standard errors" and right is None:
            # The unit itself says what it is.
            left, metrics = None, frozenset({"edge_ratio"})
        return left, right, metrics

    def _right_cue(self, i: int) -> tuple[Token | None, frozenset[str]]:
        following = self._clause[i + 1 :]
        if following and (following[0].sense or NOTHING).after:
            sense = following[0].sense or NOTHING
            is_whole = sense.whole and self._binding.is_of_number(i)
            if self._says_all(i) and sense.whole:
                self._check_all(i, sense)
            return following[0], sense.whole if is_whole else sense.after
        # "3 of 16 weights ...": the part is told by the words after the whole.
        rest = [t for t in following[:4] if t.text != "the"]
        if len(rest) >= 3 and rest[0].text == "of" and rest[1].kind is TokenKind.NUMBER:
            sense = rest[2].sense or NOTHING
            if sense.whole:
                return rest[2], sense.after
        return None, frozenset()

    def _says_all(self, i: int) -> bool:
        return i > 0 and self._clause[i - 1].text.lower() == "all"

    def _check_all(self, i: int, sense: Sense) -> None:
        # "all 64 quotes are live" holds when part and whole are the same number.
        part, whole = (
            {f.value for m in metrics for f in self._binding.facts_of(m)} for metrics in (sense.after, sense.whole)
        )
        if len(part) == 1 and part == whole:
            self._clause[i - 1].used = True

    def _settle(self, i: int, metrics: frozenset[str], sign: int) -> bool:
        """Bind figure i to one fact of these metrics; say what is wrong when it is not that fact's value."""
        token = self._clause[i]
        pool, mentions = self._binding.pool(i, metrics)
        if len(pool) == 1 and shows(token, pool[0], sign):
            self._accept(token, pool[0].id, mentions)
            return True
        if len(pool) > 1:
            self._refuse(IssueKind.WRONG_METRIC, token, f"could be any of {', '.join(f.id for f in pool[:4])}")
        else:
            self._refuse(*self._diagnose(token, pool, metrics, sign))
        return False

    def _diagnose(
        self, token: Token, pool: Sequence[Fact], metrics: frozenset[str], sign: int
    ) -> tuple[IssueKind, Token, str]:
        expected = f"the sheet has {pool[0].id} = {pool[0].value:.{pool[0].decimals}f} {pool[0].unit}" if pool else ""
        for fact in pool:
            if Decimal(repr(abs(fact.value))) == token.value:
                if not same_unit(token, fact):
                    return IssueKind.WRONG_UNIT, token, expected
                if token.decimals == fact.decimals:
                    return (IssueKind.WRONG_DIRECTION if sign else IssueKind.WRONG_SIGN), token, expected
        fits = [f for f in self._facts.values() if shows(token, f, sign)]
        subjects = {f.subject for f in pool}
        for kind, found in (
            (IssueKind.WRONG_VENUE, any(f.metric in metrics and f.subject in subjects for f in fits)),
            (IssueKind.SWAPPED_SUBJECT, any(f.metric in metrics for f in fits)),
            (IssueKind.WRONG_METRIC, any(f.subject in subjects for f in fits)),
        ):
            if found:
                return kind, token, expected or "the sheet says this of another subject, venue or metric"
        return IssueKind.UNSUPPORTED_NUMBER, token, expected or "the sheet has no such fact"

    def _check_time(self, i: int) -> None:
        token, cue = self._clause[i], self._binding.left_cue(i)
        metrics = cue.sense.before if cue is not None and cue.sense is not None else frozenset()
        facts = [f for m in metrics for f in self._binding.facts_of(m) if f.unit == "UTC" and f.text == token.text]
        if cue is None or not facts:
            self._refuse(IssueKind.WRONG_TIME, token, "not a time on the sheet, or not said to be what it is")
            return
        cue.used = True
        self._accept(token, facts[0].id, ())

    # Movements: "the weight of X rises by A from B to C" ------------------------------------------------------

    def _movement(self, i: int) -> tuple[Token, Token | None, frozenset[str]] | None:
        """Return verb, metric phrase and metrics of the movement that figure i belongs to, if any."""
        role = (self._clause[i - 1].sense or NOTHING).role if i else ""
        if not role:
            return None
        k = i - 1
        while k >= 0 and not (self._clause[k].sense or NOTHING).verb:
            sense = self._clause[k].sense or NOTHING
            if not (sense.role or sense.after or self._clause[k].kind is TokenKind.NUMBER):
                return None
            k -= 1
        if k < 0:
            return None
        phrase = self._binding.left_cue(k)
        noun = phrase.sense if phrase is not None and phrase.sense is not None else NOTHING
        base = frozenset() if noun.verbal else noun.before
        suffix = {"by": "_change", "from": "_before", "to": ""}[role]
        return self._clause[k], phrase, frozenset(m + suffix for m in base)

    def _check_moved(self, i: int, verb: Token, phrase: Token | None, metrics: frozenset[str]) -> None:
        sense = verb.sense or NOTHING
        base = phrase.sense.before if phrase is not None and phrase.sense is not None else frozenset()
        changes, _ = self._binding.pool(i, frozenset(m + "_change" for m in base))
        if len(changes) != 1 or sign_of(changes[0].value) != sense.sign:
            self._refuse(IssueKind.WRONG_DIRECTION, verb, "the sheet has no such movement")
            return
        right = self._clause[i + 1] if i + 1 < len(self._clause) else None
        after = (right.sense or NOTHING).after if right is not None else frozenset()
        by = self._clause[i - 1].text == "by"
        if self._settle(i, metrics & after if after else metrics, sense.sign if by else 0):
            verb.fact_ids.append(changes[0].id)
            for used in (verb, phrase, right if after else None):
                if used is not None:
                    used.used = True

    def _check_more_of(self, i: int) -> None:
        token, sense = self._clause[i], self._clause[i].sense or NOTHING
        name = self._clause[i + 1] if i + 1 < len(self._clause) else None
        if name is not None and is_name(name, "instrument") and name.name is not None:
            fact = self._facts.get(fact_id(name.name.key, "weight_change"))
            if fact is not None and sign_of(fact.value) == sense.sign:
                self._accept(token, fact.id, (name,))

    # Ranks, statements, quotations ---------------------------------------------------------------------------

    def _check_rank(self, i: int) -> None:
        token = self._clause[i]
        phrase = self._clause[i + 1] if i + 1 < len(self._clause) else None
        noun = phrase.sense if phrase is not None and phrase.sense is not None else NOTHING
        metrics = frozenset() if noun.verbal else noun.before
        pool, mentions = self._binding.pool(i, frozenset(f"{m}_rank" for m in metrics))
        rank = (token.sense or NOTHING).rank
        if phrase is not None and len(pool) == 1 and pool[0].value == rank:
            phrase.used = True
            self._accept(token, pool[0].id, mentions)

    def _check_test(self, i: int, test: Test) -> None:
        token = self._clause[i]
        mentions: list[Token] = []
        if test.of in WHOLE:
            if not self._stands_alone(i):
                return
            key = fact_id(test.of, test.metric)
        else:
            subject = self._binding.subject(i) if test.of != "venue" else None
            venue = self._binding.venue(i) if test.of != "instrument" else None
            mentions = [t for t in (subject, venue) if t is not None]
            of = FEEDS if test.of == "venue" else key_of(subject) or ""
            key = fact_id(of, test.metric, key_of(venue) if test.of != "instrument" else None)
        if self._holds(key, test):
            self._accept(token, key, mentions)
        else:
            self._refuse(IssueKind.UNSUPPORTED_CLAIM, token, "the sheet does not support this here")

    def _stands_alone(self, i: int) -> bool:
        """Return whether a phrase that is a whole statement has nothing on either side that would bend it."""
        before = self._clause[i - 1] if i else None
        after = self._clause[i + 1] if i + 1 < len(self._clause) else None
        opens = before is None or before.kind in (TokenKind.COMMA, TokenKind.TIME) or before.text in _JOINS
        closes = after is None or after.kind is TokenKind.COMMA or after.text in (*_JOINS, "as of")
        return opens and closes

    def _check_listed(self, token: Token) -> None:
        if self._each is None or token.name is None or token.name.key in self._listed:
            return
        self._listed.add(token.name.key)
        key = fact_id(token.name.key, self._each.metric)
        if self._holds(key, self._each):
            self._accept(token, key, ())

    def _holds(self, key: str, test: Test) -> bool:
        fact = self._facts.get(key)
        if fact is None:
            return False
        if test.text:
            return fact.text == test.text
        return fact.value >= test.value if test.at_least else fact.value == test.value

    def _check_quote(self, i: int) -> None:
        token, cue = self._clause[i], self._binding.left_cue(i) or self._quote_cue
        if cue is None or cue.sense is None:
            return
        pool, mentions = self._binding.pool(i, cue.sense.before)
        words = token.text.strip("“”")
        if len(pool) == 1 and pool[0].unit == "text" and pool[0].text == words:
            cue.used = True
            self._accept(token, pool[0].id, mentions)

    def _accept(self, token: Token, fact: str, mentions: Iterable[Token]) -> None:
        token.used = True
        token.fact_ids.append(fact)
        for mention in mentions:
            mention.used = True

    def _refuse(self, kind: IssueKind, token: Token, why: str) -> None:
        token.used = True
        message = f"{token.text!r}: {why}"
        self.issues.append(Issue(kind=kind, start=token.start, end=token.end, message=message))
