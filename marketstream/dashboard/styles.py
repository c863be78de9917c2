"""Style sheets of what the page draws itself; every colour is a token of theme.py, so the toggle needs no Python."""

from __future__ import annotations

DOT_CSS = """
.dot { display: inline-block; width: 8px; height: 8px; border-radius: 50%; flex: none; }
.dot-live { background: var(--ms-up); }
.dot-late { background: linear-gradient(90deg, var(--ms-warn) 50%, transparent 50%);
  box-shadow: inset 0 0 0 1.5px var(--ms-warn); }
.dot-stale { box-shadow: inset 0 0 0 1.5px var(--ms-stale); }
.dot-gap { border-radius: 0; background: var(--ms-warn); clip-path: polygon(50% 0, 100% 100%, 0 100%); }
.dot-off { border-radius: 0; background: linear-gradient(90deg, var(--ms-stale) 33%, transparent 33% 67%,
  var(--ms-stale) 67%); }
.dot-fault { border-radius: 0; background: var(--ms-down); clip-path: polygon(20% 0, 50% 30%, 80% 0, 100% 20%,
  70% 50%, 100% 80%, 80% 100%, 50% 70%, 20% 100%, 0 80%, 30% 50%, 0 20%); }
"""
"""The dots of LIVE, late, STALE, GAP, SUSPENDED and FAULTED: shape first, colour second."""

BASE_CSS = (
    DOT_CSS
    + """
:host { font-family: Roboto, system-ui, -apple-system, 'Segoe UI', sans-serif; font-size: 12px; line-height: 1.35;
  color: var(--ms-ink); font-variant-numeric: tabular-nums lining-nums; }
* { box-sizing: border-box; }
p, h2, h3 { margin: 0; }
b { font-weight: 700; }
.muted { color: var(--ms-ink3); } .soft { color: var(--ms-ink2); } .small { font-size: 11px; }
.up { color: var(--ms-up); } .down { color: var(--ms-down); } .late { color: var(--ms-warn); }
.late.bold { font-weight: 700; } .accent { color: var(--ms-accent); }
.arrow { font-size: 9px; margin-right: 3px; }
table { width: 100%; border-collapse: collapse; font-size: 12px; }
th { font-weight: 400; font-size: 11px; color: var(--ms-ink3); text-align: left; padding: 4px 6px;
  white-space: nowrap; vertical-align: bottom; border-bottom: 1px solid var(--ms-line2); }
td { padding: 3px 6px; height: 24px; border-bottom: 1px solid var(--ms-line); white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { padding-left: 10px; } th:last-child, td:last-child { padding-right: 10px; }
.num { text-align: right; } td.wrap { white-space: normal; } td.when { width: 1%; }
.frac { display: inline-block; min-width: 5ch; text-align: left; }
tr.dim td { color: var(--ms-ink3); } tr.dim td.age { color: inherit; }
tr.sum td { font-weight: 700; }
.pill { display: inline-block; border: 1px solid var(--ms-line2); border-radius: 10px; padding: 0 8px;
  line-height: 17px; font-size: 11px; color: var(--ms-ink2); }
.tag { display: inline-block; border-radius: 4px; padding: 0 6px; line-height: 17px; font-size: 11px; }
.tag-yes { background: var(--ms-upbg); color: var(--ms-up); } .tag-no { background: var(--ms-raised);
  color: var(--ms-ink2); }
.bar { position: relative; display: block; height: 7px; background: var(--ms-raised); border-radius: 2px; }
.bar i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--ms-accent); opacity: .8;
  border-radius: 2px; }
.bar u { position: absolute; top: -3px; bottom: -3px; width: 2px; background: var(--ms-ink); }
.bar.plain i { background: var(--ms-ink3); }
.note { padding: 8px 10px; color: var(--ms-ink2); line-height: 1.5; }
.empty { padding: 20px 20px 24px; line-height: 1.6; color: var(--ms-ink2); white-space: normal; }
.empty b { display: block; color: var(--ms-ink); } .empty b.down { color: var(--ms-down); }
.ghost { height: 15px; margin: 9px 12px; background: var(--ms-raised); border-radius: 2px; }
.scroll { overflow-x: auto; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
)
"""What every pane of ours starts with."""

CARD_CSS = """
:host { display: flex; flex-direction: column; background: var(--ms-surface); border: 1px solid var(--ms-line);
  border-radius: 6px; box-shadow: none; margin: 0 0 8px 0; min-width: 0; }
:host(.ms-failed) { border-color: var(--ms-down); }
"""

_HEAD = """
.head { display: flex; align-items: baseline; gap: 8px; min-height: 27px; padding: 5px 10px 4px; }
.head b { font-size: 13px; white-space: nowrap; } .head .sub { font-size: 11px; color: var(--ms-ink3);
  min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.head .state { margin-left: auto; font-size: 11px; color: var(--ms-ink2); white-space: nowrap; }
"""
HEAD_CSS = _HEAD + ":host { flex: none; border-bottom: 1px solid var(--ms-line); }"
HEAD_IN_BAR_CSS = (
    _HEAD
    + ":host { flex: 1 1 0; width: auto; min-width: 0; overflow: hidden; }"
    + "@media (max-width: 759px) { :host { flex: 1 0 100%; width: 100%; } }"
)
BAR_CSS = """
:host { flex: none; flex-wrap: nowrap; align-items: center; border-bottom: 1px solid var(--ms-line); }
@media (max-width: 759px) { :host { flex-wrap: wrap; padding-left: 6px; } }
"""
"""The title bar of a card, alone or beside actions."""

TABLE_CSS = (
    DOT_CSS
    + """
:host { font-variant-numeric: tabular-nums lining-nums; }
.tabulator { background: var(--ms-surface) !important; border: 0 !important; font-size: 12px;
  font-family: Roboto, system-ui, sans-serif; }
.tabulator .tabulator-tableholder { background: var(--ms-surface); overflow-x: hidden; }
.tabulator .tabulator-tableholder .tabulator-table { background: var(--ms-surface); color: var(--ms-ink); }
.tabulator .tabulator-header { background: var(--ms-surface) !important; border-bottom: 1px solid var(--ms-line2);
  color: var(--ms-ink3); font-weight: 400; }
.tabulator .tabulator-header .tabulator-col { background: var(--ms-surface) !important; border: 0 !important;
  min-height: 0; }
.tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px !important; }
.tabulator .tabulator-header .tabulator-col .tabulator-col-title { font-size: 11px; font-weight: 400;
  color: var(--ms-ink3); white-space: normal !important; line-height: 1.2; padding-right: 0 !important; }
.tabulator .tabulator-header .tabulator-col-sorter { right: -1px !important; bottom: auto !important; }
.tabulator .tabulator-header .tabulator-arrow { border-width: 3px !important; opacity: 0; }
.tabulator .tabulator-header .tabulator-col:hover .tabulator-arrow { opacity: .6; }
.tabulator-col[aria-sort="ascending"] .tabulator-arrow, .tabulator-col[aria-sort="descending"] .tabulator-arrow {
  opacity: 1 !important; }
.tabulator-row { background: var(--ms-surface) !important; border: 0 !important; color: var(--ms-ink);
  border-bottom: 1px solid var(--ms-line) !important; min-height: 24px !important; height: 24px !important; }
.tabulator-row:hover { background: var(--ms-hover) !important; }
.tabulator-row.tabulator-selected, .tabulator-row.tabulator-selected:hover {
  background: var(--ms-accentbg) !important; color: var(--ms-ink) !important; }
.tabulator-row .tabulator-cell { border: 0 !important; padding: 4px !important; font-size: 12px; line-height: 15px;
  height: 23px !important; min-height: 23px !important; background: inherit; }
.tabulator-row .tabulator-frozen { background: inherit; border: 0 !important; }
.tabulator-row.tabulator-group { background: var(--ms-raised) !important; color: var(--ms-ink2); font-weight: 700;
  font-size: 11px; padding: 4px 8px !important; min-height: 22px !important; height: 22px !important; min-width: 0; }
.tabulator-row.tabulator-group span { color: var(--ms-ink3) !important; font-weight: 400; margin-left: 8px; }
.tabulator-row.tabulator-group .tabulator-arrow { border-width: 4px 0 4px 6px !important;
  border-left-color: var(--ms-ink3) !important; margin-right: 8px; }
.tabulator-row.tabulator-group.tabulator-group-visible .tabulator-arrow { border-width: 6px 4px 0 4px !important;
  border-left-color: transparent !important; border-top-color: var(--ms-ink3) !important; }
.tabulator-placeholder span { color: var(--ms-ink3) !important; font-size: 12px !important; font-weight: 400; }
.frac { display: inline-block; min-width: 5ch; text-align: left; }
.v { color: var(--ms-ink3); font-size: 11px; } .v.code { display: inline-block; width: 24px; text-align: left; }
.nm { font-weight: 700; } .dim { color: var(--ms-ink3); } .soft { color: var(--ms-ink2); }
.na { color: var(--ms-ink3); font-style: normal; }
.up { color: var(--ms-up); } .down { color: var(--ms-down); } .late { color: var(--ms-warn); }
.b { font-weight: 700; } .ar { font-size: 9px; margin-right: 3px; }
svg.spark { display: block; width: 74px; height: 15px; overflow: visible; }
svg.spark path { fill: none; stroke-width: 1.2; vector-effect: non-scaling-stroke; }
.meter { position: relative; display: inline-block; vertical-align: middle; width: 34px; height: 4px;
  background: var(--ms-raised); margin-left: 5px; border-radius: 2px; }
.meter i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--ms-accent); border-radius: 2px; }
.meter u { position: absolute; top: -3px; bottom: -3px; width: 1px; background: var(--ms-ink2); }
.tag { display: inline-block; border-radius: 4px; padding: 0 6px; line-height: 16px; font-size: 11px; }
.tag-yes { background: var(--ms-upbg); color: var(--ms-up); } .tag-no { background: var(--ms-raised);
  color: var(--ms-ink2); }
"""
)
"""What every Tabulator gets on top of its `simple` theme."""


PAIR_CSS = """
:host { display: flex; flex-direction: row; gap: 8px; align-items: flex-start; flex-wrap: nowrap; }
@media (max-width: 1099px) { :host { flex-direction: column; gap: 0; align-items: stretch; } }
"""
"""Two columns, stacked on a narrow window."""

WIDE_CSS = """
:host { flex: 1 1 0; min-width: 0; width: auto; overflow: visible; }
@media (max-width: 1099px) { :host { flex: none; width: 100%; } }
"""
SIDE_CSS = """
:host { flex: 0 0 420px; width: 420px; min-width: 0; }
@media (max-width: 1099px) { :host { flex: none; width: 100%; } }
"""
"""The wide and the narrow one of two columns."""

THREE_CSS = """
:host { display: grid !important; grid-template-columns: 1fr 1fr 1fr; gap: 8px; align-items: start; }
@media (max-width: 1099px) { :host { grid-template-columns: 1fr; gap: 0; } }
"""
"""Three cards beside each other, stacked on a narrow window."""
