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
td.source { max-width: 68px; overflow: hidden; text-overflow: ellipsis; }
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
:host { flex-direction: column; background: var(--ms-surface); border: 1px solid var(--ms-line);
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
:host { position: relative; font-family: Roboto, system-ui, -apple-system, 'Segoe UI', sans-serif; font-size: 12px;
  color: var(--ms-ink); font-variant-numeric: tabular-nums lining-nums; }
.scroll { position: absolute; inset: 0; overflow-y: auto; overflow-x: hidden; }
table { width: 100%; border-collapse: separate; border-spacing: 0; table-layout: fixed; }
thead th { position: sticky; top: 0; z-index: 2; background: var(--ms-surface); padding: 0;
  border-bottom: 1px solid var(--ms-line2); font-weight: 400; vertical-align: bottom; }
th button { all: unset; box-sizing: border-box; width: 100%; cursor: pointer; padding: 4px; font-size: 11px;
  line-height: 1.2; color: var(--ms-ink3); text-align: inherit; }
th button:hover { color: var(--ms-ink); } th button:focus-visible, tr:focus-visible {
  outline: 2px solid var(--ms-accent); outline-offset: -2px; }
th[aria-sort=ascending] button, th[aria-sort=descending] button { color: var(--ms-accent); }
th[aria-sort=ascending] button::after { content: " ▴"; } th[aria-sort=descending] button::after { content: " ▾"; }
tbody td { height: 24px; padding: 0 4px; border-bottom: 1px solid var(--ms-line); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
td:first-child { padding-left: 8px; } td:last-child, th:last-child button { padding-right: 8px; }
tr[data-key] { cursor: pointer; } tr[data-key]:hover { background: var(--ms-hover); }
tr[aria-selected=true], tr[aria-selected=true]:hover { background: var(--ms-accentbg); }
tr.group th { text-align: left; background: var(--ms-raised); color: var(--ms-ink2); font-size: 11px; height: 22px;
  padding: 0 10px; border-bottom: 1px solid var(--ms-line); }
tr.group .n { color: var(--ms-ink3); font-weight: 400; margin-left: 8px; }
.a-right { text-align: right; } .a-center { text-align: center; } .a-left { text-align: left; }
.frac { display: inline-block; min-width: 5ch; text-align: left; }
.v { color: var(--ms-ink3); font-size: 11px; }
.v.code { display: inline-block; width: 26px; padding-left: 4px; text-align: left; }
.nm { font-weight: 700; } .soft { color: var(--ms-ink2); } .na, .grey, .zero { color: var(--ms-ink3); }
.up { color: var(--ms-up); } .down { color: var(--ms-down); } .late { color: var(--ms-warn); } .b { font-weight: 700; }
tr.dim, tr.dim .nm, tr.dim .soft, tr.dim .up, tr.dim .down { color: var(--ms-ink3); }
.ar { font-size: 9px; margin-right: 3px; }
svg.spark { display: block; width: 74px; height: 15px; overflow: visible; }
svg.spark path { fill: none; stroke-width: 1.2; vector-effect: non-scaling-stroke; }
.rose path { stroke: var(--ms-up); } .fell path { stroke: var(--ms-down); }
tr.dim .spark path { stroke: var(--ms-stale); stroke-dasharray: 2 2; }
.meter { position: relative; display: inline-block; vertical-align: middle; width: 34px; height: 4px;
  background: var(--ms-raised); margin-left: 5px; border-radius: 2px; }
.meter i { position: absolute; left: 0; top: 0; bottom: 0; background: var(--ms-accent); border-radius: 2px; }
.meter u { position: absolute; top: -3px; bottom: -3px; width: 1px; background: var(--ms-ink2); }
.tag { display: inline-block; border-radius: 4px; padding: 0 6px; line-height: 16px; font-size: 11px; }
.tag-yes { background: var(--ms-upbg); color: var(--ms-up); } .tag-no { background: var(--ms-raised);
  color: var(--ms-ink2); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (max-width: 759px) { tbody td { height: 38px; } }
"""
)
"""What every live table starts with; live_table.js draws it."""


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
