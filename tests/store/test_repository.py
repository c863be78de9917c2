"""The store keeps what it acknowledges and gives it back, the same in memory, in a file and in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from store_records import (
    MIDNIGHT,
    SECOND,
    allocation_event,
    answer,
    dead_letter,
    event,
    feedback,
    provider,
    rationale,
    rationale_event,
    status_event,
)

from marketstream.clock import ManualClock
from marketstream.errors import InvalidInputError, NotFoundError, TransientError
from marketstream.market.events import Topic
from marketstream.market.handling import DeadLetterStatus
from marketstream.market.rationale import Rationale, RationaleHead, RationaleKind, RationaleStatus
from marketstream.market.records import (
    AllocationRecord,
    EventFilter,
    FeedbackReason,
    PageRequest,
    ProviderState,
    StoreKind,
)
from marketstream.store import schema
from marketstream.store.repository import Store

ALL = EventFilter()
PAGE = PageRequest()


async def ids(store: Store, wanted: EventFilter = ALL, page: PageRequest = PAGE) -> list[str]:
    return [found.id for found in (await store.events(wanted, page)).rows]


# Events -----------------------------------------------------------------------------------------------------


async def test_events_come_back_whole_and_newest_first(store: Store) -> None:
    kept = [event(1), event(2, Topic.STORE_STATUS, subject="store", deep={"a": [1, 2.5, None, True, "é"]})]
    await store.handle(kept)
    assert (await store.events(ALL, PAGE)).rows == (kept[1], kept[0])


async def test_an_event_that_comes_twice_changes_nothing(store: Store) -> None:
    await store.handle([event(1), event(2)])
    await store.handle([replace(event(1), message="Other."), event(3)])
    assert (await store.events(ALL, PAGE)).rows == (event(3), event(2), event(1))


async def test_an_event_that_comes_twice_in_one_call_is_kept_once(store: Store) -> None:
    await store.handle([event(1), event(1)])
    assert store.status().rows["events"] == 1


async def test_no_events_are_no_trouble(store: Store) -> None:
    await store.handle([])
    assert store.status().written == 0


async def test_an_event_without_an_id_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="needs an id"):
        await store.handle([replace(event(1), id="")])


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**63, -(2**63) - 1, 10**40, b"raw", {1: "a"}, object(), {"a": {2, 3}}]
)
async def test_data_that_no_database_keeps_are_refused(store: Store, value: object) -> None:
    with pytest.raises(InvalidInputError, match="data of event 'run-00000001'"):
        await store.handle([event(1, value=value)])


async def test_a_subject_that_is_too_long_to_be_searched_by_is_refused(store: Store) -> None:
    await store.handle([event(1, subject="\u20ac" * 500)])
    with pytest.raises(InvalidInputError, match="subject of an event must have at most 500 characters, had 501"):
        await store.handle([event(2, subject="x" * 501)])


async def test_endless_data_are_refused(store: Store) -> None:
    endless: dict[str, object] = {}
    endless["more"] = endless
    with pytest.raises(InvalidInputError, match="at most 32 levels"):
        await store.handle([event(1, endless=endless)])


async def test_one_event_that_is_refused_takes_its_whole_call_with_it(store: Store) -> None:
    with pytest.raises(InvalidInputError):
        await store.handle([event(1), event(2, value=float("nan"))])
    assert await ids(store) == []


@pytest.mark.parametrize("ts", [2**63, -(2**63) - 1])
async def test_a_time_beyond_64_bits_is_refused(store: Store, ts: int) -> None:
    with pytest.raises(InvalidInputError, match="64 bits"):
        await store.handle([replace(event(1), ts=ts)])


async def test_the_largest_whole_numbers_are_kept(store: Store) -> None:
    kept = replace(event(1, most=2**63 - 1, least=-(2**63)), ts=2**63 - 1)
    await store.handle([kept])
    assert (await store.events(ALL, PAGE)).rows == (kept,)


async def test_characters_that_no_database_keeps_are_replaced(store: Store) -> None:
    await store.handle([replace(event(1, **{"a\x00b": "c\ud800"}), subject="d\x00", message="e\udfff")])
    (kept,) = (await store.events(ALL, PAGE)).rows
    assert (kept.subject, kept.message, kept.data) == ("d\ufffd", "e\ufffd", {"a\ufffdb": "c\ufffd"})


async def test_more_events_than_one_transaction_takes_are_all_kept(store: Store) -> None:
    await store.handle([event(n) for n in range(2_500)])
    assert store.status().rows["events"] == 2_500


# Pages and filters ------------------------------------------------------------------------------------------


async def test_pages_join_without_gap_or_overlap_while_new_events_come(store: Store) -> None:
    await store.handle([event(n) for n in range(10)])
    first = await store.events(ALL, PageRequest(limit=4))
    await store.handle([event(10)])
    second = await store.events(ALL, PageRequest(limit=4, cursor=first.next_cursor))
    third = await store.events(ALL, PageRequest(limit=4, cursor=second.next_cursor))
    assert [e.data["n"] for page in (first, second, third) for e in page.rows] == list(range(9, -1, -1))
    assert third.next_cursor is None


async def test_a_page_that_ends_the_list_names_no_other(store: Store) -> None:
    await store.handle([event(n) for n in range(4)])
    assert (await store.events(ALL, PageRequest(limit=4))).next_cursor is None


@pytest.mark.parametrize(
    ("topics", "found"),
    [
        ((), [4, 3, 2, 1]),
        (("#",), [4, 3, 2, 1]),
        (("feed.gap.found",), [1]),
        (("feed.#", "store.status.changed"), [3, 1]),
        (("*.status.changed",), [4, 3]),
        (("market.*",), []),
        (("provider.trust.switched", "nothing.like.it"), [2]),
        (("feed.#", "feed.gap.found", "#"), [4, 3, 2, 1]),
    ],
)
async def test_topics_are_found_by_bus_patterns(store: Store, topics: tuple[str, ...], found: list[int]) -> None:
    topic = (Topic.FEED_GAP, Topic.PROVIDER_SWITCH, Topic.STORE_STATUS, Topic.ENGINE_STATUS)
    await store.handle([event(n, topic[n - 1]) for n in range(1, 5)])
    assert [e.data["n"] for e in (await store.events(EventFilter(topics=topics), PAGE)).rows] == found


@pytest.mark.parametrize(
    "pattern", ["", "a..b", "#.status", "feed%", "x' OR '1'='1", "feed.gap.found; DROP TABLE events"]
)
async def test_a_pattern_that_is_none_is_refused(store: Store, pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="pattern"):
        await store.events(EventFilter(topics=(pattern,)), PAGE)


async def test_pages_over_several_topics_join_too(store: Store) -> None:
    await store.handle([event(n, (Topic.FEED_GAP, Topic.STORE_STATUS, Topic.ENGINE_STATUS)[n % 3]) for n in range(30)])
    wanted = EventFilter(topics=("feed.#", "store.#"))
    found, cursor = [], None
    while True:
        page = await store.events(wanted, PageRequest(limit=3, cursor=cursor))
        found += [e.data["n"] for e in page.rows]
        if (cursor := page.next_cursor) is None:
            break
    assert found == [n for n in range(29, -1, -1) if n % 3 != 2]


async def test_a_subject_is_found_by_its_exact_name(store: Store) -> None:
    await store.handle([event(1, subject="a%"), event(2, subject="ab"), event(3, subject="a%")])
    assert await ids(store, EventFilter(subject="a%")) == [event(3).id, event(1).id]


async def test_times_are_from_and_before(store: Store) -> None:
    await store.handle([event(n) for n in range(5)])
    wanted = EventFilter(since=MIDNIGHT + SECOND, until=MIDNIGHT + 3 * SECOND)
    assert await ids(store, wanted) == [event(2).id, event(1).id]


async def test_filters_are_all_obeyed_at_once(store: Store) -> None:
    await store.handle([event(n, subject="a" if n % 2 else "b") for n in range(6)])
    wanted = EventFilter(topics=("feed.#",), subject="a", since=MIDNIGHT + 2 * SECOND)
    assert await ids(store, wanted) == [event(5).id, event(3).id]


@pytest.mark.parametrize("bound", [2**63, -(2**63) - 1])
async def test_a_bound_of_time_beyond_64_bits_is_refused(store: Store, bound: int) -> None:
    with pytest.raises(InvalidInputError, match="64 bits"):
        await store.events(EventFilter(since=bound), PAGE)


# What events tell of ----------------------------------------------------------------------------------------


async def test_an_allocation_is_kept_with_what_led_to_it(store: Store) -> None:
    told = allocation_event(7)
    await store.handle([told])
    (kept,) = (await store.allocations(PAGE)).rows
    assert kept == AllocationRecord(event_id=told.id, ts=told.ts, **told.data)


async def test_the_event_of_an_allocation_keeps_only_where_it_is(store: Store) -> None:
    await store.handle([allocation_event(7)])
    (kept,) = (await store.events(ALL, PAGE)).rows
    assert kept.data == {"record": "allocations"}


async def test_allocations_come_in_pages_newest_first(store: Store) -> None:
    await store.handle([allocation_event(n) for n in range(5)])
    first = await store.allocations(PageRequest(limit=3))
    second = await store.allocations(PageRequest(limit=3, cursor=first.next_cursor))
    assert [r.sequence for r in (*first.rows, *second.rows)] == [4, 3, 2, 1, 0]


async def test_an_allocation_that_comes_twice_is_kept_once(store: Store) -> None:
    await store.handle([allocation_event(7)])
    await store.handle([allocation_event(7)])
    assert store.status().rows["allocations"] == 1


@pytest.mark.parametrize(
    "changes", [{"weights": None}, {"turnover": float("nan")}, {"sequence": 1.5}, {"surplus": 1}, {"stakes": [1]}]
)
async def test_an_event_that_carries_no_allocation_is_refused_and_not_kept(
    store: Store, changes: dict[str, object]
) -> None:
    with pytest.raises(InvalidInputError):
        await store.handle([allocation_event(7, **changes)])
    assert store.status().rows["events"] == 0


async def test_a_text_is_kept_with_its_spans_facts_and_issues(store: Store) -> None:
    await store.handle([rationale_event(3)])
    assert await store.rationale(rationale(3).id) == rationale(3)


async def test_the_event_of_a_text_keeps_only_where_it_is(store: Store) -> None:
    await store.handle([rationale_event(3)])
    (kept,) = (await store.events(ALL, PAGE)).rows
    assert kept.data == {"record": "rationales", "id": rationale(3).id}


async def test_a_finished_text_stays_as_it_was(store: Store) -> None:
    await store.handle([rationale_event(3)])
    await store.handle([replace(rationale_event(3, rationale(3, text="Other.")), id="run-9")])
    assert (await store.rationale(rationale(3).id)).text == rationale(3).text


@pytest.mark.parametrize(
    "data", [{}, {"rationale": "text"}, {"rationale": {}}, {"rationale": {"id": "x", "kind": "poem"}}]
)
async def test_an_event_that_carries_no_text_is_refused_and_not_kept(store: Store, data: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        await store.handle([replace(event(1, Topic.RATIONALE), data=data)])
    assert store.status().rows["events"] == 0


async def test_texts_are_found_by_kind_and_by_status(store: Store) -> None:
    await store.handle(
        [
            rationale_event(1),
            rationale_event(2, rationale(2, kind=RationaleKind.EDGE_NOTE)),
            rationale_event(3, rationale(3, status=RationaleStatus.FAILED, reason="no snapshot")),
        ]
    )
    everything = await store.rationales(None, PAGE)
    reviews = await store.rationales(RationaleKind.RISK_REVIEW, PAGE)
    failed = await store.rationales(None, PAGE, status=RationaleStatus.FAILED)
    assert [[text.sequence for text in page.rows] for page in (everything, reviews, failed)] == [[3, 2, 1], [3, 1], [3]]


async def test_a_list_of_texts_has_their_heads_alone(store: Store) -> None:
    await store.handle([rationale_event(1)])
    (head,) = (await store.rationales(None, PAGE)).rows
    assert not isinstance(head, Rationale)
    names = [field.name for field in fields(RationaleHead)]
    assert [getattr(head, name) for name in names] == [getattr(rationale(1), name) for name in names]


async def test_a_walk_through_texts_is_told_which_of_some_it_meets(store: Store) -> None:
    assert await store.kept_rationales(["rationale-000001"]) == (frozenset(), 1)
    await store.handle([rationale_event(1), rationale_event(2)])
    asked = [f"rationale-{n:06d}" for n in range(3000)]
    kept, before = await store.kept_rationales(asked)
    assert kept == {"rationale-000001", "rationale-000002"}
    await store.handle([rationale_event(3)])
    assert await store.kept_rationales(asked, before=before) == (kept, before)
    assert {text.id for text in (await store.rationales(None, PageRequest(cursor=before))).rows} == kept
    assert len((await store.kept_rationales(asked))[0]) == 3


async def test_a_text_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no rationale 'nobody'"):
        await store.rationale("nobody")


async def test_the_state_of_a_provider_is_what_was_said_last(store: Store) -> None:
    await store.handle(
        [status_event(1, "READY"), status_event(2, "RUNNING"), status_event(3, "READY", subject="binance")]
    )
    await store.handle([status_event(4, "DEGRADED")])
    last = status_event(4, "DEGRADED")
    assert await store.provider_states() == (
        ProviderState(
            name="binance",
            status="READY",
            message="Fact 3.",
            ts=status_event(3, "").ts,
            event_id=status_event(3, "").id,
        ),
        ProviderState(name="kraken", status="DEGRADED", message="Fact 4.", ts=last.ts, event_id=last.id),
    )


async def test_an_old_event_that_comes_again_does_not_bring_back_an_old_state(store: Store) -> None:
    await store.handle([status_event(1, "READY"), status_event(2, "RUNNING")])
    await store.handle([status_event(1, "READY")])
    (state,) = await store.provider_states()
    assert state.status == "RUNNING"


async def test_an_old_event_that_comes_late_does_not_bring_back_an_old_state(store: Store) -> None:
    await store.handle([status_event(2, "RUNNING")])
    await store.handle([status_event(1, "READY")])
    (state,) = await store.provider_states()
    assert (state.status, state.event_id) == ("RUNNING", status_event(2, "").id)


async def test_the_order_of_arrival_decides_between_states_of_one_moment(store: Store) -> None:
    await store.handle([replace(status_event(n, status), ts=MIDNIGHT) for n, status in enumerate(("A", "B"))])
    (state,) = await store.provider_states()
    assert state.status == "B"


# Dead letters -----------------------------------------------------------------------------------------------


async def test_a_dead_letter_comes_back_whole(store: Store) -> None:
    await store.save_dead_letter(dead_letter(1))
    assert await store.dead_letter(dead_letter(1).id) == dead_letter(1)


async def test_a_dead_letter_that_fails_again_is_replaced(store: Store) -> None:
    await store.save_dead_letter(dead_letter(1))
    again = dead_letter(1, attempts=4, error="still refused", failed_at=MIDNIGHT + 60 * SECOND)
    await store.save_dead_letter(again)
    assert (await store.dead_letters(None, None, PAGE)).rows == (again,)


async def test_dead_letters_are_found_by_status_and_by_handler(store: Store) -> None:
    for letter in (dead_letter(1), dead_letter(2, "bus"), dead_letter(3)):
        await store.save_dead_letter(letter)
    await store.mark_dead_letter(dead_letter(3).id, DeadLetterStatus.REPLAYED, 2)
    waiting = await store.dead_letters(DeadLetterStatus.WAITING, None, PAGE)
    of_ledger = await store.dead_letters(None, "ledger", PAGE)
    assert [letter.id for letter in waiting.rows] == [dead_letter(2, "bus").id, dead_letter(1).id]
    assert [letter.id for letter in of_ledger.rows] == [dead_letter(3).id, dead_letter(1).id]


async def test_a_dead_letter_keeps_what_became_of_it(store: Store) -> None:
    await store.save_dead_letter(dead_letter(1))
    await store.mark_dead_letter(dead_letter(1).id, DeadLetterStatus.DISCARDED, 3)
    assert await store.dead_letter(dead_letter(1).id) == dead_letter(1, status=DeadLetterStatus.DISCARDED, attempts=3)


async def test_a_dead_letter_that_fails_in_a_replay_keeps_its_newest_error(store: Store) -> None:
    await store.save_dead_letter(dead_letter(1))
    again = dead_letter(1, attempts=4, error="still refused", failed_at=MIDNIGHT + 60 * SECOND)
    assert await store.renew_dead_letter(again) == again == await store.dead_letter(again.id)


async def test_a_dead_letter_that_was_settled_while_it_was_replayed_stays_settled(store: Store) -> None:
    await store.save_dead_letter(dead_letter(1))
    await store.mark_dead_letter(dead_letter(1).id, DeadLetterStatus.DISCARDED, 3)
    settled = dead_letter(1, status=DeadLetterStatus.DISCARDED, attempts=3)
    assert await store.renew_dead_letter(dead_letter(1, attempts=4)) == settled
    assert await store.dead_letter(settled.id) == settled


async def test_a_dead_letter_that_is_not_there_cannot_be_renewed(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no dead letter"):
        await store.renew_dead_letter(dead_letter(1))


async def test_a_dead_letter_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no dead letter 'nobody'"):
        await store.dead_letter("nobody")


async def test_a_dead_letter_that_is_not_there_cannot_be_marked(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no dead letter 'nobody'"):
        await store.mark_dead_letter("nobody", DeadLetterStatus.REPLAYED, 1)


# Providers --------------------------------------------------------------------------------------------------


async def test_configurations_come_back_in_the_order_of_their_names_first_coming(store: Store) -> None:
    for config in (provider("b"), provider("a", options=None, removed=True), provider("b", enabled=False)):
        await store.save_provider(config)
    assert await store.providers() == (provider("b", enabled=False), provider("a", options=None, removed=True))


async def test_a_forgotten_configuration_is_gone(store: Store) -> None:
    await store.save_provider(provider())
    await store.forget_provider("kraken")
    await store.forget_provider("kraken")
    assert await store.providers() == ()


async def test_a_silence_that_is_no_number_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="stale_after_s"):
        await store.save_provider(provider(stale_after_s=float("nan")))


# Feedback ---------------------------------------------------------------------------------------------------


async def test_feedback_is_kept_in_the_order_it_came(store: Store) -> None:
    text = rationale(1)
    await store.handle([rationale_event(1)])
    given = (feedback(text.id), feedback(text.id, rating=-1, reason=FeedbackReason.WRONG_FIGURE, comment="„Nein“"))
    for one in given:
        await store.save_feedback(one)
    assert await store.feedback(text.id) == given


async def test_feedback_on_a_text_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no rationale 'nobody'"):
        await store.save_feedback(feedback("nobody"))
    assert store.status().rows["feedback"] == 0


async def test_feedback_may_follow_its_text_at_once(store: Store) -> None:
    text = rationale(1)
    await asyncio.gather(store.handle([rationale_event(1)]), store.save_feedback(feedback(text.id)))
    assert await store.feedback(text.id) == (feedback(text.id),)


# Answers and handled effects --------------------------------------------------------------------------------


async def test_an_answer_is_recalled_by_its_key(store: Store) -> None:
    await store.remember(answer())
    assert (await store.recall("key-1"), await store.recall("key-2")) == (answer(), None)


async def test_the_first_answer_under_a_key_stays(store: Store) -> None:
    kept = await asyncio.gather(store.remember(answer(status=201)), store.remember(answer(status=409)))
    assert kept == [answer(status=201)] * 2


async def test_an_answer_is_forgotten_after_a_day(store: Store, clock: ManualClock) -> None:
    await store.remember(answer())
    clock.advance(24 * 3600)
    assert await store.recall("key-1") == answer()
    clock.advance(1)
    assert await store.recall("key-1") is None


async def test_an_old_answer_makes_way_when_the_next_is_kept(store: Store, clock: ManualClock) -> None:
    await store.remember(answer())
    clock.advance(25 * 3600)
    fresh = answer(status=200, at=clock.now_ns())
    assert await store.remember(fresh) == fresh
    await store.remember(answer("key-2", at=clock.now_ns()))
    assert store.status().rows["answers"] == 2


async def test_a_handled_event_is_new_once(store: Store) -> None:
    first = await store.mark_handled("ledger", ["a", "b", "a"])
    second = await store.mark_handled("ledger", ["b", "c"])
    other = await store.mark_handled("bus", ["a"])
    assert (first, second, other) == ({"a", "b"}, {"c"}, {"a"})
    assert store.status().rows["handled"] == 4


async def test_it_can_be_asked_what_was_handled(store: Store) -> None:
    await store.mark_handled("ledger", [str(n) for n in range(2_500)])
    assert await store.handled("ledger", [str(n) for n in range(2_400, 2_600)]) == {str(n) for n in range(2_400, 2_500)}
    assert await store.handled("bus", ["1"]) == frozenset()


async def test_nothing_handled_is_no_trouble(store: Store) -> None:
    assert await store.mark_handled("ledger", []) == frozenset()


# Retention --------------------------------------------------------------------------------------------------


async def test_events_go_by_age(store: Store) -> None:
    await store.handle([event(n) for n in range(10)])
    assert await store.prune(MIDNIGHT + 7 * SECOND) == 7
    assert (await ids(store), store.status().rows["events"]) == ([event(n).id for n in (9, 8, 7)], 3)


async def test_more_old_events_than_one_slice_all_go(store: Store) -> None:
    await store.handle([event(n) for n in range(6_000)])
    assert await store.prune(MIDNIGHT + 5_999 * SECOND) == 5_999


async def test_row_numbers_are_not_used_twice(store: Store) -> None:
    await store.handle([event(n) for n in range(3)])
    first = await store.events(ALL, PageRequest(limit=1))
    await store.prune(MIDNIGHT + 100 * SECOND)
    await store.handle([event(5)])
    assert first.next_cursor is not None
    assert (await store.events(ALL, PageRequest(cursor=first.next_cursor))).rows == ()


async def test_a_dead_letter_that_waits_never_goes(store: Store) -> None:
    for n in range(3):
        await store.save_dead_letter(dead_letter(n))
    await store.mark_dead_letter(dead_letter(0).id, DeadLetterStatus.REPLAYED, 2)
    await store.mark_dead_letter(dead_letter(1).id, DeadLetterStatus.DISCARDED, 1)
    assert await store.prune(MIDNIGHT + 3600 * SECOND) == 2
    assert [letter.id for letter in (await store.dead_letters(None, None, PAGE)).rows] == [dead_letter(2).id]


async def test_records_stay_unless_told_otherwise(store: Store) -> None:
    await store.handle([allocation_event(1), rationale_event(2)])
    await store.prune(MIDNIGHT + 3600 * SECOND)
    assert (store.status().rows["allocations"], store.status().rows["rationales"]) == (1, 1)


async def test_records_go_by_an_age_of_their_own_with_their_feedback(store: Store) -> None:
    await store.handle([allocation_event(1), rationale_event(2), rationale_event(50)])
    for n in (2, 50):
        await store.save_feedback(feedback(rationale(n).id))
    assert await store.prune(MIDNIGHT, records_before_ts=MIDNIGHT + 10 * SECOND) == 2
    counts = store.status().rows
    assert [counts[name] for name in ("events", "allocations", "rationales", "feedback")] == [3, 0, 1, 1]
    assert await store.feedback(rationale(2).id) == ()


async def test_handled_marks_go_by_age(store: Store, clock: ManualClock) -> None:
    await store.mark_handled("ledger", ["a"])
    clock.advance(10)
    await store.mark_handled("ledger", ["b"])
    assert await store.prune(MIDNIGHT + 5 * SECOND) == 1
    assert await store.handled("ledger", ["a", "b"]) == {"b"}


# Life -------------------------------------------------------------------------------------------------------


async def test_a_store_that_is_not_open_says_so(tmp_path: Path, clock: ManualClock) -> None:
    store = Store("memory", clock=clock, data_dir=tmp_path)
    with pytest.raises(TransientError, match="not open"):
        await store.handle([event(1)])
    with pytest.raises(TransientError, match="not open"):
        await store.events(ALL, PAGE)


async def test_open_and_close_may_come_twice(store: Store) -> None:
    await store.open()
    assert store.is_open
    await store.close()
    await store.close()
    assert not store.is_open


async def test_what_was_kept_is_there_after_the_next_start(
    lasting_url: str, clock: ManualClock, tmp_path: Path
) -> None:
    store = Store(lasting_url, clock=clock, data_dir=tmp_path)
    await store.open()
    await store.handle([event(1), allocation_event(2), rationale_event(3)])
    await store.close()
    await store.open()
    assert len(await ids(store)) == 3
    assert {name: n for name, n in store.status().rows.items() if n} == {"events": 3, "allocations": 1, "rationales": 1}
    await store.close()


async def test_close_writes_what_waits(lasting_url: str, clock: ManualClock, tmp_path: Path) -> None:
    store = Store(lasting_url, clock=clock, data_dir=tmp_path)
    await store.open()
    writes = [asyncio.create_task(store.handle([event(n)])) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    await store.open()
    assert len(await ids(store)) == 50
    await store.close()


async def test_flush_waits_until_everything_before_it_is_committed(store: Store) -> None:
    writes = [asyncio.create_task(store.handle([event(n)])) for n in range(5)]
    await asyncio.sleep(0)
    await store.flush()
    assert store.status().rows["events"] == 5
    await asyncio.gather(*writes)


async def test_making_a_store_touches_nothing(tmp_path: Path, clock: ManualClock) -> None:
    Store("sqlite", clock=clock, data_dir=tmp_path / "data")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the folder is empty, nothing blocks


async def test_memory_leaves_nothing_on_disk(tmp_path: Path, clock: ManualClock) -> None:
    store = Store("memory", clock=clock, data_dir=tmp_path)
    await store.open()
    await store.handle([event(1)])
    await store.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the folder is empty, nothing blocks


async def test_the_folder_of_the_file_is_made_when_it_is_opened(tmp_path: Path, clock: ManualClock) -> None:
    store = Store("sqlite", clock=clock, data_dir=tmp_path / "deep" / "data")
    await store.open()
    await store.close()
    assert (tmp_path / "deep" / "data" / "store.db").is_file()


async def test_an_open_that_was_given_up_leaves_nothing_open_and_can_be_tried_again(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on, prepare = threading.Event(), threading.Event(), schema.prepare

    def slow(connection: sa.Connection) -> None:
        reached.set()
        assert go_on.wait(10)
        prepare(connection)

    store = Store("sqlite", clock=clock, data_dir=tmp_path)
    monkeypatch.setattr("marketstream.store.repository.CLOSE_S", 0.01)
    give_up = store._give_up_opening
    monkeypatch.setattr(store, "_give_up_opening", lambda: (give_up(), go_on.set()))
    monkeypatch.setattr(schema, "prepare", slow)
    opening = asyncio.create_task(store.open())
    assert await asyncio.to_thread(reached.wait, 10)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not store.is_open
    await store.open()
    await store.handle([event(1)])
    await store.close()


async def test_an_open_that_is_cancelled_can_be_closed(tmp_path: Path, clock: ManualClock) -> None:
    store = Store("sqlite", clock=clock, data_dir=tmp_path)
    opening = asyncio.create_task(store.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await store.close()
    other = Store("sqlite", clock=clock, data_dir=tmp_path)
    await other.open()
    await other.close()


# Status -----------------------------------------------------------------------------------------------------


async def test_the_status_counts_rows_without_reading_tables(store: Store) -> None:
    before = store.status()
    await store.handle([event(1), event(2), event(1)])
    await store.save_dead_letter(dead_letter(1))
    after = store.status()
    assert (before.rows["events"], after.rows["events"], after.rows["dead_letters"]) == (0, 2, 1)
    assert (before.commits, after.commits, after.written, after.errors, after.waiting) == (0, 2, 4, 0, 0)


async def test_the_status_says_where_and_at_which_revision(store: Store, store_url: str) -> None:
    status = store.status()
    kind = StoreKind(store_url.partition(":")[0])
    assert (status.kind, status.revision, status.fallback) == (kind, "0003", "")
    assert (status.size_bytes is not None) == (kind is StoreKind.SQLITE)


def test_the_status_of_a_closed_store_claims_nothing(tmp_path: Path, clock: ManualClock) -> None:
    status = Store("sqlite", clock=clock, data_dir=tmp_path, fallback="the file is in use").status()
    assert (status.revision, status.rows, status.commit_ms_p50, status.size_bytes) == ("", {}, None, None)
    assert status.fallback == "the file is in use"


async def test_times_of_commits_are_measured_on_the_clock(tmp_path: Path, clock: ManualClock) -> None:
    store = Store(
        "memory",
        clock=clock,
        data_dir=tmp_path,
        probe=lambda point: clock.advance(0.004 if point == "before_commit" else 0),
    )
    await store.open()
    await store.handle([event(1)])
    assert (store.status().commit_ms_p50, store.status().commit_ms_p99) == (4.0, 4.0)
    await store.close()
