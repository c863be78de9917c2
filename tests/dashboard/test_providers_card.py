"""Switches and fault buttons of Health act on the registry, and rows follow it."""

from __future__ import annotations

from drawn_pages import go_to, shown

from marketstream.dashboard.session import Session
from marketstream.dashboard.views.providers import ProviderRow
from marketstream.engine import Engine
from marketstream.market.events import ProviderStatus


def rows(session: Session) -> dict[str, ProviderRow]:
    card = session.views["Health"].providers  # type: ignore[attr-defined]  # the Health view has one
    return dict(card.rows)


async def test_a_switch_takes_its_provider_out_and_in_again(engine: Engine, session: Session) -> None:
    go_to(session, "Health")
    name = engine.registry.names[0]
    row = rows(session)[name]
    await row.turn(on=False)
    assert not engine.registry.is_enabled(name)
    assert engine.registry.get(name).status is ProviderStatus.DISABLED
    session.touch()
    assert "DISABLED" in shown(row.view)
    await row.turn(on=True)
    assert engine.registry.is_enabled(name)


async def test_a_switch_follows_what_somebody_else_did(engine: Engine, session: Session) -> None:
    go_to(session, "Health")
    name = engine.registry.names[1]
    await engine.registry.disable(name)
    session.touch()
    assert rows(session)[name].switch.value is False


async def test_a_fault_from_the_menu_is_played(engine: Engine, session: Session) -> None:
    go_to(session, "Health")
    name = engine.registry.names[1]
    rows(session)[name].play({"label": "stall for 15 s"})
    await engine.handlers.settle()
    assert any("stall" in event.message and event.subject == name for event in engine.events)
    await engine.run_for(14.0)
    session.touch()
    assert "DEGRADED" in shown(rows(session)[name].view)


async def test_a_removed_provider_loses_its_row(engine: Engine, session: Session) -> None:
    go_to(session, "Health")
    name = engine.registry.names[-1]
    await engine.registry.remove(name)
    session.touch()
    assert name not in rows(session)
