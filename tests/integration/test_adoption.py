"""A `contacts` table that others wrote is used as it is."""

import asyncio
from datetime import UTC, datetime
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity_adapters.container import compose_make_details
from identity_adapters.domains import to_ascii, to_unicode
from identity_adapters.postgres import EmailForms, SchemaUnusable, migrate, repair_database, verify
from identity_core import (
    ContactDetails,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Identity,
    Limits,
    Note,
    QueryIdentities,
    RuleSet,
    SharedValue,
    Standing,
    SuggestRules,
    find_known,
)
from identity_core.testing import violations
from identity_core.testing.conformance.reader import read_pages
from tests.support.databases import repository_on

EXISTING = """
CREATE TABLE contacts (
    id SERIAL PRIMARY KEY, phone_number VARCHAR(20), email VARCHAR(255),
    linked_id INTEGER REFERENCES contacts(id), link_precedence VARCHAR(10) NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT NOW(), updated_at TIMESTAMP NOT NULL DEFAULT NOW(),
    deleted_at TIMESTAMP);
CREATE INDEX idx_contacts_email ON contacts (email);
CREATE INDEX idx_contacts_phone_number ON contacts (phone_number);
CREATE INDEX idx_contacts_linked_id ON contacts (linked_id);
"""

ROWS = "SELECT *, xmin::text FROM contacts ORDER BY id"


@pytest.fixture
def existing(sql):
    """Writes rows of (id, email, phone number, linked id, precedence, days old, deleted)."""
    sql(EXISTING)

    def write(*rows):
        for id, email, phone_number, linked_id, precedence, days, is_deleted in rows:
            sql(
                "INSERT INTO contacts VALUES (%s, %s, %s, %s, %s, now() - %s * interval '1 day',"
                " now(), CASE WHEN %s THEN now() END)",
                *(id, phone_number, email, linked_id, precedence, days, is_deleted),
            )

    return write


@pytest.fixture
def identify(empty_url):
    """Identifies details one after the other; the last identity, checked with the invariants."""

    def run(*keys):
        async def body():
            async with repository_on(empty_url) as repository:
                batch = [ContactDetails(*key) for key in keys]
                identities = [await IdentifyContacts(repository)(details) for details in batch]
                return identities[-1], violations(await repository.load(batch), batch)

        return asyncio.run(body())

    return run


def test_no_row_and_no_column_of_it_is_changed(sql, existing, empty_url):
    existing((7, "A@x", "555-1", None, "primary", 5, False), (9, "b@x", "555-1", 7, "secondary", 4, True))
    columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'contacts'"
    before = sql(ROWS), sql(columns)
    migrate(empty_url)
    migrate(empty_url)
    assert (sql(ROWS), sql(columns)) == before
    assert ("id", "integer") in before[1]


def test_new_ids_come_after_those_that_rows_came_with(sql, existing, empty_url, identify):
    existing((70, "a@x", "1", None, "primary", 5, False))
    migrate(empty_url)
    identity, _ = identify(("b@x", "2"))
    assert identity.primary_contact_id > 70


def test_details_that_touch_rows_of_others_come_out_right(existing, empty_url, identify):
    existing((1, "a@x", "1", None, "primary", 9, False), (2, "b@x", "1", 1, "secondary", 8, False))
    migrate(empty_url)
    assert identify(("b@x", None)) == (Identity(1, ("a@x", "b@x"), ("1",), (2,)), [])
    identity, wrong = identify(("b@x", "2"))
    assert (identity.primary_contact_id, identity.phone_numbers, wrong) == (1, ("1", "2"), [])


def test_values_are_compared_whatever_way_they_were_typed(existing, empty_url, identify, sql):
    existing(
        (1, " Doc@HillValley.edu", "+1 (555) 010-99", None, "primary", 9, False),
        (2, "", "[555].0/1", None, "primary", 8, False),
        (3, "Emmett@HillValley.edu", "  ", 1, "secondary", 7, False),
    )
    migrate(empty_url)
    before = sql(ROWS)
    identity, wrong = identify(("DOC@hillvalley.EDU", "+155501099"))
    assert identity == Identity(1, ("doc@hillvalley.edu", "emmett@hillvalley.edu"), ("+155501099",), (3,))
    assert wrong == []
    assert identify((None, "555-01"))[0] == Identity(2, (), ("55501",), ())
    assert sql(ROWS) == before


def test_an_email_is_found_composed_and_decomposed_and_with_accented_capitals(
    existing, empty_url, identify, sql
):
    composed, decomposed = normalize("NFC", "josé@x"), normalize("NFD", "josé@x")
    existing(
        (1, decomposed, "1", None, "primary", 9, False),
        (2, composed, "2", None, "primary", 8, False),
        (3, " JOSÉ@X", "3", None, "primary", 7, False),
        (4, normalize("NFD", "JOSÉ@X"), "4", None, "primary", 6, False),
    )
    migrate(empty_url)
    assert [(found.kind, found.examples) for found in verify(empty_url)] == [
        ("email in several identities", (1,))
    ]
    before = sql(ROWS)
    assert identify((None, "1"))[0] == Identity(1, (composed,), ("1",), ())
    assert sql(ROWS) == before, "to be read is not to be written"
    for email in (decomposed, composed):
        identity, wrong = identify((email, None))
        assert identity == Identity(1, (composed,), ("1", "2", "3", "4"), (2, 3, 4))
        assert wrong == []
    assert verify(empty_url) == []


def test_capitals_without_accents_are_lower_cased_in_ascii_alone(existing, empty_url, identify):
    existing((1, "ØRSTED@x", "1", None, "primary", 9, False))
    migrate(empty_url)
    assert identify((None, "1"))[0].emails == ("Ørsted@x",)
    assert identify(("ØRSTED@x", None))[0].primary_contact_id == 2


def test_one_email_in_two_normal_forms_is_repaired(existing, empty_url):
    existing(
        (1, normalize("NFD", "josé@x"), "1", None, "primary", 9, False),
        (2, normalize("NFC", "josé@x"), "2", None, "primary", 8, False),
    )
    migrate(empty_url)

    async def body():
        async with repository_on(empty_url) as repository:
            return await repair_database(empty_url, repository, repository)

    assert asyncio.run(body()).linked == 1
    assert verify(empty_url) == []


UNICODE, ASCII = "anna@müller.example", "anna@xn--mller-kva.example"


def in_either_form(url, *keys):
    """Identifies details one after the other, as the service does; the identities."""

    async def body():
        async with repository_on(url, emails=EmailForms(to_ascii, to_unicode)) as repository:
            identify, make_details = IdentifyContacts(repository), compose_make_details(None)
            identities = [await identify(make_details(*key)) for key in keys]
            ends = [Identifier(IdentifierKind.EMAIL, UNICODE), Identifier(IdentifierKind.PHONE_NUMBER, "1")]
            explained = await QueryIdentities(repository).explain(*ends)
            return identities, explained and [link.reason for link in explained.chain]

    return asyncio.run(body())


@pytest.mark.parametrize("stored", [UNICODE, ASCII, ASCII.upper()])
def test_a_domain_is_found_in_either_form(existing, empty_url, sql, stored):
    existing((1, stored, "1", None, "primary", 9, False))
    migrate(empty_url)
    before = sql(ROWS)
    keys = (UNICODE, None), (ASCII, None), (ASCII, "1"), (None, "1")
    assert in_either_form(empty_url, *keys)[0] == [Identity(1, (UNICODE,), ("1",), ())] * 4
    assert sql(ROWS) == before


@pytest.mark.parametrize("stored", [UNICODE, ASCII])
def test_a_blocked_email_finds_nobody_in_either_form(existing, empty_url, stored):
    existing((1, stored, "1", None, "primary", 9, False), (2, None, "2", 1, "secondary", 8, False))
    migrate(empty_url)

    async def body():
        async with repository_on(empty_url, emails=EmailForms(to_ascii, to_unicode)) as repository:
            await repository.put(RuleSet(emails=[UNICODE]), Note("marty", "a test"))
            return await repository.load([ContactDetails(UNICODE, "3")])

    assert asyncio.run(body()).identities == ()


def test_a_domain_that_is_stored_in_both_forms_makes_two_identities_one(existing, empty_url, sql):
    existing(
        (1, UNICODE, "1", None, "primary", 9, False),
        (2, ASCII, "2", None, "primary", 8, False),
        (3, "b@x", "3", None, "primary", 7, False),
        (4, ASCII, "4", 3, "secondary", 6, False),
    )
    migrate(empty_url)
    sql("INSERT INTO contact_evidence VALUES (9, %s, '1', now())", ASCII)
    sql("UPDATE contacts SET email = 'c@x' WHERE id = 1")
    [identity], reasons = in_either_form(empty_url, (ASCII, "1"))
    assert identity == Identity(1, ("c@x", UNICODE, "b@x"), ("1", "2", "3", "4"), (2, 3, 4))
    assert reasons == ["evidence"]
    assert sql("SELECT count(*) FROM contact_evidence") == [(1,)]


def test_repair_takes_rows_with_a_domain_in_ascii_as_they_are(existing, empty_url):
    existing(
        (1, UNICODE, "1", None, "primary", 9, False),
        (2, ASCII, "2", 1, "PRIMARY", 8, False),
        (3, ASCII, "3", None, "primary", 7, False),
    )
    migrate(empty_url)

    async def body():
        async with repository_on(empty_url, emails=EmailForms(to_ascii, to_unicode)) as repository:
            await repair_database(empty_url, repository, repository)

    asyncio.run(body())
    assert verify(empty_url) == []


def test_soft_deleted_contacts_neither_match_nor_appear(existing, empty_url, identify):
    existing(
        (1, "a@x", "1", None, "primary", 9, False),
        (2, "gone@x", "1", 1, "secondary", 8, True),
        (3, "gone@x", "9", None, "primary", 7, True),
    )
    migrate(empty_url)
    identity, wrong = identify(("gone@x", None), ("a@x", None))
    assert (identity, wrong) == (Identity(1, ("a@x",), ("1",), ()), [])
    identity, _ = identify(("gone@x", None))
    assert identity.primary_contact_id > 3


def test_contacts_whose_primary_was_deleted_keep_together(existing, empty_url, identify, sql):
    existing(
        (1, "a@x", "1", None, "primary", 9, True),
        (2, "b@x", "1", 1, "secondary", 7, False),
        (3, "c@x", "1", 1, "secondary", 8, False),
        (4, "d@x", "4", 2, "secondary", 6, True),
        (5, "e@x", "5", 4, "secondary", 5, False),
    )
    migrate(empty_url)
    before = sql(ROWS)
    identity, _ = identify(("e@x", None))
    assert identity == Identity(3, ("c@x", "b@x", "e@x"), ("1", "5"), (2, 5))
    assert sql(ROWS) == before, "to be read is not to be written"
    identity, wrong = identify(("b@x", "6"))
    assert (identity.primary_contact_id, wrong) == (3, [])
    assert sql("SELECT id, linked_id, link_precedence FROM contacts WHERE id <= 5 ORDER BY id") == [
        (1, None, "primary"),
        (2, 3, "secondary"),
        (3, None, "primary"),
        (4, 2, "secondary"),
        (5, 3, "secondary"),
    ]


def test_chains_and_circles_of_links_are_one_identity(existing, empty_url, identify, sql):
    existing(
        (1, "a@x", "1", None, "primary", 9, False),
        (2, "b@x", "2", 1, "secondary", 8, False),
        (3, "c@x", "3", 2, "secondary", 7, False),
        (4, "d@x", "4", None, "primary", 6, False),
        (5, "e@x", "5", 4, "secondary", 5, False),
    )
    sql("UPDATE contacts SET linked_id = 5 WHERE id = 4")
    migrate(empty_url)
    assert identify(("c@x", None))[0] == Identity(1, ("a@x", "b@x", "c@x"), ("1", "2", "3"), (2, 3))
    assert identify(("e@x", None))[0] == Identity(4, ("d@x", "e@x"), ("4", "5"), (5,))
    identity, wrong = identify(("c@x", "5"))
    assert (identity.primary_contact_id, identity.secondary_contact_ids, wrong) == (1, (2, 3, 4, 5), [])


def test_one_email_in_two_identities_makes_them_one(existing, empty_url, identify):
    existing(
        (1, "a@x", "1", None, "primary", 9, False),
        (2, "a@x", "2", None, "primary", 8, False),
        (3, "c@x", "2", 2, "secondary", 7, False),
    )
    migrate(empty_url)
    identity, wrong = identify(("a@x", None))
    assert identity == Identity(1, ("a@x", "c@x"), ("1", "2"), (2, 3))
    assert wrong == []


def test_younger_primaries_and_unknown_precedences_are_mended_by_the_next_write(
    existing, empty_url, identify
):
    existing(
        (1, "a@x", "1", None, "PRIMARY", 7, False),
        (2, "b@x", "1", 1, "second", 9, False),
        (3, "c@x", "1", 1, "primary", 8, False),
    )
    migrate(empty_url)
    assert identify(("a@x", None))[0].primary_contact_id == 2
    identity, wrong = identify(("a@x", "4"))
    assert (identity.primary_contact_id, identity.secondary_contact_ids[:2], wrong) == (2, (3, 1), [])


def test_dates_beyond_those_of_python_are_dates_all_the_same(existing, empty_url, identify, sql):
    existing(
        (1, "a@x", "1", None, "primary", 9, False),
        (2, "b@x", "1", 1, "secondary", 8, False),
        (3, "c@x", "1", 1, "secondary", 7, False),
    )
    sql("UPDATE contacts SET created_at = 'infinity' WHERE id = 1")
    sql("UPDATE contacts SET created_at = '0044-03-15 BC' WHERE id = 3")
    migrate(empty_url)
    assert identify(("b@x", None))[0] == Identity(3, ("c@x", "b@x", "a@x"), ("1",), (2, 1))
    identity, wrong = identify(("a@x", "2"))
    assert (identity.primary_contact_id, wrong) == (3, [])


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            "CREATE TABLE contacts (id SERIAL, email TEXT)",
            "must have the columns created_at, deleted_at",
        ),
        (EXISTING.replace("SERIAL", "INTEGER"), "contacts.id must own a sequence"),
    ],
)
def test_a_table_of_another_kind_is_refused_and_left_alone(sql, empty_url, table, reason):
    sql(table)
    with pytest.raises(SchemaUnusable, match=reason):
        migrate(empty_url)
    assert sql("SELECT to_regclass('contact_evidence')") == [(None,)]


ROWS_OF_OTHERS = st.lists(
    st.tuples(
        st.sampled_from(["a@x", " A@x", "b@x", "c@x", "", None]),
        st.sampled_from(["1", "(1)", "2", "3", " ", None]),
        st.none() | st.integers(1, 8),
        st.sampled_from(["primary", "secondary", "other"]),
        st.integers(1, 3),
        st.booleans(),
    ),
    max_size=8,
)


UNLIKE_EMAILS = ["a@x", " A@x", "é@x", "e\u0301@X", UNICODE, ASCII, ASCII.upper(), "b@x", "", None]
UNLIKE_ROWS = st.lists(
    st.tuples(
        st.sampled_from(UNLIKE_EMAILS),
        st.sampled_from(["1", "(1)", "+2", "2", "3 ", " ", None]),
        st.none() | st.integers(1, 8),
        st.sampled_from(["primary", "secondary", "other"]),
        st.sampled_from(["2020-01-01", "2020-01-02", "infinity", "0044-03-15 BC"]),
        st.integers(0, 3).map(lambda n: n == 0),
    ),
    max_size=8,
)
EMAILS = st.sampled_from(["a@x", "é@x", UNICODE, ASCII, "b@x", "new@x"])
NUMBERS = st.sampled_from(["1", "2", "+2", "3", "9"])
DETAILS = st.builds(
    lambda email, number, which, seen_at: ContactDetails(
        email if which != "number" else None, number if which != "email" else None, seen_at
    ),
    EMAILS,
    NUMBERS,
    st.sampled_from(["both", "both", "email", "number"]),
    st.sampled_from([None, None, datetime(2019, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]),
)


def test_known_details_are_answered_the_same_from_columns_whatever_is_recorded(url, sql, monkeypatch):
    monkeypatch.setattr("identity_adapters.postgres.loader.FEW_CONTACTS", 0)

    @settings(max_examples=150, deadline=None)
    @given(
        UNLIKE_ROWS,
        st.dictionaries(st.tuples(EMAILS, NUMBERS), st.sampled_from(Standing), max_size=4),
        st.builds(
            RuleSet,
            emails=st.sets(st.sampled_from(["a@x", UNICODE]), max_size=1),
            phone_numbers=st.sets(NUMBERS, max_size=1),
            limits=st.builds(Limits, values_per_identity=st.sampled_from([None, 2])),
        ),
        st.lists(DETAILS, max_size=5),
    )
    def check(rows, evidence, rules, batch):
        sql("TRUNCATE contacts, contact_evidence, contact_rules CASCADE")
        for id, (email, number, _, precedence, created_at, is_deleted) in enumerate(rows, start=1):
            sql(
                "INSERT INTO contacts (id, email, phone_number, link_precedence, created_at, deleted_at)"
                " VALUES (%s, %s, %s, %s, %s, CASE WHEN %s THEN now() END)",
                *(id, email, number, precedence, created_at, is_deleted),
            )
        for id, (_, _, link, *_) in enumerate(rows, start=1):
            sql("UPDATE contacts SET linked_id = %s WHERE id = %s", link and min(link, len(rows)), id)
        for id, (pair, standing) in enumerate(evidence.items(), start=100):
            sql(
                "INSERT INTO contact_evidence (id, email, phone_number, seen_at, standing, hold)"
                " VALUES (%s, %s, %s, now(), %s, %s)",
                *(id, *pair, standing, None),
            )

        async def body():
            async with repository_on(url, emails=EmailForms(to_ascii, to_unicode)) as repository:
                await repository.put(rules, Note("marty", "a test"))
                for some in (batch, *([details] for details in batch)):
                    columns = await repository.load_columns(some)
                    contacts = await repository.load(some)
                    assert columns.size == contacts.size
                    assert find_known(some, columns) == find_known(some, contacts)

        asyncio.run(body())

    check()


def test_pages_of_rows_of_others_make_up_what_they_are_read_as(url, sql):
    @settings(max_examples=60, deadline=None)
    @given(ROWS_OF_OTHERS, st.integers(1, 3))
    def check(rows, limit):
        sql("TRUNCATE contacts CASCADE")
        for id, (email, number, _, precedence, days, is_deleted) in enumerate(rows, start=1):
            sql(
                "INSERT INTO contacts (id, email, phone_number, link_precedence, created_at, deleted_at)"
                " VALUES (%s, %s, %s, %s, date '2020-01-09' - %s, CASE WHEN %s THEN now() END)",
                *(id, email, number, precedence, days, is_deleted),
            )
        for id, (_, _, link, *_) in enumerate(rows, start=1):
            sql("UPDATE contacts SET linked_id = %s WHERE id = %s", link and min(link, len(rows)), id)

        async def body():
            async with repository_on(url) as repository:
                for id in range(1, len(rows) + 1):
                    found = await repository.find(id)
                    assert await read_pages(repository, id, limit) == ([found] if found else [])
                for details in (ContactDetails("a@x", "1"), ContactDetails("b@x", "2")):
                    loaded = await repository.load([details])
                    assert await read_pages(repository, details, limit) == list(loaded.identities)

        asyncio.run(body())

    check()


def test_values_are_suggested_however_others_wrote_them(existing, empty_url, sql):
    existing(
        (1, " Doc@X ", "555-0100", None, "primary", 9, False),
        (2, "b@x", "5550100", 1, "secondary", 8, False),
        (3, ASCII, "(555) 0100", 1, "secondary", 7, False),
        (4, "", "555 0100", 1, "secondary", 6, False),
        (5, "gone@x", "5550100", 1, "secondary", 5, True),
        (6, ASCII.upper(), "2", 1, "secondary", 4, False),
        (7, "alone@x", "", None, "primary", 3, False),
    )
    migrate(empty_url)
    before = sql(ROWS)
    shop = Identifier(IdentifierKind.PHONE_NUMBER, "5550100")
    anna, doc = (Identifier(IdentifierKind.EMAIL, email) for email in (UNICODE, "doc@x"))

    async def body():
        async with repository_on(empty_url, emails=EmailForms(to_ascii, to_unicode)) as repository:
            assert await repository.most_shared(9) == [shop, anna]
            assert await repository.largest(9) == [doc]
            assert await repository.weigh([shop, anna]) == [
                SharedValue(anna, 2, 0, 1, 5),
                SharedValue(shop, 3, 0, 1, 5),
            ]
            found = await SuggestRules(repository)()
            assert [(one.value.identifier, one.parts) for one in found] == [
                (shop, (2, 1, 1, 1)),
                (anna, (4, 1)),
            ]

    asyncio.run(body())
    assert sql(ROWS) == before
