"""What is logged, whoever logs it, holds nothing that somebody sent."""

import asyncio
import json
import logging
import warnings

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity_adapters.logs import configure_logs
from identity_adapters.settings import LogFormat, LogLevel

MARK = "marked@secret.example"


@pytest.fixture
def logged(capsys):
    """Configures the log, and gives what was written of it since."""
    kept = logging.root.handlers[:], logging.root.level

    def configure(format=LogFormat.JSON, level=LogLevel.DEBUG):
        structlog.reset_defaults()
        configure_logs(format, level)
        return lambda: capsys.readouterr().err

    yield configure
    logging.captureWarnings(False)
    structlog.reset_defaults()
    logging.root.handlers[:], level = kept
    logging.root.setLevel(level)


def test_a_line_is_json_for_machines(logged):
    written = logged()
    structlog.get_logger("identity_adapters.x").warning("request failed", reason="away", request_id="1")
    [line] = map(json.loads, written().splitlines())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request failed", "reason": "away", "request_id": "1", "level": "warning",
        "logger": "identity_adapters.x",
    }  # fmt: skip


def test_a_line_is_a_line_for_people(logged):
    written = logged(LogFormat.TEXT)
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 5)
    assert "Started server process [5]" in written()


def test_what_is_below_the_level_is_not_written(logged):
    written = logged(level=LogLevel.WARNING)
    structlog.get_logger("identity_adapters.x").info("nothing")
    logging.getLogger("uvicorn.error").info("nothing")
    assert written() == ""


def raised(error):
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError(f"while {MARK}") from cause
    except RuntimeError as chained:
        return chained


@pytest.mark.parametrize("format", [LogFormat.JSON, LogFormat.TEXT])
def test_of_an_error_its_words_are_left_out(logged, format):
    written = logged(format)
    error = raised(psycopg.errors.UniqueViolation(f"DETAIL: Key (email)=({MARK}) already exists."))
    structlog.get_logger("identity_adapters.x").error("internal error", exc_info=error)
    for name in ("uvicorn.error", "sqlalchemy.pool", "litestar", "root"):
        try:
            raise error
        except RuntimeError:
            logging.getLogger(name).exception("it failed", stack_info=True)
    said = written()
    assert MARK not in said
    assert said.count("RuntimeError") == 5
    assert "test_logs.py" in said


@pytest.mark.parametrize("name", ["psycopg", "sqlalchemy.pool", "asyncio", "litestar"])
@given(text=st.text(max_size=20), level=st.sampled_from([logging.WARNING, logging.ERROR]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_of_a_message_of_a_library_its_constant_part_is_left(logged, name, text, level):
    written = logged()
    logging.getLogger(name).log(level, "error ignored in %r: %s", MARK + text, MARK)
    said = written()
    assert MARK not in said
    assert "error ignored in" in said


def test_requests_to_endpoints_are_not_logged(logged):
    written = logged()
    logging.getLogger("httpcore.connection").debug(f"connect_tcp.started host={MARK!r}")
    assert written() == ""


def test_what_asyncio_says_of_a_lost_task_and_python_of_a_warning_is_cut_short(logged):
    written = logged()

    async def body():
        async def failing():
            raise raised(ValueError(MARK))

        task = asyncio.create_task(failing(), name=MARK)
        await asyncio.wait([task])
        del task
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "lost", "exception": ValueError(MARK), "future": MARK})

    asyncio.run(body())
    warnings.showwarning(UserWarning(MARK), UserWarning, "file.py", 1)
    said = written()
    assert MARK not in said
    assert "Task exception was never retrieved" in said
