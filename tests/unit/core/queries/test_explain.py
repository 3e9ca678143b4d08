"""Why two identifiers are one customer, compared with another library."""

import asyncio
from datetime import timedelta
from itertools import count, pairwise

import networkx
from hypothesis import assume, given
from hypothesis import strategies as st

from identity_adapters.memory import InMemoryContactRepository
from identity_adapters.offload import LARGE, offload
from identity_core import (
    Contact,
    ContactDetails,
    Evidence,
    Hold,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Limits,
    LinkPrecedence,
    LinkReason,
    QueryIdentities,
    Record,
    RuleSet,
    Standing,
    Verdict,
    WeakestLink,
    explain,
    repair,
    resolve,
)
from identity_core.testing import batches
from identity_core.testing.strategies import EPOCH
from tests.unit.core.records import NOW, Customers, contact, record_of, records, ruling, value, write


def email(value):
    return Identifier(IdentifierKind.EMAIL, value)


def phone_number(value):
    return Identifier(IdentifierKind.PHONE_NUMBER, value)


def recorded(details):
    """The contacts of each identity, and all evidence."""
    repository = InMemoryContactRepository()
    asyncio.run(IdentifyContacts(repository).many(details))
    return asyncio.run(repository.load(details)).identities, list(repository._evidence.values())


def explain_in(contacts, evidence, one, other):
    """The explanation in a record of one identity without rulings."""
    return explain(Record((tuple(contacts),), tuple(evidence)), one, other)


def graph_of(contacts, evidence):
    graph = networkx.Graph()
    for one in contacts:
        held = one.identifiers
        graph.add_nodes_from(held)
        graph.add_edges_from([held] if len(held) == 2 else [])
    for piece in evidence:
        pair = email(piece.email), phone_number(piece.phone_number)
        if pair[0] in graph and pair[1] in graph:
            graph.add_edge(*pair)
    return graph


@given(batches(6, max_size=30), st.data())
def test_the_chain_is_evidence_and_shortest_and_the_weakest_link_parts(details, data):
    identities, evidence = recorded(details)
    for contacts in identities:
        graph = graph_of(contacts, evidence)
        one, other = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
        found = explain_in(contacts, evidence, one, other)
        assert len(found.chain) == networkx.shortest_path_length(graph, one, other)
        ends = [link.one for link in found.chain] + [other]
        assert ends == [one] + [link.other for link in found.chain]
        assert all(graph.has_edge(link.one, link.other) for link in found.chain)
        from_trusted = {(LinkReason.CONTACT, c.id): c.identifiers for c in contacts}
        for piece in evidence:
            from_trusted[LinkReason.EVIDENCE, piece.id] = [
                email(piece.email),
                phone_number(piece.phone_number),
            ]
        for link in found.chain:
            assert {link.one, link.other} == set(from_trusted[link.reason, link.id])

        parting = {
            node
            for node in graph.nodes - {one, other}
            if not networkx.has_path(graph.subgraph(graph.nodes - {node}), one, other)
        }
        weakest = found.weakest_link
        assert (weakest is None) == (not parting)
        if weakest is not None:
            assert weakest.identifier in parting
            assert weakest.edges == min(graph.degree[node] for node in parting)
            left = graph.subgraph(graph.nodes - {weakest.identifier})
            for end, contacts_held in ((one, weakest.contacts_before), (other, weakest.contacts_after)):
                side = networkx.node_connected_component(left, end)
                assert contacts_held == sum(bool(side & {*c.identifiers}) for c in contacts)


@given(batches(6, max_size=20))
def test_of_different_identities_nothing_is_to_be_explained(details):
    identities, evidence = recorded(details)
    for contacts, others in pairwise(identities):
        [one, *_], [other, *_] = contacts[0].identifiers, others[0].identifiers
        assert explain(Record((contacts, others), tuple(evidence)), one, other) is None


def test_a_link_that_nothing_but_its_record_explains_is_inherited():
    contacts = [
        Contact(1, "a@x", "1", None, LinkPrecedence.PRIMARY, EPOCH),
        Contact(2, None, None, 1, LinkPrecedence.SECONDARY, EPOCH),
        Contact(3, "b@x", "2", 1, LinkPrecedence.SECONDARY, EPOCH),
        Contact(4, "c@x", "2", 1, LinkPrecedence.SECONDARY, EPOCH),
    ]
    found = explain_in(contacts, (), phone_number("1"), email("c@x"))
    assert [(link.reason, link.id) for link in found.chain] == [
        (LinkReason.CONTACT, 1),
        (LinkReason.INHERITED, 3),
        (LinkReason.CONTACT, 3),
        (LinkReason.CONTACT, 4),
    ]
    assert explain_in([contacts[1]], (), email("a@x"), email("a@x")) is None


def test_the_use_case_explains_values_and_contacts_by_their_ids():
    async def body():
        repository = InMemoryContactRepository()
        identify, queries = IdentifyContacts(repository), QueryIdentities(repository, offload=offload)
        keys = [("a@x", "1"), ("b@x", "2"), ("b@x", "1"), ("c@x", "9"), (None, "2")]
        await identify.many([ContactDetails(*key) for key in keys])
        found = await queries.explain(email("a@x"), phone_number("2"))
        assert [(link.other.value, link.reason) for link in found.chain] == [
            ("1", LinkReason.CONTACT),
            ("b@x", LinkReason.EVIDENCE),
            ("2", LinkReason.CONTACT),
        ]
        assert found.weakest_link.identifier in (phone_number("1"), email("b@x"))
        assert (await queries.explain(1, 2)).chain == found.chain[:2]
        assert (await queries.explain(phone_number("2"), 1)).chain[-1].other == email("a@x")
        assert await queries.explain(email("a@x"), email("c@x")) is None
        assert await queries.explain(email("unknown@x"), email("a@x")) is None
        assert await queries.explain(99, 1) is None
        assert await queries.explain(1, 99) is None

    asyncio.run(body())


def test_a_large_identity_is_explained_as_well():
    async def body():
        repository = InMemoryContactRepository()
        identify, queries = IdentifyContacts(repository), QueryIdentities(repository, offload=offload)
        await identify.many([ContactDetails("a@x", str(number)) for number in range(LARGE)])
        found = await queries.explain(phone_number("1"), phone_number(str(LARGE - 1)))
        assert len(found.chain) == 2
        assert found.weakest_link == WeakestLink(email("a@x"), LARGE, 1, 1)

    asyncio.run(body())


def test_one_value_explains_itself():
    [contacts], evidence = recorded([ContactDetails("a@x", "1")])
    found = explain_in(contacts, evidence, email("a@x"), email("a@x"))
    assert (found.chain, found.weakest_link) == ((), None)


def explain_pairs(pairs, one, other):
    """The explanation, where each pair is a contact of its own, a day younger than the one before."""
    contacts = [
        Contact(id, *pair, None if id == 1 else 1, None, EPOCH + timedelta(days=id))
        for id, pair in enumerate(pairs, start=1)
    ]
    return explain_in(contacts, (), one, other)


def test_two_paths_that_share_no_value_have_no_weakest_link():
    ring = [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("a@x", "2")]
    found = explain_pairs(ring, email("a@x"), email("b@x"))
    assert found.weakest_link is None
    assert [(link.id, link.seen_at) for link in found.chain] == [
        (1, EPOCH + timedelta(days=1)),
        (2, EPOCH + timedelta(days=2)),
    ]


def test_a_detour_around_a_value_leaves_the_others_as_weakest_links():
    path = [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "2")]
    detour = [("d@x", "1"), ("d@x", "2")]
    found = explain_pairs([*path, *detour], email("a@x"), email("c@x"))
    assert [link.other.value for link in found.chain] == ["1", "b@x", "2", "c@x"]
    assert found.weakest_link == WeakestLink(phone_number("1"), 3, 1, 5)
    longer = explain_pairs([*path, ("c@x", "3"), ("e@x", "3")], email("a@x"), email("e@x"))
    assert longer.weakest_link == WeakestLink(phone_number("1"), 2, 1, 5)


def test_a_link_by_evidence_has_its_date():
    contacts = [
        Contact(1, "a@x", None, None, LinkPrecedence.PRIMARY, EPOCH),
        Contact(2, None, "1", 1, LinkPrecedence.SECONDARY, EPOCH),
    ]
    later = EPOCH + timedelta(days=3)
    [link] = explain_in(contacts, [Evidence(9, "a@x", "1", later)], email("a@x"), phone_number("1")).chain
    assert (link.reason, link.id, link.seen_at) == (LinkReason.EVIDENCE, 9, later)


# Rulings


def reasons_of(found):
    return [(link.reason, link.id) for link in found.chain]


def test_a_pin_is_a_reason_and_comes_before_the_pair_that_says_the_same():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "2")]
    record = record_of(contacts, rulings=[ruling(80, Verdict.SAME, "a@x", "b@x")])
    found = explain(record, value("1"), value("b@x"))
    assert reasons_of(found) == [(LinkReason.CONTACT, 1), (LinkReason.PIN, 80)]
    assert found.is_joined
    assert found.pin_ids == ()
    assert found.weakest_link.identifier == value("a@x")
    record = record_of(contacts, rulings=[ruling(80, Verdict.SAME, "a@x", "1")])
    assert reasons_of(explain(record, value("a@x"), value("1"))) == [(LinkReason.PIN, 80)]


def test_an_inherited_link_that_was_undone_and_restored_is_inherited():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)]
    record = record_of(contacts, rulings=[ruling(80, Verdict.INHERITED, "a@x", "b@x")])
    assert reasons_of(explain(record, value("a@x"), value("b@x"))) == [(LinkReason.INHERITED, 80)]


def test_of_two_that_share_a_history_the_undone_link_tells_why_they_are_not_one():
    customers = Customers(("a@x", "1"), ("b@x", "1"))
    customers.undo("b@x", "1")
    [made] = customers.rulings
    found = explain(customers.record, value("a@x"), value("b@x"))
    assert reasons_of(found) == [(LinkReason.CONTACT, 1), (LinkReason.UNDONE, made.id)]
    assert (found.is_joined, found.weakest_link, found.pin_ids) == (False, None, ())
    assert found.chain[-1].seen_at == made.decided_at


def test_of_two_that_a_pin_keeps_apart_the_held_pair_and_the_pin_tell_why_they_are_not_one():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.identify(("a@x", "2"))
    [pin] = customers.rulings
    [piece] = customers.record.evidence
    found = explain(customers.record, value("1"), value("b@x"))
    assert reasons_of(found) == [
        (LinkReason.CONTACT, 1),
        (LinkReason.HELD, piece.id),
        (LinkReason.CONTACT, 2),
    ]
    assert (found.is_joined, found.pin_ids) == (False, (pin.id,))


def test_a_split_is_explained_by_what_it_undid_and_its_pin():
    customers = Customers(("a@x", "1"), ("b@x", "2"), ("a@x", "2"))
    customers.split("a@x", "b@x")
    pins = [one.id for one in customers.rulings if one.verdict is Verdict.DIFFERENT]
    found = explain(customers.record, value("a@x"), value("b@x"))
    assert [reason for reason, _ in reasons_of(found)] == [LinkReason.UNDONE, LinkReason.CONTACT]
    assert list(found.pin_ids) == pins


def test_two_that_share_nothing_but_a_pin_are_explained_by_the_pin_alone():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "2"), contact(3, "c@x", None)]
    record = record_of(contacts, rulings=[ruling(80, Verdict.DIFFERENT, "a@x", "b@x")])
    found = explain(record, value("1"), value("2"))
    assert (found.chain, found.pin_ids, found.is_joined) == ((), (80,), False)
    assert explain(record, value("1"), value("c@x")) is None


def test_undone_pairs_with_values_that_the_record_does_not_know_explain_nothing():
    contacts = [contact(1, "a@x", None), contact(2, "b@x", None)]
    undone = [ruling(80, Verdict.UNDONE, "a@x", "9"), ruling(81, Verdict.UNDONE, "b@x", "9")]
    assert explain(record_of(contacts, rulings=undone), value("a@x"), value("b@x")) is None


@given(records(), st.data())
def test_an_explanation_says_whether_two_are_one_and_its_links_count_only_if_they_are(record, data):
    record = write(record, repair(record, NOW, count(200)).writes)
    values = sorted({one for each in record.contacts for one in each.identifiers})
    assume(values)
    one, other = (data.draw(st.sampled_from(values)) for _ in range(2))
    partition = resolve(record).partition
    are_joined = partition.find(partition.number(one)) == partition.find(partition.number(other))
    found = explain(record, one, other)
    if are_joined:
        assert found.is_joined
        assert not {link.reason for link in found.chain} & {LinkReason.UNDONE, LinkReason.HELD}
        assert found.pin_ids == ()
    elif found is not None:
        assert not found.is_joined
        assert found.weakest_link is None
        assert found.chain or found.pin_ids
        if found.chain:
            ends = [link.one for link in found.chain] + [other]
            assert ends == [one] + [link.other for link in found.chain]
            assert {link.reason for link in found.chain} & {LinkReason.UNDONE, LinkReason.HELD}
    pins = {one.id for one in record.rulings if one.verdict is Verdict.DIFFERENT}
    assert found is None or pins.issuperset(found.pin_ids)


def test_a_held_pair_explains_by_its_evidence():
    contacts = [contact(1, "a@x", None), contact(2, None, "1")]
    held = Evidence(9, "a@x", "1", EPOCH, Standing.HELD)
    pin = ruling(80, Verdict.DIFFERENT, "a@x", "1")
    found = explain(record_of(contacts, [held], [pin]), value("a@x"), value("1"))
    assert reasons_of(found) == [(LinkReason.HELD, 9)]
    assert found.pin_ids == (80,)


def test_a_link_that_another_program_made_across_a_pin_joins_nothing():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)]
    record = record_of(contacts, rulings=[ruling(80, Verdict.DIFFERENT, "a@x", "b@x")])
    found = explain(record, value("1"), value("2"))
    assert (found.chain, found.pin_ids, found.is_joined) == ((), (80,), False)


# Blocks and limits


def shop(rules, *later):
    """Two customers with the shop's own number, and whoever comes by the rules."""
    customers = Customers(("a@x", "1"), ("b@x", "1"))
    customers.put_rules(rules)
    customers.identify(*later)
    return customers


def test_of_two_that_share_a_blocked_value_the_pairs_with_it_tell_why_they_are_not_one():
    customers = shop(RuleSet(phone_numbers=["1"]), ("c@x", "1"))
    for email_of_other, id in (("b@x", 2), ("c@x", customers.record.evidence[-1].id)):
        found = asyncio.run(customers.queries.explain(value("a@x"), value(email_of_other)))
        assert reasons_of(found) == [(LinkReason.BLOCKED, 1), (LinkReason.BLOCKED, id)]
        assert [link.hold for link in found.chain] == [None, None]
        assert (found.is_joined, found.weakest_link, found.pin_ids) == (False, None, ())


def test_a_blocked_value_is_explained_though_no_contact_has_it():
    customers = shop(RuleSet(phone_numbers=["1"]))
    found = asyncio.run(customers.queries.explain(value("1"), value("a@x")))
    assert reasons_of(found) == [(LinkReason.BLOCKED, 1)]
    assert asyncio.run(customers.queries.explain(value("1"), value("1"))) is None
    assert asyncio.run(customers.queries.explain(value("1"), value("7"))) is None


def test_before_they_are_settled_contacts_with_a_blocked_value_are_explained_likewise():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)]
    record = record_of(contacts, rules=RuleSet(phone_numbers=["1"]))
    found = explain(record, value("a@x"), value("b@x"))
    assert reasons_of(found) == [(LinkReason.BLOCKED, 1), (LinkReason.BLOCKED, 2)]
    assert not found.is_joined


def test_of_two_that_a_limit_keeps_apart_the_held_pair_says_which():
    customers = shop(RuleSet(limits=Limits(emails_per_phone_number=2)), ("c@x", "1"))
    [piece] = customers.held
    found = explain(customers.record, value("a@x"), value("c@x"))
    assert reasons_of(found) == [(LinkReason.CONTACT, 1), (LinkReason.HELD, piece.id)]
    assert [link.hold for link in found.chain] == [None, Hold.EMAILS_PER_PHONE_NUMBER]
    assert not found.is_joined
    # The two of them do not know whom the number belongs to.
    strangers = shop(RuleSet(limits=Limits(emails_per_phone_number=2)), ("c@x", "1"), ("d@x", "1"))
    found = asyncio.run(strangers.queries.explain(value("c@x"), value("d@x")))
    assert [link.hold for link in found.chain] == [Hold.EMAILS_PER_PHONE_NUMBER] * 2


def test_an_accepted_pair_is_a_pin_and_no_limit_holds_it():
    customers = shop(RuleSet(limits=Limits(emails_per_phone_number=2)), ("c@x", "1"))
    customers.pin("c@x", "1", Verdict.SAME)
    found = explain(customers.record, value("a@x"), value("c@x"))
    assert [(link.reason, link.hold) for link in found.chain] == [
        (LinkReason.CONTACT, None),
        (LinkReason.PIN, None),
    ]


def test_a_rejected_pair_is_undone():
    customers = shop(RuleSet(limits=Limits(emails_per_phone_number=2)), ("c@x", "1"))
    done = customers.undo("c@x", "1")
    assert [(link.reason, link.hold) for link in done.undone] == [
        (LinkReason.HELD, Hold.EMAILS_PER_PHONE_NUMBER)
    ]
    found = explain(customers.record, value("a@x"), value("c@x"))
    assert [link.reason for link in found.chain] == [LinkReason.CONTACT, LinkReason.UNDONE]


def test_a_pin_about_a_blocked_value_explains():
    customers = shop(RuleSet(phone_numbers=["9"]))
    customers.pin("a@x", "9", Verdict.DIFFERENT)
    [pin] = customers.rulings
    found = asyncio.run(customers.queries.explain(value("9"), value("a@x")))
    assert (found.chain, found.is_joined, found.pin_ids) == ((), False, (pin.id,))
