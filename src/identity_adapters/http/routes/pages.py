"""Interactive documentation in Swagger UI and ReDoc, served without external resources."""

from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from identity_adapters.http.static import POLICY, list_files, serve_file, serve_page

_FOLDER = Path(__file__).parents[1] / "assets"
_ASSETS = {name: path for name, path in list_files(_FOLDER).items() if path.suffix != ".html"}
_POLICY = POLICY | {"img-src": "'self' data:", "worker-src": "blob:"}  # ReDoc runs its search in a worker


@get("/", include_in_schema=False, sync_to_thread=False)
def start() -> Redirect:
    return Redirect("/docs")


@get("/docs", include_in_schema=False, sync_to_thread=False)
def swagger_ui(request: Request[Any, Any, Any]) -> Response[bytes]:
    return serve_page(request, _FOLDER / "swagger-ui.html", _POLICY)


@get("/redoc", include_in_schema=False, sync_to_thread=False)
def redoc(request: Request[Any, Any, Any]) -> Response[bytes]:
    policy = _POLICY | {"style-src": "'self' 'unsafe-inline'"}  # it generates styles
    return serve_page(request, _FOLDER / "redoc.html", policy)


@get("/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(request: Request[Any, Any, Any]) -> Response[bytes]:
    name = request.path_params["name"]
    if name not in _ASSETS:
        raise NotFoundException
    return serve_file(request, _ASSETS[name])


PAGES: list[HTTPRouteHandler] = [swagger_ui, redoc, asset]
START: list[HTTPRouteHandler] = [start]
