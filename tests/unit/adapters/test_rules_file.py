"""Rules as a TOML file: what is read, what is written, and what is said of a wrong file."""

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.rules_file import InvalidRules, format_rules, parse_rules
from identity_adapters.rules_file.lines import find_lines
from identity_adapters.rules_file.reading import _KEYS
from identity_core import ContactDetails, Limits, RuleSet
from identity_core.model.presets import PRESETS
from identity_core.testing import strategies

FILE = """\
[blocked]
emails = [
    "*@example.com",
    "test@example.org",
]
phone_numbers = [
    "+15550100",
    "0800*",
]
one_digit = true
presets = ["reserved-domains"]

[limits]
phone_numbers_per_email = 5
values_on_smaller_side = 10
"""
RULES = RuleSet(
    emails=["test@example.org"],
    phone_numbers=["+15550100"],
    email_patterns=["*@example.com"],
    phone_number_patterns=["0800*"],
    presets=["reserved-domains"],
    one_digit=True,
    limits=Limits(phone_numbers_per_email=5, values_on_smaller_side=10),
)


def faults_of(text):
    with pytest.raises(InvalidRules) as caught:
        parse_rules(text)
    return [str(fault) for fault in caught.value.faults]


def test_a_file_is_read_and_the_same_file_is_written():
    assert parse_rules(FILE) == RULES
    assert format_rules(RULES) == FILE


def test_no_rules_are_an_empty_file():
    assert format_rules(RuleSet()) == ""
    assert parse_rules("") == parse_rules("[blocked]\n[limits]\n") == RuleSet()


exact_emails = strategies.emails().filter(lambda value: not {*value} & {*"*?"})
patterns = st.sampled_from(["*@a", "a?@b", "*.é", '*"@\\b', "b*"])
number_patterns = st.sampled_from(["+1*", "0?00", "*9"])
limits = st.none() | st.integers(1, 2**31 - 1)


@st.composite
def rule_sets(draw):
    emails = [ContactDetails(email, None).email for email in draw(st.lists(exact_emails, max_size=4))]
    numbers = draw(st.lists(strategies.phone_numbers(), max_size=4))
    return RuleSet(
        emails=emails,
        phone_numbers=[ContactDetails(None, number).phone_number for number in numbers],
        email_patterns=draw(st.sets(patterns)),
        phone_number_patterns=draw(st.sets(number_patterns)),
        presets=draw(st.sets(st.sampled_from(sorted(PRESETS)))),
        one_digit=draw(st.booleans()),
        limits=Limits(*draw(st.tuples(*[limits] * 4))),
    )


@given(rule_sets())
def test_what_is_written_is_read_as_the_same_rules(rules):
    assert parse_rules(format_rules(rules)) == rules


def test_values_are_normalised_as_those_of_details_are():
    rules = parse_rules("""
        blocked.emails = [" Test@Example.ORG ", "*@EXAMPLE.com"]
        blocked.phone_numbers = ["+1 (555) 01-00", "0800 / 5*", "+49 ?00"]
    """)
    assert rules.emails == {"test@example.org"}
    assert rules.email_patterns == {"*@example.com"}
    assert rules.phone_numbers == {"+15550100"}
    assert rules.phone_number_patterns == {"08005*", "+49?00"}
    regional = parse_rules(
        'blocked.phone_numbers = ["1"]', lambda email, number: ContactDetails(email, f"+49{number}")
    )
    assert regional.phone_numbers == {"+491"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[block]", ["line 1: block is unknown; there are blocked, limits"]),
        (
            "\n[blocked]\n\nemail = []",
            ["line 4: blocked.email is unknown; there are emails, phone_numbers, "],
        ),
        ("[blocked]\nemails = 'a@x'", ["line 2: blocked.emails must be an array"]),
        (
            "[blocked]\nemails = [\n  'a@x',\n  # a@y,\n  'a',\n]",
            ["line 5: value 2 of blocked.emails must have exactly"],
        ),
        ("blocked.emails = ['a@x', '']", ["line 1: value 2 of blocked.emails must not be blank"]),
        ("[blocked]\nemails = ['*@?*']", ["line 2: value 1 of blocked.emails must have a letter or a digit"]),
        ("[blocked]\nphone_numbers = [5550100]", ["line 2: value 1 of blocked.phone_numbers must be text"]),
        (
            "[blocked]\nphone_numbers = ['+*']",
            ["line 2: value 1 of blocked.phone_numbers must have a letter or"],
        ),
        (
            "[blocked]\nphone_numbers = ['0800 x*']",
            ["line 2: value 1 of blocked.phone_numbers must have digits"],
        ),
        ("[blocked]\none_digit = 1", ["line 2: blocked.one_digit must be true or false"]),
        ("[blocked]\npresets = ['all']", ["line 2: value 1 of blocked.presets must be one of fict"]),
        (
            "[blocked]\npresets = [['all']]",
            ["line 2: value 1 of blocked.presets must be one of fict"],
        ),
        (
            "[limits]\nvalues_per_identity = 0",
            ["line 2: limits.values_per_identity must be a whole number from 1"],
        ),
        (
            "[limits]\nvalues_per_identity = true",
            ["line 2: limits.values_per_identity must be a whole number"],
        ),
        (
            "[limits]\nvalues_per_identity = 2147483648",
            ["line 2: limits.values_per_identity must be a whole"],
        ),
        ("blocked = 1\nlimits = []", ["line 1: blocked must be a table", "line 2: limits must be a table"]),
        ("\n[[blocked]]\n", ["line 2: blocked must be a table"]),
        ("limits = {values = 5}", ["line 1: limits.values is unknown"]),
        ("[blocked]\nemails = [", ["the file must be TOML: "]),
        ("[blocked]\nemails\n", ["line 2: the file must be TOML: expected '=' after a key"]),
        (
            "[limits]\n[limits]",
            ["line 2: the file must be TOML: a table or a key is invalid, or there twice"],
        ),
        (f"a = {'1' * 5000}", ["the file must be TOML"]),
        (f"a = {'[' * 9999}", ["the file must be TOML"]),
    ],
    ids=lambda one: one[:40] if isinstance(one, str) else "",
)
def test_a_wrong_file_is_refused_with_line_key_and_reason(text, expected):
    found = faults_of(text)
    assert len(found) == len(expected)
    assert all(fault.startswith(start) for fault, start in zip(found, expected, strict=True)), found


def test_all_that_is_wrong_is_told_at_once_by_line():
    found = faults_of("[limits]\nvalues = 1\nvalues_per_identity = -1\n[blocked]\nemails = ['x', 'a@b', 'y']")
    assert [re.match(r"line (\d): ([\w. ]+?) (?:must|is)", fault).groups() for fault in found] == [
        ("2", "limits.values"),
        ("3", "limits.values_per_identity"),
        ("5", "value 1 of blocked.emails"),
        ("5", "value 3 of blocked.emails"),
    ]


SECRET = "doc@hillvalley.edu"


@pytest.mark.parametrize(
    "text",
    [
        f'"{SECRET}" = true',
        f'[blocked]\n"{SECRET}" = true',
        f'["{SECRET}"]\n["{SECRET}"]',
        f'"{SECRET}" = 1\n"{SECRET}" = 1',
        f'a = {{"{SECRET}" = 1, "{SECRET}" = 1}}',
        f'a = {{b = 1}}\n[a."{SECRET}"]',
        f'[[a."{SECRET}"]]\n[a."{SECRET}"]',
        f"{SECRET} = 1",
        f'[blocked]\nemails = ["{SECRET}@"]',
        f'[blocked]\npresets = ["{SECRET}"]',
        f'[blocked]\nemails = [["{SECRET}"]]',
        f"[blocked]\nemails = [{SECRET}]",
        "5550100 = true",
        "[blocked]\nphone_numbers = ['5550100x']",
    ],
)
def test_values_are_never_quoted(text):
    for fault in faults_of(text):
        assert "hillvalley" not in fault
        assert "5550100" not in fault


@given(st.text() | st.text("[]{}=,.\"'#\n ab*?@1"))
def test_any_text_is_read_or_refused(text):
    with suppress(InvalidRules):
        assert isinstance(parse_rules(text), RuleSet)


@given(st.text("[]{}=,.\"'#\\\n ab1", max_size=40).filter(lambda text: _is_toml(text)))
def test_every_line_that_is_found_is_in_the_text(text):
    assert all(1 <= line <= text.count("\n") + 1 for line in find_lines(text).values())


def _is_toml(text):
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def test_lines_are_found_whatever_strings_and_comments_hold():
    text = '''# [none] a = 1
"a b".'c.d' = """
[no]
x = 1 \\"""
"""  # y = 2
[ t . "u" ]  # ]
e = [ # [
  "]", \'\'\'
,\'\'\', [1, 2],
  {x = 1, y = [3,
  4]},
]
f.g = \'=\'
'''
    assert find_lines(text) == {
        ("a b",): 2,
        ("a b", "c.d"): 2,
        ("t",): 6,
        ("t", "u"): 6,
        ("t", "u", "e"): 7,
        ("t", "u", "e", 0): 8,
        ("t", "u", "e", 1): 8,
        ("t", "u", "e", 2): 9,
        ("t", "u", "e", 3): 10,
        ("t", "u", "f"): 13,
        ("t", "u", "f", "g"): 13,
    }


def test_the_page_on_rules_has_every_key_and_preset_and_a_file_that_can_be_used():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "rules.md").read_text()
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert parse_rules(example).limits.values_per_identity == 50
    listed = re.findall(r"^\| `(\S+)` \|", page, re.MULTILINE)
    assert listed == [*_KEYS["blocked"], *_KEYS["limits"], *sorted(PRESETS)]
