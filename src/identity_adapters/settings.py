"""Every setting there is: from the environment, else from the file ``.env``, else a default."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import Attribute, evolve, field, fields, frozen
from dotenv import dotenv_values
from platformdirs import user_data_path

from identity_adapters.keys import ApiKey

if TYPE_CHECKING:
    from sqlalchemy import URL


class InvalidSetting(Exception):
    """A setting that cannot be used. The text names it, and does not repeat its value."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable} {reason}")
        self.variable = variable
        self.reason = reason


class LogFormat(StrEnum):
    """How the log is written."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """From which level on it is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _database_url(value: str) -> "URL":
    from sqlalchemy import make_url  # takes long to import, and many commands do without
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("must be like postgresql://user:password@host:5432/database") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("must start with postgresql://")
    return url.set(drivername="postgresql+psycopg")


def _number(kind: type[Any], least: float, most: float) -> Callable[[str], Any]:
    def parse(value: str) -> Any:
        try:
            number = kind(value)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise ValueError(f"must be a {'whole ' if kind is int else ''}number from {least} to {most}")
        return number

    return parse


def _one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(value: str) -> StrEnum:
        try:
            return kind(value.lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(kind)}") from None

    return parse


def _yes_or_no(value: str) -> bool:
    if value.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError("must be yes or no")
    return value.lower() in ("yes", "true", "1")


def _region(value: str) -> str:
    try:
        import phonenumbers
    except ImportError:
        raise ValueError("needs the extra: pip install 'identity-reconciliation[phonenumbers]'") from None
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a two-letter country code, such as US")
    return value.upper()


def _traces(value: str) -> bool:
    is_on = _yes_or_no(value)
    if is_on and find_spec("opentelemetry") is None:
        raise ValueError("needs the extra: pip install 'identity-reconciliation[traces]'")
    return is_on


def _keys(value: str) -> tuple[ApiKey, ...]:
    try:
        return tuple(map(ApiKey.parse, value.replace(",", " ").split()))
    except ValueError:
        raise ValueError("must be entries as `identity key new` writes them, with commas between") from None


def _names(pattern: str, example: str) -> Callable[[str], tuple[str, ...]]:
    def parse(value: str) -> tuple[str, ...]:
        names = tuple(value.replace(",", " ").split())
        if not all(re.fullmatch(pattern, name, re.ASCII) for name in names):
            raise ValueError(f"must be names such as {example}, with commas between")
        return names

    return parse


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _without_passwords(url: "URL | None") -> str:
    if url is None:
        return ""
    hidden = {name: "***" for name in url.query if "password" in name}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _setting(
    variable: str,
    parse: Callable[[str], Any],
    default: Any,
    meaning: str,
    unset: str = "",
    *,
    text: Callable[[Any], str] = _text,
    rejected_in_file: str | None = None,
) -> Any:
    """A setting.

    Args:
        variable: its name in the environment and in the file.
        parse: makes a value of text, or raises ValueError with the reason.
        default: the value where there is none.
        meaning: what the page of settings says of it.
        unset: what the page says of a default that is no value.
        text: how a value is describe to people: without secrets.
        rejected_in_file: why it is taken from the environment alone; None where the file may have it too.
    """
    metadata = {
        "variable": variable,
        "parse": parse,
        "meaning": meaning,
        "unset": unset,
        "text": text,
        "rejected_in_file": rejected_in_file,
    }
    return field(default=default, metadata=metadata, repr=text)


_seconds = _number(float, 0.1, 3600)


@frozen
class Settings:
    """All settings, checked."""

    database_url: "URL | None" = _setting(
        "DB_CONNECTION_STRING",
        _database_url,
        None,
        "`postgresql://user:password@host:5432/database`; a driver behind `postgresql+` is ignored",
        "the embedded database",
        text=_without_passwords,
    )
    data_folder: Path = _setting(
        "IDENTITY_DATA_DIR",
        Path,
        user_data_path("identity", appauthor=False),
        "where the embedded database keeps its data",
        "`identity` in the user's data folder (`~/.local/share` on Linux)",
    )
    postgres_programs: Path | None = _setting(
        "IDENTITY_POSTGRES_BIN",
        Path,
        None,
        "the folder of another `initdb` and `postgres` for the embedded database; from the environment alone",
        "the PostgreSQL that is installed with the service",
        rejected_in_file="it names programs to run",
    )
    migrate_at_start: bool = _setting(
        "IDENTITY_MIGRATE_AT_START",
        _yes_or_no,
        True,
        "whether the service brings the database to its schema when it starts;"
        " with `no`, run `identity migrate` first",
    )
    host: str = _setting(
        "IDENTITY_HOST", str, "127.0.0.1", "the address to listen on; the image listens on `0.0.0.0`"
    )
    port: int = _setting("IDENTITY_PORT", _number(int, 0, 65535), 8000, "the port to listen on")
    workers: int = _setting("IDENTITY_WORKERS", _number(int, 1, 64), 1, "how many processes serve")
    api_keys: tuple[ApiKey, ...] = _setting(
        "IDENTITY_API_KEYS",
        _keys,
        (),
        "who may do what: entries of `identity key new`, with commas between",
        "none: everybody may do everything",
    )
    rate_limit: float | None = _setting(
        "IDENTITY_RATE_LIMIT",
        _number(float, 0.01, 1_000_000),
        None,
        "requests a second of each API key; more are refused",
        "no limit",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "IDENTITY_ALLOWED_HOSTS",
        _names(r"\*|[\w.-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", "identity.example.com"),
        (),
        "names by which the service may be asked for beside `localhost`, with commas between; `*` for any",
        "any name; but of `localhost` alone where there are no API keys and `IDENTITY_HOST` is the loopback"
        " interface",
    )
    allowed_origins: tuple[str, ...] = _setting(
        "IDENTITY_ALLOWED_ORIGINS",
        _names(r"https?://[\w.-]+(:\d+)?", "https://shop.example.com"),
        (),
        "origins whose pages may ask (CORS), with commas between",
        "none",
    )
    pages: bool = _setting(
        "IDENTITY_PAGES", _yes_or_no, True, "whether `/docs` and `/redoc` are there for people to look at"
    )
    max_body_size: int = _setting(
        "IDENTITY_MAX_BODY_SIZE",
        _number(int, 1024, 2**30),
        65536,
        "bytes that the body of a request may have",
    )
    max_header_size: int = _setting(
        "IDENTITY_MAX_HEADER_SIZE",
        _number(int, 1024, 2**20),
        16384,
        "bytes that the path and the headers of a request may have together",
    )
    max_connections: int = _setting(
        "IDENTITY_MAX_CONNECTIONS",
        _number(int, 1, 1_000_000),
        1000,
        "how many clients may be connected to each process; more are refused",
    )
    request_timeout: float = _setting(
        "IDENTITY_REQUEST_TIMEOUT", _seconds, 10.0, "seconds that a request may take to arrive"
    )
    write_timeout: float = _setting(
        "IDENTITY_WRITE_TIMEOUT",
        _seconds,
        10.0,
        "seconds within which a client has to read some of an answer",
    )
    keep_alive: float = _setting(
        "IDENTITY_KEEP_ALIVE",
        _seconds,
        75.0,
        "seconds that a connection is kept open for another request; longer than what is in front keeps it",
    )
    drain: float = _setting(
        "IDENTITY_DRAIN",
        _number(float, 0, 3600),
        3.0,
        "seconds that a service that is told to stop goes on answering while `/health/ready` fails",
    )
    pool_size: int = _setting(
        "IDENTITY_POOL_SIZE",
        _number(int, 2, 1000),
        10,
        "how many connections to the database each process has at most; a quarter of them is for queries",
    )
    prepare_statements: bool = _setting(
        "IDENTITY_PREPARE_STATEMENTS",
        _yes_or_no,
        True,
        "whether the database keeps prepared statements; `no` behind a pooler that does not",
    )
    statement_timeout: float = _setting(
        "IDENTITY_STATEMENT_TIMEOUT", _seconds, 10.0, "seconds that the database may take for one statement"
    )
    lock_timeout: float = _setting(
        "IDENTITY_LOCK_TIMEOUT", _seconds, 5.0, "seconds that one statement may wait for a lock"
    )
    answer_timeout: float = _setting(
        "IDENTITY_ANSWER_TIMEOUT",
        _seconds,
        15.0,
        "seconds after which a database that does not answer at all is given up",
    )
    max_batch: int = _setting(
        "IDENTITY_MAX_BATCH", _number(int, 1, 10_000), 128, "how many requests are answered together at most"
    )
    max_waiting: int = _setting(
        "IDENTITY_MAX_WAITING",
        _number(int, 1, 1_000_000),
        2048,
        "how many requests wait in each process at most, to be read, to be written or to query;"
        " more are refused at once",
    )
    default_region: str | None = _setting(
        "IDENTITY_DEFAULT_REGION",
        _region,
        None,
        "the country, such as `US`, of phone numbers that name none; they become international (E.164)",
        "none",
    )
    log_format: LogFormat = _setting(
        "IDENTITY_LOG_FORMAT",
        _one_of(LogFormat),
        LogFormat.AUTO,
        "`json`, `text`, or `auto`: JSON where standard error is no terminal",
    )
    log_level: LogLevel = _setting(
        "IDENTITY_LOG_LEVEL", _one_of(LogLevel), LogLevel.INFO, f"what is logged: {', '.join(LogLevel)}"
    )
    access_log: bool = _setting(
        "IDENTITY_ACCESS_LOG", _yes_or_no, False, "whether every request is logged, without what it held"
    )
    count_every: float = _setting(
        "IDENTITY_COUNT_EVERY",
        _number(float, 0, 86400),
        300.0,
        "seconds after which a request for `/metrics` counts contacts and identities again; 0 for never",
    )
    traces: bool = _setting(
        "IDENTITY_TRACES",
        _traces,
        False,
        "whether traces are sent as the variables `OTEL_…` of OpenTelemetry say; needs the extra `traces`",
    )
    origins: Mapping[str, str] = field(factory=dict, eq=False, repr=False, kw_only=True)

    @property
    def is_local(self) -> bool:
        """Whether the service listens on the loopback interface alone."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, file: Path = Path(".env")) -> "Settings":
        """The settings as the environment and the file have them. A blank one counts as absent.

        Raises:
            InvalidSetting: one cannot be used, or is in the file though it must not be.
        """
        in_file = dotenv_values(file)
        sources = {"environment": os.environ if environment is None else environment, str(file): in_file}
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for attribute in _settings():
            variable = attribute.metadata["variable"]
            why = attribute.metadata["rejected_in_file"]
            if why is not None and (in_file.get(variable) or "").strip():
                raise InvalidSetting(variable, f"must be set in the environment, not in {file}: {why}")
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
            raise InvalidSetting("IDENTITY_RATE_LIMIT", "needs IDENTITY_API_KEYS: it is a limit of each key")
        return settings

    def override(self, origin: str, **values: Any) -> "Settings":
        """The settings with those of these values that are not None, which come from somewhere else.

        >>> settings = Settings().override("command line", port=80, host=None)
        >>> settings.host, settings.port, settings.origins
        ('127.0.0.1', 80, {'IDENTITY_PORT': 'command line'})
        """
        given = {name: value for name, value in values.items() if value is not None}
        variables = {getattr(fields(Settings), name).metadata["variable"]: origin for name in given}
        return evolve(self, **given, origins={**self.origins, **variables})


class EffectiveSetting(NamedTuple):
    """A setting as it is describe to people: no secret is in it."""

    variable: str
    value: str
    origin: str


def describe(settings: Settings) -> Iterator[EffectiveSetting]:
    """Each setting as it is in force."""
    for attribute in _settings():
        variable = attribute.metadata["variable"]
        value = attribute.metadata["text"](getattr(settings, attribute.name))
        yield EffectiveSetting(variable, value, settings.origins.get(variable, "default"))


def render_reference() -> str:
    """The table of all settings, in Markdown."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for attribute in _settings():
        metadata = attribute.metadata
        default = metadata["unset"] or f"`{metadata['text'](attribute.default)}`"
        lines.append(f"| `{metadata['variable']}` | {default} | {metadata['meaning']} |")
    return "\n".join(lines) + "\n"


def _settings() -> list["Attribute[Any]"]:
    return [attribute for attribute in fields(Settings) if attribute.metadata]
