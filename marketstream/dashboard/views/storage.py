"""Who handles events and where they are kept: the lanes of the handlers, and the store."""

from __future__ import annotations

from marketstream.dashboard import formats, text
from marketstream.dashboard.cards import Card
from marketstream.dashboard.text import Markup, join, markup
from marketstream.dashboard.views.view import Context, Moment
from marketstream.market.handling import HandlerReport
from marketstream.market.records import StoreKind, StoreStatus

KINDS = {StoreKind.SQLITE: "SQLite", StoreKind.POSTGRESQL: "PostgreSQL", StoreKind.MEMORY: "memory only"}


class HandlersCard:
    """One row per handler: what waits in its lane, what it did, how long it takes."""

    title = "Handlers"

    def __init__(self, context: Context) -> None:
        self._handlers = context.engine.handlers
        self._body = text.pane()
        self._card = Card(self.title, "each in a lane of its own, in order", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the table up to now."""
        del moment
        reports = self._handlers.report()
        waiting = sum(report.waiting for report in reports)
        self._card.head("each in a lane of its own, in order", f"{formats.number(waiting, 0)} waiting")
        text.show(
            self._body,
            markup(
                '<div class="scroll"><table><thead><tr><th scope="col">Handler</th><th class="num">Waiting</th>'
                '<th class="num">Done</th><th class="num">Tried again</th><th class="num">Dead</th>'
                '<th class="num">Dropped</th><th class="num">Median ms</th><th class="num">99 % ms</th></tr></thead>'
                "<tbody>{rows}</tbody></table></div>",
                rows=join(map(_row, reports)),
            ),
        )


class StoreCard:
    """Where records are kept, how many, and how long a commit takes."""

    title = "Store"

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._body = text.pane()
        self._card = Card(self.title, "", self._body)
        self.view = self._card.view

    def refresh(self, moment: Moment) -> None:
        """Bring the figures up to now."""
        del moment
        status = self._engine.store.status()
        self._card.head(f"{KINDS[status.kind]} · schema {status.revision or 'none yet'}", status.location)
        text.show(self._body, _figures(status))


def _row(report: HandlerReport) -> Markup:
    trouble = markup(' <span class="late" title="{why}">retrying</span>', why=report.retrying)
    return markup(
        '<tr><td title="{topics}"><b>{name}</b>{trouble}</td><td class="num">{waiting}</td><td class="num">{done}</td>'
        '<td class="num">{retries}</td><td class="num">{dead}</td><td class="num">{dropped}</td>'
        '<td class="num">{p50}</td><td class="num">{p99}</td></tr>',
        topics=", ".join(report.topics),
        name=report.name,
        trouble=trouble if report.retrying else Markup(),
        waiting=formats.number(report.waiting, 0),
        done=formats.number(report.done, 0),
        retries=formats.number(report.retries, 0),
        dead=formats.number(report.dead_lettered, 0),
        dropped=formats.number(report.dropped, 0),
        p50=formats.number(report.ms_p50, 2),
        p99=formats.number(report.ms_p99, 2),
    )


def _figures(status: StoreStatus) -> Markup:
    facts = [
        ("Rows written", formats.number(status.written, 0)),
        ("Commits", formats.number(status.commits, 0)),
        ("Waiting", formats.number(status.waiting, 0)),
        ("Commit, median ms", formats.number(status.commit_ms_p50, 2)),
        ("Commit, 99 % ms", formats.number(status.commit_ms_p99, 2)),
        ("Failed commits", formats.number(status.errors, 0)),
    ]
    if status.size_bytes is not None:
        facts.append(("Size MB", formats.number(status.size_bytes / 1e6, 1)))
    facts += [(f"Rows of {table.replace('_', ' ')}", formats.number(n, 0)) for table, n in sorted(status.rows.items())]
    rows = join(
        markup('<tr><td>{label}</td><td class="num">{value}</td></tr>', label=label, value=value)
        for label, value in facts
    )
    why = markup('<p class="note late" role="status">{why}</p>', why=status.fallback) if status.fallback else Markup()
    if status.kind is StoreKind.MEMORY and not status.fallback:
        why = markup('<p class="note">Nothing is kept when this process ends.</p>')
    return markup("{why}<table><tbody>{rows}</tbody></table>", why=why, rows=rows)
