"""Presets: published placeholder values, in every spelling, and nothing beside them."""

import pytest

from identity_core import Identifier, IdentifierKind, RuleSet
from identity_core.model.presets import PRESETS


def blocks(preset, value):
    kind = IdentifierKind.EMAIL if "@" in value else IdentifierKind.PHONE_NUMBER
    return RuleSet(presets=[preset]).blocks(Identifier(kind, value))


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        (
            "reserved-domains",
            ["a@example.com", "a@mail.example.org", "a@b.test", "a@localhost", "a@x.invalid"],
        ),
        ("fictional-numbers-north-america", ["5550123", "2125550100", "12125550199", "+19055550142"]),
        (
            "fictional-numbers-united-kingdom",
            [
                "02079460123",
                "+442079460123",
                "442079460123",
                "00442079460123",
                "+4402079460123",
                "07700900999",
            ],
        ),
        (
            "fictional-numbers-australia",
            ["0255501234", "+61370109999", "0491570006", "61491579760", "1800975711"],
        ),
        ("fictional-numbers-france", ["0199001234", "+33639981234", "0033465710000"]),
    ],
)
def test_placeholders_are_blocked_in_every_spelling(preset, values):
    assert [value for value in values if not blocks(preset, value)] == []


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("reserved-domains", ["a@example.co", "a@myexample.com", "a@test.com", "example.com@x", "a@latest"]),
        (
            "fictional-numbers-north-america",
            ["5550200", "5551212", "8005550123", "+18885550123", "19005550123", "+442125550123"],
        ),
        ("fictional-numbers-united-kingdom", ["02079461000", "07700901000", "+12079460123", "2079460123"]),
        ("fictional-numbers-australia", ["0491570007", "0255511234", "+642555012345"]),
        ("fictional-numbers-france", ["0199011234", "0639991234", "+32639981234"]),
    ],
)
def test_values_beside_them_are_not(preset, values):
    assert [value for value in values if blocks(preset, value)] == []


def test_no_preset_is_on_by_itself():
    assert not RuleSet().blocks_any
    assert RuleSet(presets=["reserved-domains"]).blocks_any


def test_a_preset_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="presets must be some of: fictional-numbers-australia, "):
        RuleSet(presets=["reserved-domain"])


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_documented_with_its_source(name):
    import identity_core.model.presets as module

    _, found, section = module.__doc__.partition(f"``{name}``\n")
    assert found
    assert "<https://" in section.partition("\n``")[0]
