"""The /docs page: Swagger UI from the files that fastapi-offline carries, so nothing leaves the machine."""

from __future__ import annotations

import html
from importlib.resources import files
from typing import Literal

from fastapi import APIRouter, Response

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
# Swagger UI writes style attributes and has icons in data: addresses; scripts come from this server only.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; its content is <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# validatorUrl: Swagger UI would otherwise send the document's address to a public validator.
START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  syntaxHighlight: {activated: false}
});
"""


def router(title: str) -> APIRouter:
    """Return the routes of the page and of its files; they are not part of the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)
    page = PAGE.format(title=html.escape(title))
    static = files("fastapi_offline") / "static"

    @routes.get("/")
    async def index() -> Response:
        return Response(status_code=307, headers={"location": "/docs"})

    @routes.get("/docs")
    async def docs() -> Response:
        return _served(page.encode(), "text/html; charset=utf-8")

    @routes.get("/docs/start.js")
    async def start() -> Response:
        return _served(START.encode(), "text/javascript; charset=utf-8")

    @routes.get("/docs/assets/{name}")
    async def asset(name: Literal["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"]) -> Response:
        return _served((static / name).read_bytes(), ASSETS[name])

    return routes


def _served(content: bytes, media_type: str) -> Response:
    return Response(content, headers={"content-type": media_type, "content-security-policy": DOCS_POLICY})
