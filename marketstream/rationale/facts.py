"""Fact sheets: what may be said about a snapshot, worked out up front so that no text has to compute.

Ranks, sums, counts and differences are facts too. Facts about quotes, prices and edges are in market_facts.py,
about weights and stakes in book_facts.py; docs/rationale.md lists them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from marketstream.analytics.analysis import Snapshot
from marketstream.errors import InvalidInputError
from marketstream.market.instruments import Instrument, Kind
from marketstream.market.rationale import PORTFOLIO, FactSheet, RationaleKind, RationaleRequest
from marketstream.rationale.book_facts import Book
from marketstream.rationale.holdings import check_request, with_holdings
from marketstream.rationale.market_facts import EdgeBoard, add_asset_price, add_bands, add_fair, add_feeds, add_sources
from marketstream.rationale.sheet import SheetBuilder

CONFIDENCE = 99.0
"""Per cent; the level at which Allocation.worst_loss is stated."""


def fact_sheet(snapshot: Snapshot, kind: str, subject: str | None = None) -> FactSheet:
    """Return all that a text of this kind may say about `snapshot`.

    Args:
        snapshot: One frozen moment.
        kind: What the text is about.
        subject: Instrument id, for `position_explanation` alone.

    Raises:
        InvalidInputError: As RationaleRequest.
        NotFoundError: Nobody lists the instrument.
    """
    request = RationaleRequest.of(kind, subject)
    return sheet_for(snapshot, request)


def sheet_for(snapshot: Snapshot, request: RationaleRequest) -> FactSheet:
    """Return the fact sheet of a request, about the caller's own book where it holds one.

    Raises:
        NotFoundError: Nobody lists its subject or a holding.
        InvalidInputError: The holdings cannot be valued.
    """
    given = bool(request.portfolio_data)
    if given:
        check_request(request, snapshot.market.catalog)
        snapshot = with_holdings(snapshot, request.portfolio_data)
    sheet = SheetBuilder(snapshot, given=given)
    instrument = None if request.subject is None else sheet.instrument(request.subject)
    sheet.moment()
    add_feeds(sheet)
    book = Book(sheet)
    board = EdgeBoard(sheet)
    _add_terms(sheet)
    book.add_totals()
    match request.kind:
        case RationaleKind.PORTFOLIO_SUMMARY:
            _summary(sheet, book, board)
        case RationaleKind.POSITION_EXPLANATION:
            if instrument is None:
                raise InvalidInputError("position_explanation needs the id of an instrument as subject, was None")
            _position(sheet, book, board, instrument)
        case RationaleKind.RISK_REVIEW:
            _risk(sheet, book, board)
        case RationaleKind.EDGE_NOTE:
            _edges(sheet, book, board)
    return sheet.build(request.kind, instrument)


def _summary(sheet: SheetBuilder, book: Book, board: EdgeBoard) -> None:
    book.add_weights([*book.largest(3), *book.raised(2), *book.lowered(2), *book.riskiest(1), *book.limited(3)])
    legs = book.largest_stakes(2)
    book.add_stakes(legs)
    board.add_totals()
    board.add_legs(board.candidates(1))
    board.add_legs(legs)
    add_fair(sheet, [*(sheet.instrument(i) for i, _ in legs)])
    add_sources(sheet, book.held_or_all())


def _position(sheet: SheetBuilder, book: Book, board: EdgeBoard, instrument: Instrument) -> None:
    add_fair(sheet, [instrument])
    add_sources(sheet, [])
    if instrument.kind is Kind.ASSET:
        book.add_weights([instrument.id])
        if book.usable and instrument.id not in book.weight.index:
            source = "no row in portfolio_data" if sheet.given else "no row in allocation"
            sheet.add(instrument, "weight", 0.0, "%", source, decimals=1)
        _add_view(sheet, instrument)
        add_asset_price(sheet, instrument)
    else:
        legs = book.stakes_on(instrument.id)
        book.add_stakes(legs)
        sheet.count(instrument, "n_legs", len(legs), "allocation.stake > 0")
        board.add_legs(legs)
    board.add_totals()
    board.add_legs(board.best_of(instrument.id))


def _risk(sheet: SheetBuilder, book: Book, board: EdgeBoard) -> None:
    board.add_totals()
    board.add_legs(board.candidates(1))
    book.add_weights([*book.riskiest(3), *book.largest(3), *book.limited(3)])
    book.add_top_risk(3)
    legs = book.largest_stakes(1)
    book.add_stakes(legs)
    add_bands(sheet)
    add_sources(sheet, book.held_or_all())


def _edges(sheet: SheetBuilder, book: Book, board: EdgeBoard) -> None:
    board.add_totals()
    legs = board.candidates(3)
    board.add_legs(legs)
    book.add_stakes([leg for leg in legs if leg in set(book.largest_stakes(10_000))])
    add_fair(sheet, _distinct(sheet.instrument(i) for i, _ in legs))
    add_sources(sheet, [])


def _add_terms(sheet: SheetBuilder) -> None:
    """Add what every risk and return is stated for."""
    sheet.period(PORTFOLIO, "horizon", sheet.snapshot.allocation.horizon_s, "optimizer.horizon_s")
    sheet.add(PORTFOLIO, "confidence", CONFIDENCE, "%", "definition of allocation.worst_loss")
    sheet.count(PORTFOLIO, "n_views", len(_views(sheet)), "optimizer.views")


def _add_view(sheet: SheetBuilder, instrument: Instrument) -> None:
    view = _views(sheet).get(instrument.id)
    if view is not None:
        sheet.add(instrument, "view", view * 1e4, "bps", "optimizer.views", decimals=1, directional=True)


def _views(sheet: SheetBuilder) -> Mapping[str, float]:
    return sheet.snapshot.knobs.get("optimizer", {}).get("views") or {}


def _distinct(instruments: Iterable[Instrument]) -> list[Instrument]:
    return list({instrument.id: instrument for instrument in instruments}.values())
