"""The tables of weights and stakes; what is shown adds up to the sums shown under it."""

from __future__ import annotations

import numpy as np

from marketstream.dashboard import formats
from marketstream.dashboard.text import Markup, join, markup
from marketstream.market.allocation import Allocation
from marketstream.market.catalog import Catalog

SHOWN_FROM = 0.0005
"""Weights below this share of the capital show as 0.0 % and are summed up in one row."""


def weights_table(book: Allocation, catalog: Catalog) -> Markup:
    """Return the weights, largest target first; the parts of every column add up to its sum as shown."""
    frame = book.frame[book.frame.index.get_level_values("venue") == ""]
    now, target = frame["current"].to_numpy() * 100, frame["target"].to_numpy() * 100
    risk = frame["contribution"].to_numpy() * 100
    order = np.argsort(-target, kind="stable")
    shown = order[(target[order] >= SHOWN_FROM * 100) | (now[order] >= SHOWN_FROM * 100)]
    rest = len(order) - len(shown)
    names = frame.index.get_level_values("instrument").to_numpy()[shown]
    limits = frame["binding"].to_numpy()[shown]
    before, after, share = (rounded_parts(column[shown], 1) for column in (now, target, risk))
    widest = max(float(np.max([now[shown], target[shown]], initial=0)), 1e-9)
    rows = join(
        markup(
            '<tr><td><b>{name}</b></td><td class="num">{now}</td><td class="wide">{bar}</td>'
            '<td class="num">{target}</td><td class="num">{trade}</td><td class="num risk">{risk}</td>'
            "<td>{limit}</td></tr>",
            name=catalog.instrument(names[i]).name,
            now=formats.number(before[i], 1),
            bar=_bar(before[i] / widest, after[i] / widest),
            target=formats.number(after[i], 1),
            trade=formats.moved(after[i] - before[i], 1),
            risk=formats.number(share[i], 1),
            limit=_pill(limits[i]),
        )
        for i in range(len(shown))
    )
    more = markup('<tr class="dim"><td colspan="7">{n} more at 0.0 %</td></tr>', n=rest) if rest else ""
    return markup(
        '<div class="scroll"><table><thead><tr><th>Asset</th><th class="num">Now %</th>'
        '<th class="wide">now, target</th><th class="num">Target %</th><th class="num">Trade %</th>'
        '<th class="num risk">Risk share %</th>'
        "<th>Held by</th></tr></thead>"
        '<tbody>{rows}{more}<tr class="sum"><td>Sum</td><td class="num">{now}</td><td class="soft wide">'
        'turnover {turnover} %</td><td class="num">{target}</td><td class="num">{trade}</td>'
        '<td class="num risk">{risk}</td><td></td></tr></tbody></table></div>',
        rows=rows,
        more=more,
        now=formats.number(before.sum(), 1),
        target=formats.number(after.sum(), 1),
        trade=formats.number(after.sum() - before.sum(), 1, signed=True),
        risk=formats.number(share.sum(), 1),
        turnover=formats.number(book.turnover * 100, 1),
    )


def stakes_table(book: Allocation, catalog: Catalog) -> Markup:
    """Return the stakes, largest first."""
    stakes = book.stakes.sort_values("target", ascending=False, kind="stable")
    widest = max(float(stakes[["current", "target"]].to_numpy().max(initial=0)), 1e-9)
    rows = join(
        markup(
            '<tr><td class="wrap"><b>{name}</b></td><td title="{place}">{book}</td><td class="num">{now}</td>'
            '<td class="wide">{bar}</td><td class="num">{stake}</td><td class="num">{profit}</td><td>{limit}</td></tr>',
            name=_outcome(catalog, str(key[0])),
            place=catalog.venue(str(key[1])).name,
            book=catalog.venue(str(key[1])).code,
            now=formats.number(now, 0),
            bar=_bar(now / widest, target / widest),
            stake=formats.number(target, 0),
            profit=formats.moved(profit, 2),
            limit=_pill(limit),
        )
        for key, now, target, profit, limit in zip(
            stakes.index, *(stakes[c] for c in ("current", "target", "contribution", "binding")), strict=True
        )
    )
    return markup(
        '<div class="scroll"><table><thead><tr><th>Outcome</th><th>Book</th><th class="num">Now USD</th>'
        '<th class="wide">now, target</th><th class="num">Stake USD</th><th class="num">Exp. profit USD</th>'
        "<th>Held by</th></tr></thead>"
        '<tbody>{rows}<tr class="sum"><td>Sum</td><td></td><td class="num">{now}</td><td class="wide"></td>'
        '<td class="num">{stake}</td><td class="num">{profit}</td><td></td></tr></tbody></table></div>',
        rows=rows,
        now=formats.number(float(stakes["current"].round(0).sum()), 0),
        stake=formats.number(float(stakes["target"].round(0).sum()), 0),
        profit=formats.number(float(stakes["contribution"].round(2).sum()), 2, signed=True),
    )


def rounded_parts(parts: np.ndarray, decimals: int) -> np.ndarray:
    """Return parts rounded so that they add up to their rounded sum; the largest remainders give way.

    >>> rounded_parts(np.array([33.34, 33.33, 33.33]), 1).tolist()
    [33.4, 33.3, 33.3]
    """
    scale = 10.0**decimals
    scaled = np.nan_to_num(np.asarray(parts, dtype=np.float64)) * scale
    down = np.floor(scaled)
    missing = round(float(scaled.sum())) - int(down.sum())
    down[np.argsort(-(scaled - down), kind="stable")[:missing]] += 1
    return np.asarray(np.round(down / scale, decimals))


def _outcome(catalog: Catalog, key: str) -> str:
    instrument = catalog.instrument(key)
    if instrument.market_id is None:
        return instrument.name
    return f"{catalog.market(instrument.market_id).name} · {instrument.name}"


def _bar(now: float, target: float) -> Markup:
    return markup(
        '<span class="bar" role="img" aria-label="now and target"><i style="width: {now}%"></i>'
        '<u style="left: {target}%"></u></span>',
        now=f"{np.clip(now, 0, 1) * 100:.1f}",
        target=f"{np.clip(target, 0, 1) * 99:.1f}",
    )


def _pill(limit: object) -> Markup:
    return markup('<span class="pill">{limit}</span>', limit=limit) if limit else Markup()


BARS_CSS = """
td.wide { min-width: 110px; width: 28%; } .bar { margin: 5px 0; }
@media (max-width: 759px) { .wide, .risk { display: none; }
  td { height: 38px; padding: 3px 4px; } th { padding: 4px; white-space: normal; } }
"""
