"""The bar over the page says whose prices these are: a recording's are never taken for live ones."""

from __future__ import annotations

from pathlib import Path

from bokeh.document import Document
from drawn_pages import end, go_to, shown

from marketstream.dashboard.session import Session
from marketstream.dashboard.trail import Trail
from marketstream.engine import ReplayEngine, replay


def quotes(folder: Path, name: str = "quotes.csv") -> Path:
    path = folder / name
    lines = [f"{t},{venue},BTC/USD,{100 + t},{101 + t},1,1" for t in range(60) for venue in ("a", "b")]
    path.write_text("ts,venue,instrument,bid,ask,bid_size,ask_size\n" + "\n".join(lines) + "\n")
    return path


def header(session: Session) -> str:
    return "\n".join(shown(item) for item in session.shell.header)


def drawn(engine: ReplayEngine) -> tuple[Session, Document]:
    session = Session(engine, Trail())
    document = Document()
    session.page.server_doc(document)
    session.refresh()
    return session, document


async def test_a_replay_shows_file_speed_and_position_in_place_of_demo_or_live(tmp_path: Path) -> None:
    engine = replay(quotes(tmp_path))
    await engine.run_for(30)
    session, document = drawn(engine)
    words = header(session)
    assert "REPLAY" in words and "quotes.csv" in words and "as fast as it goes" in words and "1970-01-01" in words
    assert "LIVE" not in words and "SIMULATED" not in words
    end(session, document)
    engine.speed = 20
    session, document = drawn(engine)
    assert "20×" in header(session)
    end(session, document)
    await engine.close()


async def test_the_end_of_a_recording_is_said_and_its_figures_stay(tmp_path: Path) -> None:
    engine = replay(quotes(tmp_path))
    await engine.run_to_end()
    session, document = drawn(engine)
    assert "End of recording" in shown(session.page.main[0])
    assert "BTC-USD" in go_to(session, "Markets") and session.faults == 0
    end(session, document)
    await engine.close()


async def test_a_name_of_a_file_is_text_and_nothing_else(tmp_path: Path) -> None:
    engine = replay(quotes(tmp_path, "<img src=x onerror=alert(1)>.csv"))
    await engine.run_for(5)
    session, document = drawn(engine)
    assert "<img" not in header(session) and "&lt;img" in header(session)
    end(session, document)
    await engine.close()


async def test_before_the_first_cycle_the_page_says_that_it_plays_a_recording(tmp_path: Path) -> None:
    engine = replay(quotes(tmp_path))
    session = Session(engine, Trail())
    assert not session.refresh()
    assert "Playing the recording" in shown(session.page.main[0])
    session.close()
    await engine.close()
