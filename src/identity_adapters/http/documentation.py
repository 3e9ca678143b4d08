"""The OpenAPI document, and the pages that show it without internet access."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, RedocRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import OpenAPI
from litestar.static_files import create_static_files_router

from identity_adapters.http.access import SECURITY_SCHEMES

_ASSETS = "/assets"

_SWAGGER_UI = SwaggerRenderPlugin(
    js_url=f"{_ASSETS}/swagger-ui-bundle.js",
    css_url=f"{_ASSETS}/swagger-ui.css",
    standalone_preset_js_url=f"{_ASSETS}/swagger-ui-standalone-preset.js",
    favicon="",
)
_REDOC = RedocRenderPlugin(js_url=f"{_ASSETS}/redoc.standalone.js", google_fonts=False, favicon="")

# Litestar answers every unknown path below this one with a page of HTML, so the pages, which
# lie beside it, are handlers of their own.
OPENAPI = OpenAPIConfig(
    title="Identity reconciliation",
    version=version("identity-reconciliation"),
    description="Says which orders belong to one customer.",
    path="/openapi.json",
    components=SECURITY_SCHEMES,
    render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
)


def tell_apart(document: OpenAPI) -> None:
    """Have the document say that an answer of a dry run is no answer of another kind with more members."""
    if document.components.schemas is not None:
        document.components.schemas["IdentifyAnswer"].additional_properties = False


@get("/docs", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def swagger_ui(request: Request[Any, Any, Any]) -> bytes:
    return _SWAGGER_UI.render(request, request.app.openapi_schema.to_schema())


@get("/redoc", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def redoc(request: Request[Any, Any, Any]) -> bytes:
    return _REDOC.render(request, request.app.openapi_schema.to_schema())


def assets() -> Router:
    """Serves the scripts and styles of the pages."""
    return create_static_files_router(_ASSETS, [Path(__file__).parent / "assets"])
