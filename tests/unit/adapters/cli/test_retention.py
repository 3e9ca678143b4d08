"""How long somebody must have been unseen is said in whole months."""

import click
import pytest

from identity_adapters.cli.retention import parse_months


@pytest.mark.parametrize(
    ("text", "months"),
    [("24months", 24), ("1month", 1), ("2years", 24), ("1 year", 12), (" 36 months ", 36), (None, None)],
)
def test_months_and_years_are_understood(text, months):
    assert parse_months(None, None, text) == months


@pytest.mark.parametrize(
    "text", ["24", "", "months", "-1months", "1.5years", "90days", "2y", "24months2years", "٢years"]
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="must be whole months or years, such as 24months or 2years"):
        parse_months(None, None, text)


@pytest.mark.parametrize("text", ["0months", "1201months", "101years"])
def test_it_is_bounded(text):
    with pytest.raises(click.BadParameter, match="must be from 1 to 1200 months"):
        parse_months(None, None, text)
