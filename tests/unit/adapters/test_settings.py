from pathlib import Path

import pytest

from identity_adapters.keys import Scope, generate_key
from identity_adapters.settings import InvalidSetting, Settings, describe, render_reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


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
        ("IDENTITY_POOL_SIZE", "1"),
        ("IDENTITY_STATEMENT_TIMEOUT", "inf"),
        ("IDENTITY_LOCK_TIMEOUT", "nan"),
        ("IDENTITY_MAX_BODY_SIZE", "1"),
        ("IDENTITY_DEFAULT_REGION", "USA"),
        ("IDENTITY_LOG_LEVEL", "secret"),
        ("IDENTITY_ALLOWED_HOSTS", "https://secret"),
        ("IDENTITY_ALLOWED_ORIGINS", "secret.example"),
        ("IDENTITY_ALLOWED_ORIGINS", "https://secret.example/"),
        ("IDENTITY_ALLOWED_ORIGINS", "*"),
        ("IDENTITY_API_KEYS", "secret"),
        ("IDENTITY_API_KEYS", f"shop:secret:{'0' * 64}"),
        ("IDENTITY_API_KEYS", f"shop:read:{'0' * 62}"),
        ("IDENTITY_API_KEYS", f":read:{'0' * 64}"),
        ("IDENTITY_SUPPRESSION_KEY", "secret" * 5),
        ("IDENTITY_SUPPRESS_DAYS", "0"),
        ("IDENTITY_WEBHOOK_KEY", "secret" * 5),
        ("IDENTITY_DELIVER", "secret"),
        ("IDENTITY_WEBHOOK_TIMEOUT", "0"),
        ("IDENTITY_WEBHOOK_RETRY_DAYS", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_name_alone(tmp_path, variable, value):
    with pytest.raises(InvalidSetting) as caught:
        load(tmp_path, **{variable: value})
    assert caught.value.variable == variable
    assert str(caught.value).startswith(f"{variable} must ")
    assert "secret" not in str(caught.value)


def test_the_page_of_settings_is_made_of_them():
    assert render_reference() in PAGE.read_text()


def test_each_setting_tells_where_it_came_from(tmp_path):
    settings = load(tmp_path, "IDENTITY_PORT=1\nIDENTITY_WORKERS=2\n", IDENTITY_PORT="3")
    settings = settings.override("command line", host="::1", workers=None)
    origins = {
        setting.variable: (setting.value, setting.origin.rpartition("/")[2]) for setting in describe(settings)
    }
    assert origins["IDENTITY_PORT"] == ("3", "environment")
    assert origins["IDENTITY_WORKERS"] == ("2", ".env")
    assert origins["IDENTITY_HOST"] == ("::1", "command line")
    assert origins["IDENTITY_POOL_SIZE"] == ("10", "default")


def test_no_secret_is_shown(tmp_path):
    secret, key = generate_key("shop", [Scope.READ, Scope.IDENTIFY])
    url = "postgresql://user:hidden1@host/db?sslmode=require&password=hidden2&sslpassword=hidden3"
    settings = load(
        tmp_path,
        DB_CONNECTION_STRING=url,
        IDENTITY_API_KEYS=f"{key.entry}, {key.entry}",
        IDENTITY_SUPPRESSION_KEY="hidden4" * 5,
        IDENTITY_WEBHOOK_KEY="hidden5" * 5,
    )
    shown_values = {setting.variable: setting.value for setting in describe(settings)}
    for text in (str(shown_values), repr(settings)):
        assert not any(hidden in text for hidden in (secret, key.hash.hex(), "hidden"))
    assert shown_values["IDENTITY_API_KEYS"] == "shop (identify read), shop (identify read)"
    assert shown_values["IDENTITY_SUPPRESSION_KEY"] == "***"
    assert shown_values["DB_CONNECTION_STRING"].startswith("postgresql+psycopg://user:***@host/db?")


def test_a_limit_of_keys_needs_keys(tmp_path):
    with pytest.raises(InvalidSetting, match="IDENTITY_RATE_LIMIT needs IDENTITY_API_KEYS"):
        load(tmp_path, IDENTITY_RATE_LIMIT="5")


def test_delivering_needs_a_key(tmp_path):
    with pytest.raises(InvalidSetting, match="IDENTITY_DELIVER needs IDENTITY_WEBHOOK_KEY"):
        load(tmp_path, IDENTITY_DELIVER="yes")
    assert load(tmp_path, IDENTITY_DELIVER="yes", IDENTITY_WEBHOOK_KEY="x" * 32).deliver


def test_programs_to_run_are_named_in_the_environment_alone(tmp_path):
    assert load(tmp_path, IDENTITY_POSTGRES_BIN="/opt/pg").postgres_programs == Path("/opt/pg")
    assert load(tmp_path, "IDENTITY_POSTGRES_BIN=\n").postgres_programs is None
    for environment in ({}, {"IDENTITY_POSTGRES_BIN": "/opt/pg"}):
        with pytest.raises(InvalidSetting) as caught:
            load(tmp_path, "IDENTITY_POSTGRES_BIN=/tmp/theirs\n", **environment)
        assert str(caught.value) == (
            f"IDENTITY_POSTGRES_BIN must be set in the environment, not in {tmp_path}/.env:"
            " it names programs to run"
        )
