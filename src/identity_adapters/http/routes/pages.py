"""Interactive documentation in Swagger UI and ReDoc, served without external resources."""

from functools import cache
from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from identity_adapters.http.middleware.observe import NO_SNIFFING

_FOLDER = Path(__file__).parents[1] / "assets"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
_ASSETS = frozenset(
    [
        "redoc.standalone.js",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-ui.css",
        "swagger-ui.js",
    ]
)

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "blob:",  # ReDoc runs its search in a worker
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


_HEADERS = {"Referrer-Policy": "no-referrer", NO_SNIFFING[0].decode(): NO_SNIFFING[1].decode()}


@get("/", include_in_schema=False, sync_to_thread=False)
def start() -> Redirect:
    return Redirect("/docs")


@get("/docs", include_in_schema=False, sync_to_thread=False)
def swagger_ui() -> Response[bytes]:
    return _serve_page("swagger-ui.html", _POLICY)


@get("/redoc", include_in_schema=False, sync_to_thread=False)
def redoc() -> Response[bytes]:
    return _serve_page("redoc.html", _POLICY | {"style-src": "'self' 'unsafe-inline'"})  # it generates styles


@get("/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(name: str) -> Response[bytes]:
    if name not in _ASSETS:
        raise NotFoundException
    return _serve_file(name, **{"Cache-Control": "public, max-age=3600"})


def _serve_page(name: str, policy: dict[str, str]) -> Response[bytes]:
    value = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    return _serve_file(name, **{"Content-Security-Policy": value, "Cache-Control": "no-cache"})


def _serve_file(name: str, **headers: str) -> Response[bytes]:
    return Response(_read(name), media_type=_TYPES[Path(name).suffix], headers=_HEADERS | headers)


@cache
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


PAGES: list[HTTPRouteHandler] = [start, swagger_ui, redoc, asset]
