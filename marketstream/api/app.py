"""The API of one engine, as a FastAPI application. server.py serves it; routers/ has one file per subject."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI

from marketstream import __version__
from marketstream.api import docs_page
from marketstream.api.compression import Compression
from marketstream.api.edge import Edge, EdgeStats
from marketstream.api.errors import add_error_handlers
from marketstream.api.idempotency import Idempotency
from marketstream.api.openapi import TAGS, install_openapi
from marketstream.api.routers import (
    dead_letters,
    edges,
    events,
    health,
    markets,
    portfolio,
    providers,
    rationale,
    records,
    streaming,
)
from marketstream.api.tables import Tables
from marketstream.engine import Engine

TITLE = "marketstream"
DESCRIPTION = """
Live prices, fair values, edges, positions and checked texts of one engine.

- Times are UTC, RFC 3339. Ages say their unit in their name. Every field names its unit.
- Prices of an asset are in its quote currency; prices of an outcome are probabilities from 0 to 1.
- A number that does not exist is null, and an absence says why: never an empty list that could mean anything.
- Errors have one shape: RFC 9457, `application/problem+json`.
- Bodies are `application/json`, at most 1 MB, with no unknown fields; so are queries.
- What makes something heeds `Idempotency-Key`: sent again it is answered again, not done again.
"""


def create_app(engine: Engine, *, hosts: Collection[str] = ()) -> FastAPI:
    """Return the API over `engine`, which its owner starts and stops.

    Args:
        engine: What to show and to switch. Its methods are called on the loop that serves the API.
        hosts: Names to answer to beside localhost and the loopback addresses, without port.
    """
    app = FastAPI(
        title=TITLE,
        version=__version__,
        summary="A live market workbench: many feeds in, checked numbers out",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        license_info={"name": "MIT", "identifier": "MIT"},
        generate_unique_id_function=lambda route: route.name,
    )
    edge_stats = EdgeStats()
    tables = Tables()
    app.include_router(streaming.router(engine))
    app.include_router(health.router(engine, edge_stats))
    app.include_router(providers.router(engine))
    app.include_router(rationale.router(engine))
    app.include_router(events.router(engine))
    app.include_router(records.router(engine))
    app.include_router(dead_letters.router(engine))
    app.include_router(markets.router(engine, tables))
    app.include_router(edges.router(engine, tables))
    app.include_router(portfolio.router(engine, tables))
    app.include_router(docs_page.router(TITLE))
    add_error_handlers(app)
    install_openapi(app)
    app.add_middleware(Idempotency, keep=lambda: engine.store, clock=engine.stopwatch)
    app.add_middleware(Compression)
    app.add_middleware(Edge, hosts=hosts, stats=edge_stats)
    return app
