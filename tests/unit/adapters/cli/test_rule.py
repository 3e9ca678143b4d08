"""What a ruling shows before it is made."""

import asyncio

from identity_adapters.cli.rule import _describe, _describe_contradiction
from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ContactDetails,
    Contradiction,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Note,
    RuleOnIdentities,
)

NOTE = Note("doc", "a typo")


def rule_on(*pairs):
    """The rulings on a repository in which these pairs were seen."""
    repository = InMemoryContactRepository()
    asyncio.run(IdentifyContacts(repository).many([ContactDetails(*pair) for pair in pairs]))
    return RuleOnIdentities(repository, repository)


def test_of_a_large_identity_only_the_first_contacts_are_shown():
    rule = rule_on(*((f"{number}@x", "1") for number in range(30)))
    ruled = asyncio.run(rule.undo(("7@x", "1"), NOTE, dry_run=True))
    rows = [line.split() for line in _describe(ruled, is_applied=False).splitlines()]
    table = rows[rows.index(["primary", "contact", "email", "phone", "number"]) + 1 :]
    assert table[:2] == [["1", "1", "0@x", "1"], ["1", "2", "1@x", "1"]]
    assert table[20:22] == [["1", "and", "9", "more"], ["8", "8", "7@x"]]


def test_a_contact_that_would_be_new_has_no_id():
    ruled = asyncio.run(rule_on(("a@x", "1")).undo(("a@x", "1"), NOTE, dry_run=True))
    shown = _describe(ruled, is_applied=False)
    assert "Primary contacts before: 1; after: 1, new." in shown
    assert "\nnew      new             1\n" in shown


def test_after_a_yes_only_what_was_done_is_shown():
    ruled = asyncio.run(rule_on(("a@x", "1")).undo(("a@x", "1"), NOTE))
    assert _describe(ruled, is_applied=True, is_brief=True).splitlines() == [
        "Undid the link between a@x and 1 (ruling 2).",
        "Moved 0 contacts.",
    ]


def test_of_several_links_the_weakest_comes_first():
    rule = rule_on(("a@x", "1"), ("b@x", "1"), ("a@x", "2"), ("b@x", "2"))
    ends = (Identifier(IdentifierKind.EMAIL, email) for email in ("a@x", "b@x"))
    shown = _describe(asyncio.run(rule.split(*ends, NOTE, dry_run=True)), is_applied=False)
    assert "\nIt undoes, the weakest first:\n" in shown


def test_a_contradiction_without_a_chain_is_one_sentence():
    assert _describe_contradiction(
        Contradiction("a pin says the opposite: remove it first", ruling_id=7)
    ) == ("a pin says the opposite: remove it first (ruling 7)")
