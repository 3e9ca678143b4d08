"""What is handed out of a person, as text and as a page: nothing in a value is obeyed."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
import pytest
from attrs import evolve
from click.testing import CliRunner

from identity_adapters.api.access import AccessAnswer, AccessDocument
from identity_adapters.cli import main
from identity_adapters.cli.access import parse_target
from identity_adapters.cli.access_pages import to_html, to_text
from identity_core import (
    Contact,
    ContactDetails,
    DisclosedContact,
    DisclosedPair,
    DisclosedRuling,
    DisclosedValue,
    Disclosure,
    Event,
    EventKind,
    Hold,
    Identifier,
    IdentifierKind,
    InvalidDetails,
    LinkPrecedence,
    NamingRules,
    Note,
    RecordedEvent,
    Standing,
    Verdict,
    Withdrawal,
)

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
EMAIL, NUMBER = Identifier(IdentifierKind.EMAIL, "lorraine@x"), Identifier(IdentifierKind.PHONE_NUMBER, "1")
DISCLOSURE = Disclosure(
    values=(DisclosedValue(EMAIL, NOW, NOW.date(), False), DisclosedValue(NUMBER, None, None, True)),
    contacts=(
        DisclosedContact(Contact(1, "lorraine@x", "1", None, LinkPrecedence.PRIMARY, NOW), None, ()),
        DisclosedContact(
            Contact(2, None, None, 1, LinkPrecedence.SECONDARY, NOW),
            NOW,
            (IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER),
        ),
    ),
    pairs=(
        DisclosedPair("lorraine@x", "1", NOW, Standing.COUNTS, None),
        DisclosedPair(None, "1", NOW, Standing.HELD, Hold.VALUES_PER_IDENTITY),
        DisclosedPair("lorraine@x", None, NOW, Standing.UNDONE, None),
    ),
    rulings=(
        DisclosedRuling(
            3, Verdict.DIFFERENT, EMAIL, None, NOW, None, "mother", None, Withdrawal(3, NOW, "marty", "one")
        ),
        DisclosedRuling(4, Verdict.SAME, NUMBER, EMAIL, NOW, "marty", "hers", None, None),
    ),
    rules=(
        NamingRules(1, (EMAIL, NUMBER), None, NOW),
        NamingRules(2, (EMAIL,), Note("marty", "till", NOW), None),
    ),
    events=(
        RecordedEvent(1, Event(NOW, EventKind.CREATED, 1, 1)),
        RecordedEvent(
            2, Event(NOW, EventKind.SPLIT, 1, moved_ids=tuple(range(30)), origin_id=7, ruling_id=3)
        ),
    ),
)
TEXT = """\
What is on record of a person, on 2026-05-03 12:00:00 UTC

Values
The emails and phone numbers of the person. A blocked one identifies nobody.

value       first seen           last seen  blocked
lorraine@x  2026-05-03 12:00:00  2026-05    no
1                                           yes

Contacts
Each is an email and a phone number that were given together, or one of them.

contact  email         phone number  linked to  created at           deleted at
1        lorraine@x    1                        2026-05-03 12:00:00
2        other person  other person  1          2026-05-03 12:00:00  2026-05-03 12:00:00

Pairs
Which email and phone number were seen together. A pair that counts makes them one person.

email         phone number  first seen           standing  held by limit
lorraine@x    1             2026-05-03 12:00:00  counts
other person  1             2026-05-03 12:00:00  held      valuesPerIdentity
lorraine@x    other person  2026-05-03 12:00:00  undone

Decisions
What people decided about two values, and why.

decision  verdict    one         other         reason  by     at                   ended at             ended by  because
3         different  lorraine@x  other person  mother         2026-05-03 12:00:00  2026-05-03 12:00:00  marty     one
4         same       1           lorraine@x    hers    marty  2026-05-03 12:00:00

Rules
Rules that block a value of the person by itself.

version  values         since                until                by     reason
1        lorraine@x, 1                       2026-05-03 12:00:00
2        lorraine@x     2026-05-03 12:00:00                       marty  till

History
What happened to the contacts of the person, by their numbers.

event  time                 what     primary  contact  evidence  absorbed  decision  from  moved
1      2026-05-03 12:00:00  created  1        1
2      2026-05-03 12:00:00  split    1                                     3         7     0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 10 more
"""  # noqa: E501
EMPTY = Disclosure((), (), (), (), (), ())


def text_of(disclosure):
    return b"".join(to_text(AccessDocument(disclosure, NOW))).decode()


def page_of(disclosure):
    return b"".join(to_html(AccessDocument(disclosure, NOW))).decode()


class Page(HTMLParser):
    """The elements of a page, and its texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.attributes = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def test_a_person_can_read_everything_on_record():
    assert text_of(DISCLOSURE) == TEXT


@pytest.mark.parametrize("render", [text_of, page_of])
def test_a_person_of_whom_there_is_next_to_nothing_gets_that(render):
    assert render(EMPTY).count("None.") == 6


def test_a_page_shows_what_the_text_does():
    texts = Page(page_of(DISCLOSURE)).texts
    for line in TEXT.splitlines():
        for cell in re.split("  +", line.replace(", on 2026-05-03 12:00:00 UTC", "")):
            assert not cell or cell in texts, cell
    assert page_of(DISCLOSURE).startswith("<!doctype html>\n")


@pytest.mark.parametrize("chunk", [1, 2, 500])
def test_a_page_of_any_size_is_one_table_for_each_member(monkeypatch, chunk):
    monkeypatch.setattr("identity_adapters.cli.access_pages.CHUNK", chunk)
    page = Page(page_of(DISCLOSURE))
    assert (page.elements.count("table"), page.elements.count("tr")) == (6, 6 + 13)
    assert text_of(DISCLOSURE).count("lorraine@x") == TEXT.count("lorraine@x")


HOSTILE = [
    "<script>alert(1)</script>@x",
    "\"'><img src=x onerror=alert(1)>@x",
    "</td></table><!--@x",
    "&lt;b&gt;@x",
    "</style></title>@x",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_is_part_of_the_page(value):
    def with_value(value):
        identifier = Identifier(IdentifierKind.EMAIL, value)
        contact = Contact(1, value, value, None, LinkPrecedence.PRIMARY, NOW)
        end = Withdrawal(3, NOW, value, value)
        ruling = DisclosedRuling(3, Verdict.SAME, identifier, identifier, NOW, value, value, None, end)
        return evolve(
            EMPTY,
            values=(DisclosedValue(identifier, NOW, None, False),),
            contacts=(DisclosedContact(contact, None, ()),),
            pairs=(DisclosedPair(value, value, NOW, Standing.COUNTS, None),),
            rulings=(ruling,),
            rules=(NamingRules(1, (identifier,), Note(value, value, NOW), None),),
        )

    hostile, harmless = Page(page_of(with_value(value))), Page(page_of(with_value("a@x")))
    assert hostile.elements == harmless.elements
    assert hostile.attributes == harmless.attributes
    assert hostile.texts == [value if text == "a@x" else text for text in harmless.texts]
    assert hostile.texts.count(value) == 14


def test_a_page_may_run_and_load_nothing():
    attributes = dict(Page(page_of(EMPTY)).attributes)
    assert attributes["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_no_value_moves_the_cursor_of_a_terminal_or_makes_a_line():
    value = "a\x1b[2J\n\u202eb\u200b@x"
    disclosure = evolve(EMPTY, pairs=(DisclosedPair(value, None, NOW, Standing.COUNTS, None),))
    assert "a\ufffd[2J\ufffd\ufffdb\ufffd@x  other person" in text_of(disclosure)


def test_the_json_is_what_a_client_of_the_service_gets():
    answer = msgspec.json.decode(b"".join(AccessDocument(DISCLOSURE, NOW).encode()), type=AccessAnswer)
    assert [one.of_other_person for one in answer.contacts] == [(), ("email", "phoneNumber")]
    assert [one.held_by for one in answer.pairs] == [None, "valuesPerIdentity", None]
    assert [one.last_seen_month for one in answer.values] == ["2026-05", None]
    assert (answer.rules[0].applied_at, answer.rules[1].reason) == (None, "till")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "exactly one of --contact, --email and --phone-number"),
        (["--email", "a@x", "--contact", "1"], "exactly one of --contact, --email and --phone-number"),
        (["--email", "a@x", "--html", "--json"], "--html and --json exclude each other"),
        (["--contact", "-1"], "-1 is not in the range"),
    ],
)
def test_a_command_that_names_nobody_or_several_is_rejected(arguments, reason):
    done = CliRunner().invoke(main, ["access", *arguments])
    assert done.exit_code == 2
    assert reason in done.output


def test_an_invalid_value_is_named_by_its_option():
    assert parse_target(7, None, None, ContactDetails) == 7
    assert parse_target(None, "Lorraine@x", None, ContactDetails) == EMAIL
    assert parse_target(None, None, "1", ContactDetails) == NUMBER
    with pytest.raises(InvalidDetails, match=r"^--email must have exactly one @"):
        parse_target(None, "lorraine", None, ContactDetails)
    with pytest.raises(InvalidDetails, match=r"^--phone-number must not be blank"):
        parse_target(None, None, " ", ContactDetails)
