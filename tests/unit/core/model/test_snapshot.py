from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from identity_core import Contact, RuleSet, Snapshot
from identity_core.model.columns import ContactColumns
from identity_core.model.snapshot import group_linked


def contact(id, linked_id=None):
    return Contact(id, None, str(id), linked_id, None, datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=id))


def grouped(*contacts, links_of_deleted=None):
    snapshot = Snapshot.of(contacts, links_of_deleted=links_of_deleted)
    return [[c.id for c in identity] for identity in snapshot.identities]


def test_contacts_come_oldest_first_and_so_do_identities():
    assert grouped(contact(4), contact(3, 2), contact(2), contact(1, 4)) == [[1, 4], [2, 3]]


def test_as_columns_identities_keep_their_contacts_in_order():
    snapshot = Snapshot.of([contact(4), contact(3, 2), contact(2)], rules=RuleSet(emails=["a@x"]))
    first, second = snapshot.to_columns().columns
    assert (first.ids, first.emails, first.phone_numbers) == ((2, 3), (None, None), ("2", "3"))
    assert first.created_at == contact(2).created_at
    assert second == ContactColumns.of([contact(4)])
    assert snapshot.to_columns() == Snapshot(columns=(first, second), rules=snapshot.rules)
    assert snapshot.size == snapshot.to_columns().size == 3
    assert snapshot.to_columns().to_columns() == snapshot.to_columns()


def test_links_are_followed_in_any_number_of_steps():
    assert grouped(contact(1), contact(2, 1), contact(3, 2), contact(4, 3), contact(5)) == [[1, 2, 3, 4], [5]]


def test_links_in_a_circle_are_one_identity():
    assert grouped(contact(1, 3), contact(2, 1), contact(3, 2), contact(4, 2)) == [[1, 2, 3, 4]]
    assert grouped(contact(1, 1), contact(2, 1), contact(3, 3)) == [[1, 2], [3]]


def test_contacts_of_a_deleted_primary_keep_together():
    assert grouped(contact(2, 1), contact(3, 1), links_of_deleted={1: None}) == [[2, 3]]
    assert grouped(contact(2, 1), contact(3), links_of_deleted={1: 3}) == [[2, 3]]
    assert grouped(contact(2, 7), contact(3, 7)) == [[2, 3]]


@given(st.lists(st.integers(0, 9), min_size=10, max_size=10), st.sets(st.integers(0, 9)), st.randoms())
def test_identities_are_the_components_of_the_links(links, deleted, random):
    nodes = set(range(10))
    parts = [{node} for node in nodes]
    for node, link in enumerate(links):
        met = set().union(*(part for part in parts if node in part or link in part))
        parts = [part for part in parts if not part & met] + [met]
    contacts = [contact(node, links[node]) for node in nodes - deleted]
    random.shuffle(contacts)
    found = grouped(*contacts, links_of_deleted={node: links[node] for node in deleted})
    expected = [sorted(part - deleted) for part in parts if part - deleted]
    assert sorted(found) == sorted(expected)
    assert sorted(map(sorted, group_linked(dict(enumerate(links))))) == sorted(map(sorted, parts))
