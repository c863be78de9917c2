"""Lists read no more than they show; what a newer program left behind is stepped over, not stumbled over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from store_records import event, rationale_event

from marketstream.clock import ManualClock
from marketstream.errors import NotFoundError
from marketstream.market.events import Topic
from marketstream.market.records import EventFilter, PageRequest
from marketstream.store import reading, schema
from marketstream.store.address import read_address
from marketstream.store.database import Database
from marketstream.store.repository import Store


def change(url: str, folder: Path, statement: str) -> None:
    database = Database(read_address(url, folder))
    with database.writing() as connection:
        connection.execute(sa.text(statement))
    database.close()


async def test_an_event_of_an_unknown_topic_is_left_out_of_its_page(lasting_url: str, tmp_path: Path) -> None:
    store = Store(lasting_url, clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    await store.handle([event(n) for n in range(5)])
    change(lasting_url, tmp_path, "UPDATE events SET topic = 'weather.changed' WHERE event_id = 'run-00000003'")
    first = await store.events(EventFilter(), PageRequest(limit=3))
    second = await store.events(EventFilter(), PageRequest(limit=3, cursor=first.next_cursor))
    assert [e.data["n"] for page in (first, second) for e in page.rows] == [4, 2, 1, 0]
    await store.close()


async def test_a_text_with_unknown_words_is_left_out_and_not_found(lasting_url: str, tmp_path: Path) -> None:
    store = Store(lasting_url, clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    await store.handle([rationale_event(1), rationale_event(2)])
    change(
        lasting_url,
        tmp_path,
        "UPDATE rationales SET record = REPLACE(record, 'risk_review', 'ballad') WHERE id = 'rationale-000002'",
    )
    assert [text.id for text in (await store.rationales(None, PageRequest())).rows] == ["rationale-000001"]
    with pytest.raises(NotFoundError, match="rationale-000002"):
        await store.rationale("rationale-000002")
    await store.close()


# How lists are read -----------------------------------------------------------------------------------------

GAP = Topic.FEED_GAP.value
LIMIT = 5
FILTERS = [
    EventFilter(),
    EventFilter(subject="kraken"),
    EventFilter(topics=(GAP,)),
    EventFilter(topics=(GAP,), subject="kraken"),
    EventFilter(until=300),
    EventFilter(since=100, until=300),
    EventFilter(subject="kraken", until=300),
    EventFilter(topics=(GAP,), until=300),
    EventFilter(topics=(GAP,), subject="kraken", since=100, until=300),
]


@pytest.fixture
def filled(lasting_url: str, tmp_path: Path) -> Iterator[sa.Connection]:
    """Give a connection to a store of some thousand events that its planner knows."""
    database = Database(read_address(lasting_url, tmp_path))
    topics = f"CASE n % 10 WHEN 0 THEN '{GAP}' ELSE '{Topic.ENGINE_STATUS.value}' END"
    values = f"'e-' || n, n, {topics}, CASE n % 7 WHEN 0 THEN 'kraken' ELSE 'engine' END, '', '{{}}'"
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)"
    with database.writing() as connection:
        schema.upgrade(connection)
        columns = "event_id, ts, topic, subject, message, data"
        statement = f"INSERT INTO events ({columns}) {numbers} SELECT {values} FROM numbers"  # noqa: S608 - constants
        connection.execute(sa.text(statement))
        if database.dialect == "postgresql":
            connection.exec_driver_sql("ANALYZE events")
    with database.reading() as connection:
        yield connection
    database.close()


def plan(connection: sa.Connection, wanted: EventFilter, page: PageRequest) -> str:
    """Return how the database finds a page."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", note)
    reading.events(connection, wanted, page)
    sa.event.remove(connection, "before_cursor_execute", note)
    word = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    statement, parameters = asked[-1]
    return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{word} {statement}", parameters))


def faults(found: str, wanted: EventFilter) -> list[str]:
    """Return what makes a plan read more than it shows: a whole table, a sort, or rows that are thrown away."""
    wrong = [word for word in ("Seq Scan", "Sort", "Filter:", "TEMP B-TREE", "Bitmap") if word in found]
    if "Index Cond" not in found:
        # SQLite does not say what it throws away, but by what it searches.
        asked = {"topic=?": wanted.topics, "subject=?": wanted.subject, "ts<?": wanted.until, "ts>?": wanted.since}
        wrong += [f"not by {term}" for term, value in asked.items() if value and term not in found]
    return wrong


@pytest.mark.parametrize("cursor", [None, 200])
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_list_of_events_reads_one_stretch_of_an_index(
    filled: sa.Connection, wanted: EventFilter, cursor: int | None
) -> None:
    found = plan(filled, wanted, PageRequest(limit=LIMIT, cursor=cursor))
    assert "ix_events" in found and faults(found, wanted) == [], found


def test_a_list_without_its_index_is_caught_by_the_same_check(filled: sa.Connection) -> None:
    filled.exec_driver_sql("DROP INDEX ix_events_topic_subject_ts_row")
    wanted = EventFilter(topics=(GAP,), subject="kraken", since=100, until=300)
    found = plan(filled, wanted, PageRequest(limit=LIMIT))
    assert faults(found, wanted)


@pytest.mark.parametrize("wanted", [*FILTERS, EventFilter(topics=(GAP, "engine.#"))], ids=str)
def test_pages_of_events_hold_each_match_once_newest_first(filled: sa.Connection, wanted: EventFilter) -> None:
    found, cursor = [], None
    while True:
        page = reading.events(filled, wanted, PageRequest(limit=137, cursor=cursor))
        found += [e.ts for e in page.rows]
        if (cursor := page.next_cursor) is None:
            break
    since, until = (0 if wanted.since is None else wanted.since), (9999 if wanted.until is None else wanted.until)
    assert found == [
        n
        for n in range(5000, 0, -1)
        if since <= n < until and (wanted.subject is None or n % 7 == 0) and (wanted.topics != (GAP,) or n % 10 == 0)
    ]


async def test_an_event_that_comes_late_is_listed_where_it_happened(lasting_url: str, tmp_path: Path) -> None:
    store = Store(lasting_url, clock=ManualClock(), data_dir=tmp_path)
    await store.open()
    await store.handle([event(n) for n in (1, 4, 5)])
    first = await store.events(EventFilter(), PageRequest(limit=1))
    await store.handle([event(n) for n in (2, 3)])
    rest = await store.events(EventFilter(), PageRequest(cursor=first.next_cursor))
    assert [e.data["n"] for page in (first, rest) for e in page.rows] == [5, 4, 3, 2, 1]
    await store.close()
