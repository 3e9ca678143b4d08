"""Every setting: from the environment, else from the file ``.env``, else a default."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import Attribute, evolve, field, fields, frozen
from dotenv import dotenv_values
from platformdirs import user_data_path

from identity_adapters.keys import ApiKey
from identity_adapters.settings.declare import setting
from identity_adapters.settings.errors import InvalidSetting
from identity_adapters.settings.values import (
    LogFormat,
    LogLevel,
    hide_passwords,
    hide_secret,
    member_of,
    names_like,
    number_between,
    parse_bool,
    parse_database_url,
    parse_keys,
    parse_region,
    parse_secret,
    parse_traces,
)

if TYPE_CHECKING:
    from sqlalchemy import URL

_seconds = number_between(float, 0.1, 3600)


@frozen
class Settings:
    """All settings, valid."""

    database_url: "URL | None" = setting(
        "DB_CONNECTION_STRING",
        parse_database_url,
        None,
        "`postgresql://user:password@host:5432/database`; a driver after `postgresql+` is ignored",
        "the embedded database",
        text=hide_passwords,
    )
    data_folder: Path = setting(
        "IDENTITY_DATA_DIR",
        Path,
        user_data_path("identity", appauthor=False),
        "the folder of the embedded database",
        "`identity` in the user's data folder (`~/.local/share` on Linux)",
    )
    postgres_programs: Path | None = setting(
        "IDENTITY_POSTGRES_BIN",
        Path,
        None,
        "the folder of the `initdb` and `postgres` that run the embedded database; only from the environment",
        "the PostgreSQL that is installed with the service",
        rejected_in_file="it names programs to run",
    )
    migrate_at_start: bool = setting(
        "IDENTITY_MIGRATE_AT_START",
        parse_bool,
        True,
        "whether the service migrates the database when it starts; with `no`, run `identity migrate` first",
    )
    host: str = setting(
        "IDENTITY_HOST", str, "127.0.0.1", "the address to listen on; the image listens on `0.0.0.0`"
    )
    port: int = setting("IDENTITY_PORT", number_between(int, 0, 65535), 8000, "the port to listen on")
    workers: int = setting("IDENTITY_WORKERS", number_between(int, 1, 64), 1, "the number of processes")
    api_keys: tuple[ApiKey, ...] = setting(
        "IDENTITY_API_KEYS",
        parse_keys,
        (),
        "API keys and their scopes: comma-separated entries from `identity key new`",
        "none: every request is allowed",
    )
    rate_limit: float | None = setting(
        "IDENTITY_RATE_LIMIT",
        number_between(float, 0.01, 1_000_000),
        None,
        "requests per second of each API key; more are rejected",
        "no limit",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "IDENTITY_ALLOWED_HOSTS",
        names_like(r"\*|[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", "identity.example.com"),
        (),
        "comma-separated host names that requests may use besides `localhost`; `*` for any",
        "any name; only `localhost` if there are no API keys and `IDENTITY_HOST` is the loopback interface",
    )
    allowed_origins: tuple[str, ...] = setting(
        "IDENTITY_ALLOWED_ORIGINS",
        names_like(r"https?://[\w.-]+(:\d+)?", "https://shop.example.com"),
        (),
        "comma-separated origins whose pages may send requests (CORS)",
        "none",
    )
    pages: bool = setting(
        "IDENTITY_PAGES",
        parse_bool,
        True,
        "whether interactive documentation is served at `/docs` and `/redoc`",
    )
    explorer: bool = setting(
        "IDENTITY_EXPLORER",
        parse_bool,
        True,
        "whether the explorer is served at `/`, a page to look at customers and put them right",
    )
    max_body_size: int = setting(
        "IDENTITY_MAX_BODY_SIZE",
        number_between(int, 1024, 2**30),
        65536,
        "the maximum size of a request body, in bytes",
    )
    max_header_size: int = setting(
        "IDENTITY_MAX_HEADER_SIZE",
        number_between(int, 1024, 2**20),
        16384,
        "the maximum size of the path and the headers of a request together, in bytes",
    )
    max_connections: int = setting(
        "IDENTITY_MAX_CONNECTIONS",
        number_between(int, 1, 1_000_000),
        1000,
        "the maximum number of client connections of each process; more are rejected",
    )
    request_timeout: float = setting(
        "IDENTITY_REQUEST_TIMEOUT", _seconds, 10.0, "seconds within which a request must arrive"
    )
    write_timeout: float = setting(
        "IDENTITY_WRITE_TIMEOUT",
        _seconds,
        10.0,
        "seconds within which a client must read a part of a response",
    )
    keep_alive: float = setting(
        "IDENTITY_KEEP_ALIVE",
        _seconds,
        75.0,
        "seconds that an idle connection is kept open; use more than the proxy in front keeps it",
    )
    drain: float = setting(
        "IDENTITY_DRAIN",
        number_between(float, 0, 3600),
        3.0,
        "seconds that a stopping service continues to answer while `/health/ready` fails",
    )
    pool_size: int = setting(
        "IDENTITY_POOL_SIZE",
        number_between(int, 2, 1000),
        10,
        "the maximum number of database connections of each process; a quarter of them is for queries",
    )
    prepare_statements: bool = setting(
        "IDENTITY_PREPARE_STATEMENTS",
        parse_bool,
        True,
        "whether to prepare statements on the server; `no` behind a pooler that does not support it",
    )
    statement_timeout: float = setting(
        "IDENTITY_STATEMENT_TIMEOUT", _seconds, 10.0, "seconds that one statement may take"
    )
    lock_timeout: float = setting(
        "IDENTITY_LOCK_TIMEOUT", _seconds, 5.0, "seconds that one statement may wait for a lock"
    )
    answer_timeout: float = setting(
        "IDENTITY_ANSWER_TIMEOUT",
        _seconds,
        15.0,
        "seconds after which a request to an unresponsive database fails",
    )
    max_batch: int = setting(
        "IDENTITY_MAX_BATCH", number_between(int, 1, 10_000), 128, "the maximum number of requests in a batch"
    )
    max_waiting: int = setting(
        "IDENTITY_MAX_WAITING",
        number_between(int, 1, 1_000_000),
        2048,
        "the maximum number of requests that wait in each process, to be read, to be written or to query;"
        " more are rejected at once",
    )
    default_region: str | None = setting(
        "IDENTITY_DEFAULT_REGION",
        parse_region,
        None,
        "the country, such as `US`, of phone numbers without a country code; they are stored as E.164",
        "none",
    )
    erasure_ledger: Path | None = setting(
        "IDENTITY_ERASURE_LEDGER",
        Path,
        None,
        "the file that each erasure is appended to, in ids alone; keep it apart from the database",
        "none: the ledger is in the database alone",
    )
    suppression_key: bytes | None = setting(
        "IDENTITY_SUPPRESSION_KEY",
        parse_secret,
        None,
        "the key that keeps erased people out: at least 32 random characters, the same for every process; if"
        " it is lost or changed, nobody is kept out any more",
        "none: nobody is kept out",
        text=hide_secret,
    )
    suppress_days: int = setting(
        "IDENTITY_SUPPRESS_DAYS",
        number_between(int, 1, 36500),
        1095,
        "for how many days an erased person is kept out, if the erasure says so",
    )
    record_last_seen: bool = setting(
        "IDENTITY_RECORD_LAST_SEEN",
        parse_bool,
        False,
        "whether the month in which each value was last seen is recorded, for `identity erase --unseen-for`",
    )
    webhook_key: bytes | None = setting(
        "IDENTITY_WEBHOOK_KEY",
        parse_secret,
        None,
        "the key that the secrets of webhooks are made with: at least 32 random characters, the same for"
        " every process; if it is lost or changed, webhooks are not delivered until their secrets"
        " are rotated",
        "none: there are no webhooks",
        text=hide_secret,
    )
    deliver: bool = setting(
        "IDENTITY_DELIVER",
        parse_bool,
        False,
        "whether the service delivers webhooks too, as `identity deliver` does; needs `IDENTITY_WEBHOOK_KEY`",
    )
    webhook_timeout: float = setting(
        "IDENTITY_WEBHOOK_TIMEOUT", _seconds, 15.0, "seconds within which an endpoint must answer"
    )
    webhook_retry_days: float = setting(
        "IDENTITY_WEBHOOK_RETRY_DAYS",
        number_between(float, 0.001, 365),
        3.0,
        "for how many days an endpoint may fail until its webhook is paused",
    )
    log_format: LogFormat = setting(
        "IDENTITY_LOG_FORMAT",
        member_of(LogFormat),
        LogFormat.AUTO,
        "`json`, `text`, or `auto`: JSON unless standard error is a terminal",
    )
    log_level: LogLevel = setting(
        "IDENTITY_LOG_LEVEL",
        member_of(LogLevel),
        LogLevel.INFO,
        f"the lowest logged level: {', '.join(LogLevel)}",
    )
    access_log: bool = setting(
        "IDENTITY_ACCESS_LOG", parse_bool, False, "whether every request is logged, without its content"
    )
    count_every: float = setting(
        "IDENTITY_COUNT_EVERY",
        number_between(float, 0, 86400),
        300.0,
        "seconds after which `/metrics` counts contacts and identities again; 0 for never",
    )
    traces: bool = setting(
        "IDENTITY_TRACES",
        parse_traces,
        False,
        "whether traces are sent as the `OTEL_…` variables of OpenTelemetry say; needs the extra `traces`",
    )
    origins: Mapping[str, str] = field(factory=dict, eq=False, repr=False, kw_only=True)

    @property
    def is_local(self) -> bool:
        """Whether the service listens on the loopback interface only."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, file: Path = Path(".env")) -> "Settings":
        """Load the settings from the environment, then the file, then the defaults.

        A blank value counts as absent.

        Args:
            environment: the environment; None for that of the process.
            file: the file of settings, which need not exist.

        Raises:
            InvalidSetting: a value is invalid, or the file has a setting that it must not have.
        """
        in_file = dotenv_values(file)
        sources = {"environment": os.environ if environment is None else environment, str(file): in_file}
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for attribute in list_settings():
            variable = attribute.metadata["variable"]
            reason = attribute.metadata["rejected_in_file"]
            if reason is not None and (in_file.get(variable) or "").strip():
                raise InvalidSetting(variable, f"must be set in the environment, not in {file}: {reason}")
            for origin, source in sources.items():
                if value := (source.get(variable) or "").strip():
                    try:
                        values[attribute.name] = attribute.metadata["parse"](value)
                    except ValueError as error:
                        raise InvalidSetting(variable, str(error)) from None
                    origins[variable] = origin
                    break
        settings = cls(**values, origins=origins)
        if settings.rate_limit is not None and not settings.api_keys:
            raise InvalidSetting(
                "IDENTITY_RATE_LIMIT", "needs IDENTITY_API_KEYS: the limit applies to each key"
            )
        if settings.deliver and settings.webhook_key is None:
            raise InvalidSetting(
                "IDENTITY_DELIVER", "needs IDENTITY_WEBHOOK_KEY: the secrets of webhooks are made with it"
            )
        return settings

    def override(self, origin: str, **values: Any) -> "Settings":
        """Replace settings by values from another origin; values that are None are ignored.

        >>> settings = Settings().override("command line", port=80, host=None)
        >>> settings.host, settings.port, settings.origins
        ('127.0.0.1', 80, {'IDENTITY_PORT': 'command line'})
        """
        overrides = {name: value for name, value in values.items() if value is not None}
        variables = {getattr(fields(Settings), name).metadata["variable"]: origin for name in overrides}
        return evolve(self, **overrides, origins={**self.origins, **variables})


def list_settings() -> list["Attribute[Any]"]:
    """The attributes that are settings, in order."""
    return [attribute for attribute in fields(Settings) if attribute.metadata]
