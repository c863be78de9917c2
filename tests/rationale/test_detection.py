"""Automatic mutations of the narrator's texts are found, each kind of them, by the text alone.

MARKETSTREAM_FUZZ=2000 mutates the texts of a tenth as many random snapshots in place of 5 (`make fuzz`) and prints
the rates.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from mutations import Mutant, mutants
from snapshot_factory import World, random_snapshot

from marketstream.market.rationale import FactSheet, RationaleKind
from marketstream.rationale.facts import fact_sheet
from marketstream.rationale.narrator import narrate
from marketstream.rationale.verifier import verify_text

FUZZ = int(os.environ.get("MARKETSTREAM_FUZZ", "0"))
SNAPSHOTS = max(FUZZ // 10, 5)
PER_KIND = 4
WANTED = 0.99

Check = Callable[[str, FactSheet], bool]


def texts(seed: int) -> list[tuple[FactSheet, list[Mutant]]]:
    """Return the sheets of one random snapshot, each with some mutants of every kind."""
    rng = np.random.default_rng(seed)
    snapshot = random_snapshot(World(seed=seed, n_assets=7, n_markets=3, hostile=bool(seed % 2)))
    instruments = snapshot.market.catalog.instruments
    subject = instruments[seed % len(instruments)].id
    out = []
    for kind in RationaleKind:
        sheet = fact_sheet(snapshot, kind, subject if kind is RationaleKind.POSITION_EXPLANATION else None)
        text, spans = narrate(sheet).render_text()
        assert not verify_text(text, sheet)
        by_kind: dict[str, list[Mutant]] = {}
        for mutant in mutants(text, spans, sheet, rng):
            by_kind.setdefault(mutant.kind, []).append(mutant)
        chosen = [group[i] for group in by_kind.values() for i in rng.permutation(len(group))[:PER_KIND]]
        out.append((sheet, chosen))
    return out


def rates(check: Check, seeds: range) -> tuple[Counter[str], Counter[str], list[str]]:
    """Return found and tried mutants by kind, and notes on those that were missed."""
    found: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    missed: list[str] = []
    for seed in seeds:
        for sheet, chosen in texts(seed):
            for mutant in chosen:
                tried[mutant.kind] += 1
                if check(mutant.text, sheet):
                    found[mutant.kind] += 1
                else:
                    missed.append(f"seed {seed} {sheet.kind} {mutant.kind}: {mutant.note}")
    return found, tried, missed


def refuses(text: str, sheet: FactSheet) -> bool:
    return bool(verify_text(text, sheet))


def refuses_unknown_digits_alone(text: str, sheet: FactSheet) -> bool:
    """Be the verifier that the issue calls not good enough: any number must be some fact's value, within 1 %."""
    values = [abs(fact.value) for fact in sheet.facts] + [14.0, 59.0]
    for name in sorted(sheet.names, key=lambda n: -len(n.text)):
        text = text.replace(name.text, "")
    text = re.sub(r"“[^”]*”", "", text)
    shown = [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
    return any(all(abs(n - v) > 0.01 * abs(v) for v in values) for n in shown)


@pytest.mark.timeout(20 if FUZZ == 0 else 7200)
def test_mutated_texts_are_refused_by_the_text_alone() -> None:
    found, tried, missed = rates(refuses, range(SNAPSHOTS))
    if FUZZ:
        for kind in sorted(tried):
            print(f"{kind:20s} {found[kind]:7d} of {tried[kind]:7d}  {found[kind] / tried[kind]:.4f}")
        print(f"{'all':20s} {found.total():7d} of {tried.total():7d}  {found.total() / tried.total():.4f}")
    assert found.total() >= WANTED * tried.total(), missed[:20]
    for kind in tried:
        assert found[kind] >= WANTED * tried[kind], [m for m in missed if kind in m][:20]


def test_every_kind_of_mutation_is_tried() -> None:
    kinds = {m.kind for seed in range(4) for _, chosen in texts(seed) for m in chosen}
    assert kinds == {
        "x10",
        "/10",
        "transposed",
        "last digit",
        "decimals",
        "sign",
        "number word",
        "hedge",
        "time",
        "figures exchanged",
        "direction",
        "superlative",
        "unit",
        "negation",
        "metric word",
        "instrument swap",
        "venue swap",
        "unknown name",
        "open claim",
    }


def test_a_verifier_of_digits_alone_would_miss_most_of_them() -> None:
    found, tried, _ = rates(refuses_unknown_digits_alone, range(3))
    assert found.total() < 0.7 * tried.total()
    for kind in ("direction", "superlative", "negation", "metric word", "instrument swap", "sign", "figures exchanged"):
        assert found[kind] < 0.2 * tried[kind], kind
