"""Every setting there is: from the environment, else from the file ``.env``, else a default."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, fields, frozen
from dotenv import dotenv_values
from platformdirs import user_data_path
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

T = TypeVar("T")


class InvalidSetting(Exception):
    """A setting that cannot be used. The text names it, and does not repeat its value."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable} {reason}")
        self.variable = variable
        self.reason = reason


def _database_url(value: str) -> URL:
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


def _setting(variable: str, parse: Callable[[str], Any], default: Any) -> Any:
    return field(default=default, metadata={"variable": variable, "parse": parse})


@frozen
class Settings:
    """All settings, checked.

    Attributes:
        database_url: the database; None for the embedded one.
        data_folder: where the embedded database keeps its data.
        postgres_programs: the ``bin`` folder of another PostgreSQL for the embedded database.
        migrate_at_start: whether the service brings the database to its schema when it starts.
        host: the address to listen on.
        port: the port to listen on.
        workers: how many processes serve.
        pool_size: how many connections to the database each of them has at most.
        statement_timeout: seconds that the database may take for one statement.
        lock_timeout: seconds that one statement may wait for a lock.
        answer_timeout: seconds after which a database that does not answer is given up.
        max_batch: how many requests are answered together at most.
        max_waiting: how many requests wait at most; more are refused at once.
        max_body_size: bytes that the body of a request may have.
        default_region: the country that phone numbers without one are of; None to keep them.
    """

    database_url: URL | None = _setting("DB_CONNECTION_STRING", _database_url, None)
    data_folder: Path = _setting("IDENTITY_DATA_DIR", Path, user_data_path("identity", appauthor=False))
    postgres_programs: Path | None = _setting("IDENTITY_POSTGRES_BIN", Path, None)
    migrate_at_start: bool = _setting("IDENTITY_MIGRATE_AT_START", _yes_or_no, True)
    host: str = _setting("IDENTITY_HOST", str, "127.0.0.1")
    port: int = _setting("IDENTITY_PORT", _number(int, 0, 65535), 8000)
    workers: int = _setting("IDENTITY_WORKERS", _number(int, 1, 64), 1)
    pool_size: int = _setting("IDENTITY_POOL_SIZE", _number(int, 1, 1000), 10)
    statement_timeout: float = _setting("IDENTITY_STATEMENT_TIMEOUT", _number(float, 0.1, 3600), 10.0)
    lock_timeout: float = _setting("IDENTITY_LOCK_TIMEOUT", _number(float, 0.1, 3600), 5.0)
    answer_timeout: float = _setting("IDENTITY_ANSWER_TIMEOUT", _number(float, 0.1, 3600), 15.0)
    max_batch: int = _setting("IDENTITY_MAX_BATCH", _number(int, 1, 10_000), 128)
    max_waiting: int = _setting("IDENTITY_MAX_WAITING", _number(int, 1, 1_000_000), 2048)
    max_body_size: int = _setting("IDENTITY_MAX_BODY_SIZE", _number(int, 1024, 2**30), 65536)
    default_region: str | None = _setting("IDENTITY_DEFAULT_REGION", _region, None)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, file: Path = Path(".env")) -> "Settings":
        """The settings as the environment and the file have them. A blank one counts as absent.

        Raises:
            InvalidSetting: one cannot be used.
        """
        given = {**dotenv_values(file), **(os.environ if environment is None else environment)}
        values: dict[str, Any] = {}
        for attribute in fields(cls):
            variable = attribute.metadata["variable"]
            value = (given.get(variable) or "").strip()
            if value:
                try:
                    values[attribute.name] = attribute.metadata["parse"](value)
                except ValueError as error:
                    raise InvalidSetting(variable, str(error)) from None
        return cls(**values)
