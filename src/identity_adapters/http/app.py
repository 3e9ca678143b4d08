"""The Litestar application."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TypeAlias

from litestar import Litestar
from litestar.config.cors import CORSConfig

from identity_adapters.api import MakeDetails
from identity_adapters.http.auth import RateLimit, make_key_check, to_before_request
from identity_adapters.http.errors import HANDLERS
from identity_adapters.http.openapi.document import build_document, create_document_endpoint
from identity_adapters.http.openapi.operation import IGNORED_HEADER, OUTCOME_HEADER
from identity_adapters.http.routes.access import create_access_endpoint
from identity_adapters.http.routes.changes import create_changes_endpoint
from identity_adapters.http.routes.erase import create_erase_endpoint
from identity_adapters.http.routes.explain import create_explain_endpoint
from identity_adapters.http.routes.explorer import EXPLORER
from identity_adapters.http.routes.graph import create_graph_endpoint
from identity_adapters.http.routes.health import (
    CheckReady,
    create_metrics_endpoint,
    create_ready_endpoint,
    live,
)
from identity_adapters.http.routes.held import (
    create_accept_endpoint,
    create_held_endpoint,
    create_reject_endpoint,
)
from identity_adapters.http.routes.identify import (
    Identify,
    OnBlocked,
    OnSeen,
    create_identify_endpoint,
    create_preview_endpoint,
)
from identity_adapters.http.routes.identities import create_history_endpoint, create_identity_endpoint
from identity_adapters.http.routes.key import create_key_endpoint
from identity_adapters.http.routes.lookup import create_lookup_endpoint
from identity_adapters.http.routes.merges import create_merges_endpoint
from identity_adapters.http.routes.pages import PAGES, START
from identity_adapters.http.routes.rules import (
    create_apply_endpoint,
    create_rules_endpoint,
    create_rules_preview_endpoint,
    create_suggestions_endpoint,
)
from identity_adapters.http.routes.rulings import (
    create_pin_endpoint,
    create_pins_endpoint,
    create_restore_endpoint,
    create_rulings_endpoint,
    create_split_endpoint,
    create_undo_endpoint,
    create_unpin_endpoint,
)
from identity_adapters.http.routes.statistics import GetStatistics, create_statistics_endpoint
from identity_adapters.http.routes.webhooks import Webhooks, create_webhook_endpoints
from identity_adapters.keys import ApiKey
from identity_core import (
    AccessIdentities,
    ChangeFeed,
    ChangeRules,
    ContactDetails,
    EraseIdentities,
    QueryIdentities,
    RuleOnIdentities,
    SuggestRules,
)

Lifespan: TypeAlias = Callable[[Litestar], AbstractAsyncContextManager[None]]


def _cors(origins: Sequence[str]) -> CORSConfig:
    return CORSConfig(
        allow_origins=[*origins],
        allow_methods=["DELETE", "GET", "HEAD", "POST", "PUT"],
        allow_headers=["Authorization", "Content-Type", "Traceparent", "X-Request-ID"],
        expose_headers=[IGNORED_HEADER, OUTCOME_HEADER, "Retry-After", "WWW-Authenticate", "X-Request-ID"],
    )


def create_app(
    identify: Callable[[], Identify],
    queries: Callable[[], QueryIdentities],
    rulings: Callable[[], RuleOnIdentities],
    rules: Callable[[], ChangeRules],
    suggestions: Callable[[], SuggestRules],
    access: Callable[[], AccessIdentities],
    erase: Callable[[], EraseIdentities],
    feed: Callable[[], ChangeFeed],
    webhooks: Webhooks,
    check: Callable[[], CheckReady],
    make_details: MakeDetails = ContactDetails,
    *,
    statistics: GetStatistics,
    render_metrics: Callable[[], Awaitable[bytes]],
    is_shutting_down: Callable[[], bool],
    on_ruling: Callable[[str], None] = lambda _: None,
    on_rules: Callable[[], None] = lambda: None,
    on_erased: Callable[[], None] = lambda: None,
    on_blocked: OnBlocked = lambda _: None,
    on_seen: OnSeen | None = None,
    suppress_for: timedelta = timedelta(days=1095),
    keys: Sequence[ApiKey] = (),
    rate_limit: float | None = None,
    lifespan: Sequence[Lifespan] = (),
    max_body_size: int = 65536,
    allowed_origins: Sequence[str] = (),
    has_pages: bool = True,
    has_explorer: bool = True,
) -> Litestar:
    """The ASGI application.

    Args:
        identify: returns the use case that identifies one of many customers; called for each request.
        queries: returns the use case that only reads.
        rulings: returns the use case that overrules.
        rules: returns the use case that changes the rules.
        suggestions: returns the use case that suggests which values to block.
        access: returns the use case that hands out what is on record of a person.
        erase: returns the use case that erases.
        feed: returns the feed of changes.
        webhooks: returns the use case that manages webhooks.
        check: returns a check that raises `RepositoryUnavailable` while the service cannot answer.
        make_details: makes details of the email and the phone number of a request.
        statistics: returns the latest statistics.
        render_metrics: returns the metrics in the text format of Prometheus.
        is_shutting_down: whether the service is stopping.
        on_ruling: called with the kind of each ruling that changed something.
        on_rules: called when rules were put in force.
        on_erased: called when a person was erased.
        on_blocked: called with the kind of each value to identify by that is blocked.
        on_seen: called with details that identified somebody, and the kind of the value that is blocked.
        suppress_for: how long an erased person is kept out, if the erasure says so.
        keys: the API keys; without any, no request needs one.
        rate_limit: requests per second of each key; None for no limit.
        lifespan: context managers that are entered while the application runs.
        max_body_size: the maximum size of a body, in bytes.
        allowed_origins: origins whose pages may send requests, such as ``https://shop.example``.
        has_pages: whether the interactive documentation is served.
        has_explorer: whether the explorer is served.
    """
    check_key = make_key_check(keys, RateLimit(rate_limit) if rate_limit else None) if keys else None
    # Litestar resolves the dependencies of a handler on each request, in a task group. Handlers that
    # close over their dependencies avoid this cost.
    handlers = [
        create_identify_endpoint(identify, make_details, check_key, on_blocked, on_seen),
        create_preview_endpoint(queries, make_details),
        create_lookup_endpoint(queries, make_details),
        create_explain_endpoint(queries, make_details),
        create_identity_endpoint(queries),
        create_history_endpoint(queries),
        create_merges_endpoint(queries),
        create_graph_endpoint(queries),
        create_changes_endpoint(feed, is_shutting_down),
        create_statistics_endpoint(statistics),
        create_undo_endpoint(rulings, make_details, on_ruling),
        create_restore_endpoint(rulings, make_details, on_ruling),
        create_split_endpoint(rulings, queries, make_details, on_ruling),
        create_rulings_endpoint(rulings),
        create_pins_endpoint(rulings),
        create_pin_endpoint(rulings, queries, make_details, on_ruling),
        create_unpin_endpoint(rulings, on_ruling),
        create_rules_endpoint(rules),
        create_suggestions_endpoint(suggestions),
        create_rules_preview_endpoint(rules, make_details),
        create_apply_endpoint(rules, make_details, on_rules),
        create_held_endpoint(rulings, queries),
        create_accept_endpoint(rulings, on_ruling),
        create_reject_endpoint(rulings, on_ruling),
        create_access_endpoint(access, make_details),
        create_erase_endpoint(erase, make_details, on_erased, suppress_for),
        *create_webhook_endpoints(webhooks),
        live,
        create_ready_endpoint("/health/ready", "ready", check, is_shutting_down),
        create_ready_endpoint("/health", "health", check, is_shutting_down),  # for most probes
        create_metrics_endpoint(render_metrics),
        create_key_endpoint(is_required=bool(keys)),
    ]
    pages = [*(PAGES if has_pages else ()), *(EXPLORER if has_explorer else START if has_pages else ())]
    return Litestar(
        [*handlers, create_document_endpoint(build_document(handlers)), *pages],
        before_request=to_before_request(check_key) if check_key is not None else None,
        cors_config=_cors(allowed_origins) if allowed_origins else None,
        exception_handlers=HANDLERS,
        lifespan=list(lifespan),
        logging_config=None,
        openapi_config=None,
        request_max_body_size=max_body_size,
    )
