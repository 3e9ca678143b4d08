"""The OpenAPI document, and the pages that show it without internet access."""

from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import RedocRenderPlugin, SwaggerRenderPlugin
from litestar.static_files import create_static_files_router

_ASSETS = "/assets"

_SWAGGER_UI = SwaggerRenderPlugin(
    js_url=f"{_ASSETS}/swagger-ui-bundle.js",
    css_url=f"{_ASSETS}/swagger-ui.css",
    standalone_preset_js_url=f"{_ASSETS}/swagger-ui-standalone-preset.js",
    favicon="",
)
_REDOC = RedocRenderPlugin(js_url=f"{_ASSETS}/redoc.standalone.js", google_fonts=False, favicon="")


def documentation(document: dict[str, Any]) -> list[HTTPRouteHandler]:
    """Serves the OpenAPI document, and the pages that show it."""
    encoded = msgspec.json.encode(document)

    @get("/openapi.json", media_type=MediaType.JSON, sync_to_thread=False)
    def openapi() -> bytes:
        return encoded

    @get("/docs", media_type=MediaType.HTML, sync_to_thread=False)
    def swagger_ui(request: Request[Any, Any, Any]) -> bytes:
        return _SWAGGER_UI.render(request, document)

    @get("/redoc", media_type=MediaType.HTML, sync_to_thread=False)
    def redoc(request: Request[Any, Any, Any]) -> bytes:
        return _REDOC.render(request, document)

    return [openapi, swagger_ui, redoc]


def assets() -> Router:
    """Serves the scripts and styles of the pages."""
    return create_static_files_router(_ASSETS, [Path(__file__).parent / "assets"])
