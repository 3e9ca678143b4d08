"""The OpenAPI document."""

from importlib.metadata import version
from typing import Any

from litestar import MediaType, Request, Router
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPI

from identity_adapters.http.access import SECURITY_SCHEMES


def _refuse_path_below(request: Request[Any, Any, Any]) -> None:
    """Litestar would answer it with a page of HTML."""
    if request.path_params:
        raise NotFoundException


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Identity reconciliation",
        version=version("identity-reconciliation"),
        description="Says which orders belong to one customer.",
        openapi_router=Router(
            "/openapi.json", route_handlers=[], before_request=_refuse_path_below, include_in_schema=False
        ),
        components=SECURITY_SCHEMES,
        render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
    )


def tell_apart(document: OpenAPI) -> None:
    """Have the document say that an answer of a dry run is no answer of another kind with more members."""
    if document.components.schemas is not None:
        document.components.schemas["IdentifyAnswer"].additional_properties = False
