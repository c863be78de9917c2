"""Examples of answers for the OpenAPI document, by model; those of bodies stand with their models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketstream.api.errors import PROBLEM_NAMES

_NOW = "2026-01-01T00:00:03.000000Z"
_TABLE = {"as_of": _NOW, "sequence": 930, "simulated": True, "absence": None, "count": 1}

STATUS = {
    "state": "running",
    "profile": "demo",
    "simulated": True,
    "started_at": "2026-01-01T00:00:00.000000Z",
    "now": _NOW,
    "sequence": 930,
    "cycle_s": 0.1,
    "cycle_ms_p50": 1.9,
    "cycle_ms_p99": 3.4,
    "quotes_per_s": 878.7,
    "refused_share": 0.0,
    "n_instruments": 52,
    "n_venues": 8,
    "n_providers": 10,
    "analysis_ms": 21.4,
    "errors": 0,
    "events_waiting": 0,
    "dead_lettered": 0,
    "store": "sqlite",
    "replay": None,
}
HEALTH_ITEM = {
    "status": "DEGRADED",
    "absence": "STALE",
    "detail": "no valid quote for 11.2 s (allowed: 10 s)",
    "age_s": 11.2,
}
HEALTH = {
    "status": "degraded",
    "reasons": ["alder: no valid quote for 11.2 s (allowed: 10 s)"],
    "state": "running",
    "now": _NOW,
    "cycle_age_s": 0.04,
    "analysis_age_s": 0.31,
    "engine_errors": 0,
    "api_errors": 0,
    "api_refused": 0,
    "providers": {"alder": HEALTH_ITEM},
}
PROVIDER = {
    "name": "alder",
    "kind": "simulated",
    "status": "RUNNING",
    "absence": None,
    "detail": "delivering",
    "enabled": True,
    "age_s": 0.0007,
    "stale_after_s": 10.0,
    "options": {"world": "demo", "venue": "alder"},
    "frames": 91156,
    "quotes": 91156,
    "refused": {},
    "errors": 0,
    "reconnects": 0,
    "success_rate": 1.0,
    "rate": 305.4,
    "venues": ["alder"],
    "n_instruments": 26,
    "trusted_pairs": 26,
    "faults": ["stall", "gap", "crossed", "spike", "disconnect"],
}
EVENT = {
    "id": "5f9d2e5e707d-00000085",
    "ts": _NOW,
    "topic": "provider.config.changed",
    "subject": "spare",
    "message": "Provider added.",
    "data": {"kind": "simulated", "enabled": True, "change": "added"},
}
ALLOCATION = {
    "event_id": "5f9d2e5e707d-00000022",
    "ts": _NOW,
    "sequence": 930,
    "status": "optimal",
    "method": "mean-variance, PIQP 9 iterations; 1 factor, 29 returns of 30 s",
    "turnover": 0.46,
    "weights": {"BTC-USD": 0.038, "EUR-USD": 0.2},
    "previous_weights": {"BTC-USD": 0.038, "EUR-USD": 0.038},
    "stakes": {"VALE-HRT:vale@saltmarsh": 101.08},
    "cause": {"binding": ["largest weight: EUR-USD"], "horizon_s": 1800.0, "risk": 0.0029},
}
STORE = {
    "kind": "sqlite",
    "location": ".marketstream/store.db",
    "revision": "0003",
    "fallback": "",
    "rows": {"events": 60, "providers": 1, "allocations": 1, "rationales": 0, "feedback": 0, "dead_letters": 2},
    "written": 67,
    "commits": 18,
    "waiting": 0,
    "commit_ms_p50": 1.4,
    "commit_ms_p99": 6.2,
    "errors": 0,
    "size_bytes": 94208,
}
HANDLER = {
    "name": "store",
    "kind": "effect",
    "topics": ["provider.status.changed", "engine.status.changed"],
    "waiting": 0,
    "done": 60,
    "retries": 0,
    "dead_lettered": 0,
    "dropped": 0,
    "overflow": 0,
    "ms_p50": 1.6,
    "ms_p99": 7.1,
    "errors": 0,
    "last_error": "",
    "retrying": "",
}
LETTER = {
    "id": "mailer:5f9d2e5e707d-00000087",
    "handler": "mailer",
    "event_id": "5f9d2e5e707d-00000087",
    "topic": "engine.status.changed",
    "subject": "engine",
    "error_type": "PermanentError",
    "error": "no such mailbox",
    "attempts": 1,
    "failed_at": _NOW,
    "status": "waiting",
}
PAYLOAD = {
    "id": "5f9d2e5e707d-00000087",
    "ts": "1767225603000000000",
    "topic": "engine.status.changed",
    "subject": "engine",
    "message": "Stream resumed.",
    "data": {},
}
MARKET = {
    "instrument": "NGR-EMA:home",
    "name": "Northgate Rovers",
    "kind": "outcome",
    "market": "NGR-EMA",
    "unit": "probability",
    "fair": 0.5025,
    "fair_sd": 0.013,
    "method": "devigged pool",
    "n_venues": 4,
    "n_live": 4,
    "best_bid": 0.4902,
    "best_ask": 0.5025,
    "mid": 0.4964,
    "spread": 0.0123,
    "crossed": False,
    "bid_venue": "tidemark",
    "ask_venue": "tidemark",
    "age_ms": 654.8,
    "oldest_age_ms": 1695.1,
    "sources": [
        {
            "venue": "quayside",
            "provider": "quayside",
            "state": "LIVE",
            "age_ms": 1545.6,
            "bid": None,
            "ask": 0.5376,
            "bid_size": 0.0,
            "ask_size": 767.63,
        }
    ],
    "left_out": [],
}
EDGE = {
    "instrument": "LINK-USD",
    "venue": "damson",
    "side": "buy",
    "kind": "asset",
    "unit": "USD",
    "price": 22.8135,
    "size": 475.8,
    "edge": 0.0087,
    "roi": 0.00038,
    "gap_bps": -6.69,
    "se": 0.0025,
    "age_oldest_leg_ms": 43.3,
    "executable": True,
    "reason": "",
    "opened": _NOW,
}
POSITION = {
    "instrument": "BTC-USD",
    "venue": None,
    "kind": "asset",
    "unit": "weight",
    "target": 0.0385,
    "current": 0.0385,
    "change": 0.0,
    "stake": None,
    "locked": None,
    "contribution": 0.0476,
    "binding": "no trade band",
}
PORTFOLIO = {
    "total": 26,
    "status": "optimal",
    "reason": "",
    "method": "mean-variance, PIQP 9 iterations; 1 factor, 29 returns of 30 s",
    "binding": ["no trade band: 16 assets"],
    "horizon_s": 1800.0,
    "expected_return": 0.0,
    "risk": 0.0029,
    "worst_loss": 0.0071,
    "turnover": 0.4637,
    "cost": 0.0004,
    "bankroll": 20000.0,
    "stake_total": 0.0,
    "outcome_profit": 0.0,
    "outcome_worst_loss": 0.0,
    "rows": [POSITION],
}
RATIONALE_ROW = {
    "id": "rationale-20260101-000000000-000001",
    "rationale_type": "risk_review",
    "subject": None,
    "status": "ready",
    "headline": "Risk of 29.1 bps per 30 minutes; MKR-USD has the largest share of the risk",
    "n_figures": 25,
    "written_by": "narrator",
    "created_at": _NOW,
    "as_of": _NOW,
    "sequence": 930,
    "reason": "",
}
RATIONALE = RATIONALE_ROW | {
    "headline_spans": [{"start": 8, "end": 16, "fact_id": "portfolio.risk", "kind": "figure"}],
    "text": "As of 00:00:03 UTC the risk is 29.1 bps per 30 minutes and the expected return is 0.0 bps.",
    "spans": [{"start": 6, "end": 18, "fact_id": "feeds.as_of", "kind": "figure"}],
    "facts": [
        {
            "id": "portfolio.risk",
            "subject": "portfolio",
            "subject_name": "the portfolio",
            "metric": "risk",
            "venue": None,
            "value": 29.1,
            "unit": "bps",
            "decimals": 1,
            "directional": False,
            "as_of": _NOW,
            "source": "allocation.risk",
            "age_ms": None,
            "exact": 29.0537,
            "text": "",
        }
    ],
    "issues": [],
    "attempts": [{"backend": "narrator", "outcome": "written", "detail": "", "duration_ms": 4.2}],
}
FEEDBACK = {"rating": -1, "reason": "unclear", "comment": "Which venue is late?", "at": _NOW}


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"as_of": _NOW, "count": 1, "next_cursor": "ZXZlbnRzLjUz", "rows": [row]}


EXAMPLES: Mapping[str, Any] = {
    "StreamingStatus": STATUS,
    "Health": HEALTH,
    "HealthItem": HEALTH_ITEM,
    "Liveness": {"live": True},
    "Readiness": {"ready": True, "now": _NOW, "analysis_age_s": 0.31, "delivering": 10},
    "ProviderInfo": PROVIDER,
    "ProviderList": {"as_of": _NOW, "count": 1, "providers": [PROVIDER]},
    "EventPage": _listed(EVENT),
    "AllocationPage": _listed(ALLOCATION),
    "StoreInfo": STORE,
    "HandlerList": {"as_of": _NOW, "count": 1, "handlers": [HANDLER]},
    "DeadLetterPage": _listed(LETTER),
    "DeadLetterWhole": LETTER | {"payload": PAYLOAD},
    "MarketTable": _TABLE | {"total": 26, "rows": [MARKET]},
    "MarketDetail": {
        "as_of": _NOW,
        "sequence": 930,
        "simulated": True,
        "row": MARKET,
        "outcomes": {"NGR-EMA:home": 0.5025, "NGR-EMA:draw": 0.2716, "NGR-EMA:away": 0.2259},
        "edges": [],
    },
    "EdgeTable": _TABLE | {"total": 4, "rows": [EDGE]},
    "Portfolio": _TABLE | PORTFOLIO,
    "RationaleTicket": {"id": RATIONALE_ROW["id"]},
    "RationalePage": _listed(RATIONALE_ROW),
    "RationaleInfo": RATIONALE,
    "FeedbackInfo": FEEDBACK,
    "FeedbackList": {"id": RATIONALE_ROW["id"], "count": 1, "feedback": [FEEDBACK]},
    "Problem": {
        "type": f"{PROBLEM_NAMES}invalid-input",
        "title": "Invalid Input",
        "status": 422,
        "detail": "1 value refused, at /body/fault/duration_s",
        "instance": "/streaming/providers/alder",
        "errors": [{"pointer": "/body/fault/duration_s", "detail": "Input should be greater than 0"}],
    },
}
"""An answer of each model that an operation answers with."""
