import re
from pathlib import Path

import pytest
from attrs import fields

from identity_adapters.settings import InvalidSetting, Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def load(tmp_path, file="", **environment):
    (tmp_path / ".env").write_text(file)
    return Settings.load(environment, tmp_path / ".env")


def test_every_setting_has_a_default(tmp_path):
    assert load(tmp_path) == Settings.load({}, tmp_path / "nowhere") == Settings()
    assert (Settings().host, Settings().port, Settings().database_url) == ("127.0.0.1", 8000, None)


def test_the_environment_comes_before_the_file(tmp_path):
    file = "IDENTITY_PORT=1\nIDENTITY_WORKERS=2\n"
    settings = load(tmp_path, file, IDENTITY_PORT="3")
    assert (settings.port, settings.workers) == (3, 2)


def test_a_blank_value_counts_as_absent(tmp_path):
    assert load(tmp_path, "IDENTITY_PORT=\n", DB_CONNECTION_STRING=" ") == Settings()


@pytest.mark.parametrize(("value", "meaning"), [("Yes", True), ("true", True), ("no", False), ("0", False)])
def test_a_setting_may_be_yes_or_no(tmp_path, value, meaning):
    assert load(tmp_path, IDENTITY_MIGRATE_AT_START=value).migrate_at_start is meaning


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_a_connection_string_may_name_any_driver(tmp_path, scheme):
    url = load(
        tmp_path, f"DB_CONNECTION_STRING={scheme}://user:p%40ss@host:5432/db?sslmode=require"
    ).database_url
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://user:p%40ss@host:5432/db?sslmode=require"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DB_CONNECTION_STRING", "secret"),
        ("DB_CONNECTION_STRING", "sqlite:///secret"),
        ("DB_CONNECTION_STRING", "postgresql://user:secret@host:port/db"),
        ("IDENTITY_MIGRATE_AT_START", "secret"),
        ("IDENTITY_PORT", "secret"),
        ("IDENTITY_PORT", "65536"),
        ("IDENTITY_PORT", "80.5"),
        ("IDENTITY_WORKERS", "0"),
        ("IDENTITY_POOL_SIZE", "-1"),
        ("IDENTITY_STATEMENT_TIMEOUT", "inf"),
        ("IDENTITY_LOCK_TIMEOUT", "nan"),
        ("IDENTITY_MAX_BODY_SIZE", "1"),
        ("IDENTITY_DEFAULT_REGION", "USA"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_name_alone(tmp_path, variable, value):
    with pytest.raises(InvalidSetting) as caught:
        load(tmp_path, **{variable: value})
    assert caught.value.variable == variable
    assert str(caught.value).startswith(f"{variable} must ")
    assert "secret" not in str(caught.value)


def test_the_page_of_settings_lists_each_with_its_default():
    listed = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE))
    assert list(listed) == [attribute.metadata["variable"] for attribute in fields(Settings)]
    for attribute in fields(Settings):
        if isinstance(attribute.default, bool):
            assert listed[attribute.metadata["variable"]] == ("`yes`" if attribute.default else "`no`")
        elif isinstance(attribute.default, int | float):
            assert listed[attribute.metadata["variable"]] == f"`{attribute.default:g}`"
