"""The explorer: a static page that uses the same operations and keys as everybody."""

from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from identity_adapters.http.static import POLICY, list_files, serve_file, serve_page

_FOLDER = Path(__file__).parents[1] / "explorer"
_PAGE = _FOLDER / "index.html"
_FILES = {name: path for name, path in list_files(_FOLDER).items() if path != _PAGE}
# The browser itself sees to it that text is never parsed as markup or run as a script.
_POLICY = POLICY | {"require-trusted-types-for": "'script'", "trusted-types": "'none'"}


@get("/", include_in_schema=False, sync_to_thread=False)
def explorer(request: Request[Any, Any, Any]) -> Response[bytes]:
    return serve_page(request, _PAGE, _POLICY)


@get("/explorer/{path:path}", include_in_schema=False, sync_to_thread=False)
def explorer_file(request: Request[Any, Any, Any]) -> Response[bytes]:
    name = str(request.path_params["path"]).removeprefix("/")
    if name not in _FILES:
        raise NotFoundException
    return serve_file(request, _FILES[name])


EXPLORER: list[HTTPRouteHandler] = [explorer, explorer_file]
