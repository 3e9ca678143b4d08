"""The OpenAPI document, and the pages that show it without internet access."""

from importlib.metadata import version
from pathlib import Path

from litestar import MediaType, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, RedocRenderPlugin, SwaggerRenderPlugin
from litestar.static_files import create_static_files_router

ASSETS = Path(__file__).parent / "assets"

OPENAPI = OpenAPIConfig(
    title="Identity reconciliation",
    version=version("identity-reconciliation"),
    description="Which orders belong to one customer.",
    path="/",
    render_plugins=[
        SwaggerRenderPlugin(
            path="/docs",
            js_url="/assets/swagger-ui-bundle.js",
            css_url="/assets/swagger-ui.css",
            standalone_preset_js_url="/assets/swagger-ui-standalone-preset.js",
            favicon="",
        ),
        RedocRenderPlugin(
            path="/redoc", js_url="/assets/redoc.standalone.js", google_fonts=False, favicon=""
        ),
        JsonRenderPlugin(path="/openapi.json", media_type=MediaType.JSON),
    ],
)


def assets() -> Router:
    """Serves the scripts and styles of the pages."""
    return create_static_files_router("/assets", [ASSETS])
