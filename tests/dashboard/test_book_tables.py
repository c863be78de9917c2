"""Tables of weights and stakes: parts add up to the sums as shown."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketstream.dashboard.views.book_tables import rounded_parts, weights_table
from marketstream.engine import Engine


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_rounded_parts_add_up_and_none_is_off_by_a_whole_step(parts: list[float]) -> None:
    rounded = rounded_parts(np.array(parts), 1)
    # Within half a step of the true sum: 0.35 has two nearest tenths, and either will do.
    assert abs(rounded.sum() - sum(parts)) <= 0.05 + 1e-9
    assert (np.abs(rounded - parts) <= 0.1 + 1e-9).all()


def test_plain_rounding_would_not_add_up() -> None:
    parts = np.full(3, 100 / 3)
    assert np.round(parts, 1).sum() != pytest.approx(100.0)
    assert rounded_parts(parts, 1).sum() == pytest.approx(100.0)


async def test_the_sum_row_is_the_sum_of_the_rows_above(engine: Engine) -> None:
    assert engine.snapshot is not None
    table = weights_table(engine.snapshot.allocation, engine.catalog)
    *rows, total = re.findall(r"<tr.*?</tr>", table.split("<tbody>")[1])
    now, target, _trade, risk = (
        [float(cells[i].replace("−", "-").replace(",", "")) for cells in map(figures, rows) if cells] for i in range(4)
    )
    assert figures(total)[0] == f"{sum(now):.1f}" == "100.0"
    assert figures(total)[1] == f"{sum(target):.1f}" == "100.0"
    assert figures(total)[3] == f"{sum(risk):.1f}"


def figures(row: str) -> list[str]:
    return [re.sub(r"<.*?>|[▲▼+]", "", cell) for cell in re.findall(r'<td class="num[^"]*">(.*?)</td>', row)]
