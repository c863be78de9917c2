"""The cards about the selected instrument: figures and chart, quotes by venue, events, errors against the truth."""

from __future__ import annotations

import numpy as np
import panel_material_ui as pmui

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card, empty
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.theme import venue_token
from marketstream.dashboard.views.chart import PriceChart
from marketstream.dashboard.views.distribution import histogram, histogram_pane
from marketstream.dashboard.views.market_rows import change_over, state_dot
from marketstream.dashboard.views.view import Context, Moment
from marketstream.market.events import Topic
from marketstream.market.instruments import Instrument, Kind
from marketstream.market.quotes import QuoteState

EVENT_WINDOW_NS = 15 * 60 * 1_000_000_000
MIN_ERRORS = 20


class InstrumentCard:
    """Four figures and the price by venue with fair value and band."""

    title = "Instrument"

    def __init__(self, context: Context) -> None:
        self._choices = context.choices
        self._trail = context.trail
        self._figures = text.pane(css=_FIGURES)
        self._legend = text.pane(css=_LEGEND)
        self.chart = PriceChart(context)
        self._card = Card("Instrument", "", self._figures, self._legend, self.chart.pane)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring figures and chart up to `moment`."""
        market = moment.snapshot.market
        code = market.catalog.code(self._choices.instrument)
        instrument = market.catalog.instruments[code]
        unit = unit_of(instrument)
        self._card.head(f"price by venue, {unit}", self._method(moment, code), title=instrument.name)
        text.show(self._figures, self._four(moment, code, instrument, unit))
        if self.chart.refresh(moment, code):
            text.show(self._legend, self.chart.legend())

    def _four(self, moment: Moment, code: int, instrument: Instrument, unit: str) -> Markup:
        market = moment.snapshot.market
        fair, sd = (float(moment.snapshot.fair[c].iloc[code]) for c in ("fair", "fair_sd"))
        best = market.best[code]
        spread = float(best["spread"])
        spread_bps = spread / float(best["mid"]) * 1e4 if best["mid"] > 0 else np.nan
        change = float(change_over(market, 60)[code]) * 100
        z = float(self._trail.z_change[code]) if code < len(self._trail.z_change) else np.nan
        dp = instrument.decimals
        band = formats.number(sd, formats.uncertainty_decimals(dp, sd))
        return markup(
            '<div class="four"><div><span>Fair value, {unit}</span><p class="big">{fair} <s>± {band}</s></p></div>'
            "<div><span>Spread, bps</span><p>{spread}</p></div>"
            "<div><span>z change, sd</span><p>{z}</p></div>"
            "<div><span>60 s, %</span><p>{change}</p></div></div>",
            unit=unit,
            fair=formats.number(fair, dp),
            band=band,
            spread=formats.number(spread_bps, 1),
            z=formats.number(z, 1, signed=True),
            change=formats.moved(change, 2),
        )

    @staticmethod
    def _method(moment: Moment, code: int) -> Markup:
        return markup("{method}", method=moment.snapshot.fair["method"].iloc[code])


class QuotesCard:
    """The newest quote of each venue, with its age, its gap, its source and why it is left out."""

    title = "Quotes"

    def __init__(self, context: Context) -> None:
        self._choices = context.choices
        self._body = text.pane()
        self._card = Card("Quotes", "", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to `moment`."""
        snapshot = moment.snapshot
        market = snapshot.market
        code = market.catalog.code(self._choices.instrument)
        instrument = market.catalog.instruments[code]
        venues = np.flatnonzero(market.book["state"][code] != QuoteState.NO_DATA)
        used, left_out = int(snapshot.fair["n_venues"].iloc[code]), str(snapshot.fair["left_out"].iloc[code])
        self._card.head(f"{instrument.name}, newest per venue", f"{used} of {len(venues)} used")
        if not len(venues):
            text.show(self._body, empty("No venue has quoted this yet."))
            return
        gaps = _gaps(moment, code)
        rows = join(self._row(moment, code, int(venue), gaps) for venue in venues)
        why = markup('<p class="note small">Left out: {why}</p>', why=left_out) if left_out else ""
        text.show(
            self._body,
            markup(
                '<div class="scroll"><table><thead><tr><th scope="col">Venue</th><th class="num">Bid {unit}</th>'
                '<th class="num">Ask {unit}</th><th class="num">Size</th><th class="num">Age s</th>'
                '<th class="num">Gap bps</th><th>Source</th></tr></thead><tbody>{rows}</tbody></table></div>{why}',
                unit=unit_of(instrument, short=True),
                rows=rows,
                why=why,
            ),
        )

    @staticmethod
    def _row(moment: Moment, code: int, venue: int, gaps: dict[int, float]) -> Markup:
        market = moment.snapshot.market
        quote, place = market.book[code, venue], market.catalog.venues[venue]
        age_s = float(market.age_ns[code, venue]) / 1e9
        dot, words = state_dot(int(market.state[code, venue]), age_s)
        dp = market.catalog.instruments[code].decimals
        size = quote["bid_size"] if np.isnan(quote["ask"]) else quote["ask_size"]
        live = bool(market.fresh[code, venue])
        return markup(
            '<tr class="{dim}"><td title="{name}: {words}"><span class="dot dot-{dot}" role="img" '
            'aria-label="{words}"></span> <b>{place}</b></td><td class="num">{bid}</td><td class="num">{ask}</td>'
            '<td class="num">{size}</td><td class="num"><span class="{late}">{age}</span></td>'
            '<td class="num">{gap}</td><td class="source" title="{source}">{source}</td></tr>',
            dim="" if live else "dim",
            name=place.name,
            words=words,
            dot=dot,
            place=place.code,
            bid=formats.number(float(quote["bid"]), dp),
            ask=formats.number(float(quote["ask"]), dp),
            size=formats.number(float(size), size_decimals(float(size))),
            late=formats.age_class(age_s),
            age=formats.age(age_s),
            gap=formats.moved(gaps.get(venue), 1),
            source=market.catalog.providers[int(quote["provider"])],
        )


class EventsCard:
    """What happened to the selected instrument and to the feeds in the last 15 minutes."""

    title = "Events"

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._choices = context.choices
        self._body = text.pane()
        self._card = Card("Events", "last 15 min, UTC", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the list up to `moment`, newest first."""
        now = moment.snapshot.now
        chosen = self._choices.instrument
        recent = [
            event
            for event in self._engine.events
            if now - EVENT_WINDOW_NS <= event.ts <= now
            and (event.topic is not Topic.MARKET_DELTA or event.subject == chosen)
        ][-6:][::-1]
        self._card.head("last 15 min, UTC", f"{len(recent)} newest" if recent else "")
        rows = join(
            markup(
                '<tr><td class="muted when">{when}</td><td class="wrap" title="{topic}"><b>{who}</b> {what}</td></tr>',
                when=formats.clock(e.ts),
                topic=e.topic.value,
                who=e.subject,
                what=e.message,
            )
            for e in recent
        )
        text.show(
            self._body,
            markup("<table><tbody>{rows}</tbody></table>", rows=rows)
            if recent
            else markup('<p class="note">Nothing has happened: no feed was lost, none came back.</p>'),
        )


class ErrorsCard:
    """How far the fair value was from the truth, where a simulation knows it; drawn on selection."""

    title = "Fair-value errors"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pane = histogram_pane("Distribution of fair-value errors")
        self._words = text.pane()
        self._again = pmui.Button(
            label="Update",
            variant="text",
            size="small",
            height=24,
            width=64,
            margin=(0, 6, 0, 0),
            on_click=lambda _: self._forget(),
        )
        self._card = Card("Fair-value errors", "", self._words, self._pane, actions=(self._again,))
        self.view = self._card.view
        self._drawn: tuple[str, bool] | None = None

    def refresh(self, moment: Moment) -> None:
        """Draw the distribution if another instrument or mode was chosen."""
        # A recording of simulated prices holds no truth.
        self.view.visible = has_truth = moment.status.simulated and moment.status.replay is None
        wanted = (self._context.choices.instrument, self._context.choices.dark)
        if not has_truth or wanted == self._drawn:
            return
        code = moment.snapshot.market.catalog.code(wanted[0])
        instrument = moment.snapshot.market.catalog.instruments[code]
        path = self._context.trail.path(code)
        with np.errstate(invalid="ignore", divide="ignore"):
            errors = (path.fair - path.truth) / path.fair_sd
        known = np.isfinite(errors)
        n = int(known.sum())
        self._card.head(f"{instrument.name} · fair value minus the simulator's true price")
        if n < MIN_ERRORS:
            text.show(
                self._words,
                markup(
                    '<p class="note">{n} of the {least} seconds needed; drawn as soon as they are there.</p>',
                    n=n,
                    least=MIN_ERRORS,
                ),
            )
            return
        self._drawn = wanted
        inside = float(np.mean(np.abs(errors[known]) <= 1))
        text.show(
            self._words,
            markup(
                '<p class="note small">Last {n} s, one look a second. Within ±1 stated sd: <b>{inside} %</b> '
                "(68 % if the band is right and the law normal).</p>",
                n=n,
                inside=formats.number(inside * 100, 0),
            ),
        )
        self._pane.object = histogram(errors, dark=wanted[1], axis="error ÷ stated standard deviation", mark=0.0)

    def _forget(self) -> None:
        self._drawn = None
        self._context.touch()


def unit_of(instrument: Instrument, *, short: bool = False) -> str:
    """Return the unit of an instrument's prices."""
    if instrument.kind is Kind.ASSET:
        return instrument.quote_currency
    return "prob" if short else "probability"


def size_decimals(size: float) -> int:
    """Return decimals of a size, so that about four figures show."""
    return 0 if size >= 1000 or size == int(size) else 1 if size >= 100 else 2 if size >= 10 else 3


def _gaps(moment: Moment, code: int) -> dict[int, float]:
    """Return the gap in bps by venue code; empty for outcomes."""
    found = moment.snapshot.after.edges
    if found is None:
        return {}
    at = np.flatnonzero(found.rows.instrument == code)
    gaps = moment.snapshot.edges["gap_bps"].to_numpy()[at]
    return dict(zip(found.rows.venue[at].tolist(), gaps.tolist(), strict=True))


_FIGURES = """
.four { display: flex; gap: 8px 14px; padding: 8px 10px 2px; justify-content: space-between; }
.four > div > span { font-size: 11px; color: var(--ms-ink3); } .four p { font-size: 13px; margin-top: 2px; }

.four > div { white-space: nowrap; } .four p.big { font-size: 18px; margin-top: -1px; }
.four s { text-decoration: none; font-size: 11px; color: var(--ms-ink3); }
.four p .muted { color: var(--ms-ink); }
"""
_LEGEND = """
.legend { display: flex; gap: 2px 12px; flex-wrap: wrap; padding: 4px 10px 0; font-size: 11px; color: var(--ms-ink2); }
.legend span { white-space: nowrap; } .legend i { display: inline-block; width: 16px; height: 0; margin-right: 5px;
  vertical-align: middle; border-top: 2px solid var(--ms-ink); }
.legend i.band { height: 9px; background: color-mix(in srgb, var(--ms-ink) 12%, transparent);
  border-top: 0; box-shadow: inset 0 4px 0 -2px var(--ms-ink); }
.legend i.past { border-top: 1px solid var(--ms-ink3); }
.legend i.lost, .legend i.back { width: 8px; height: 8px; border: 1.5px solid var(--ms-warnfill);
  transform: rotate(45deg); background: var(--ms-warnfill); } .legend i.back { background: none; }
""" + "\n".join(
    f".legend i.d{n} {{ border-top: 2px {style} var(--ms-{venue_token(n)}); }}"
    for n, style in enumerate(("solid", "dashed", "dotted", "double", "dotted"))
)
