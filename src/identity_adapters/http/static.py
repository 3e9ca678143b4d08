"""Static files of the package, which a browser may keep, but asks for again."""

from functools import cache
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from typing import Any

from litestar import Request, Response

from identity_adapters.http.middleware.observe import NO_SNIFFING

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    NO_SNIFFING[0].decode(): NO_SNIFFING[1].decode(),
}

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""The Content-Security-Policy of a page that uses nothing but files of its own."""


def list_files(folder: Path) -> dict[str, Path]:
    """The files of a folder that can be served, by their path in it."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


def serve_page(request: Request[Any, Any, Any], path: Path, policy: dict[str, str]) -> Response[bytes]:
    """Answer with a page, which the browser holds to a Content-Security-Policy."""
    value = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    return serve_file(request, path, **{"Content-Security-Policy": value})


def serve_file(request: Request[Any, Any, Any], path: Path, **headers: str) -> Response[bytes]:
    """Answer with a file, or with nothing if the browser has it already."""
    content, tag = _read(path)
    headers = _HEADERS | {"ETag": tag} | headers
    if tag in request.headers.get("If-None-Match", ""):  # proxies that compress mark it as weak
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=_TYPES[path.suffix], headers=headers)


@cache
def _read(path: Path) -> tuple[bytes, str]:
    """A file and its entity tag."""
    content = path.read_bytes()
    return content, f'"{blake2b(content, digest_size=12).hexdigest()}"'
