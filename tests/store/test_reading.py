"""What a newer program left behind is stepped over, not stumbled over."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from store_records import event, rationale, rationale_event

from marketstream.clock import ManualClock
from marketstream.errors import NotFoundError
from marketstream.market.records import EventFilter, PageRequest
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
    assert (await store.rationales(None, PageRequest())).rows == (rationale(1),)
    with pytest.raises(NotFoundError, match="rationale-000002"):
        await store.rationale("rationale-000002")
    await store.close()
