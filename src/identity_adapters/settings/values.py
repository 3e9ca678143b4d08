"""The values of settings: parsed from text, and formatted for people.

A parser raises ValueError with what would be right.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from identity_adapters.keys import ApiKey

if TYPE_CHECKING:
    from sqlalchemy import URL


MIN_SECRET_LENGTH = 32
"""How many characters a secret has at least; 32 hexadecimal digits are 128 bits."""


class LogFormat(StrEnum):
    """The format of the log."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def parse_database_url(value: str) -> "URL":
    from sqlalchemy import make_url  # slow to import, and many commands do not need it
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("must be like postgresql://user:password@host:5432/database") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("must start with postgresql://")
    return url.set(drivername="postgresql+psycopg")


def number_between(kind: type[Any], minimum: float, maximum: float) -> Callable[[str], Any]:
    def parse(value: str) -> Any:
        try:
            number = kind(value)
        except ValueError:
            number = None
        if number is None or not minimum <= number <= maximum:
            raise ValueError(f"must be a {'whole ' if kind is int else ''}number from {minimum} to {maximum}")
        return number

    return parse


def member_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(value: str) -> StrEnum:
        try:
            return kind(value.lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(kind)}") from None

    return parse


def parse_bool(value: str) -> bool:
    if value.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError("must be yes or no")
    return value.lower() in ("yes", "true", "1")


def parse_region(value: str) -> str:
    try:
        import phonenumbers
    except ImportError:
        raise ValueError("needs the extra: pip install 'identity-reconciliation[phonenumbers]'") from None
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be a two-letter country code, such as US")
    return value.upper()


def parse_traces(value: str) -> bool:
    is_on = parse_bool(value)
    if is_on and find_spec("opentelemetry") is None:
        raise ValueError("needs the extra: pip install 'identity-reconciliation[traces]'")
    return is_on


def parse_keys(value: str) -> tuple[ApiKey, ...]:
    try:
        return tuple(map(ApiKey.parse, value.replace(",", " ").split()))
    except ValueError:
        raise ValueError("must be comma-separated entries from `identity key new`") from None


def parse_secret(value: str) -> bytes:
    if len(value) < MIN_SECRET_LENGTH:
        raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters, drawn at random")
    return value.encode()


def hide_secret(value: bytes | None) -> str:
    return "" if value is None else "***"


def names_like(pattern: str, example: str) -> Callable[[str], tuple[str, ...]]:
    def parse(value: str) -> tuple[str, ...]:
        names = tuple(value.replace(",", " ").split())
        if not all(re.fullmatch(pattern, name, re.ASCII) for name in names):
            raise ValueError(f"must be comma-separated names such as {example}")
        return names

    return parse


def format_value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def hide_passwords(url: "URL | None") -> str:
    if url is None:
        return ""
    hidden = {name: "***" for name in url.query if "password" in name}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)
