import asyncio
import threading

import pytest

from identity_adapters.memory import InMemoryContactRepository
from identity_adapters.offload import LARGE, offload
from identity_core import (
    ContactDetails,
    EventKind,
    IdentifyContacts,
    IdentityError,
    Outcome,
    RepositoryUnavailable,
    Standing,
    Verdict,
    find_known,
)
from identity_core.testing.model import resolved
from tests.unit.core.records import Customers, day


class Recording(InMemoryContactRepository):
    """Keeps what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def load(self, batch):
        self.asked.append(("load", [details.key for details in batch]))
        return await super().load(batch)

    async def transact(self, batch, decide):
        self.asked.append(("transact", [details.key for details in batch]))
        return await super().transact(batch, decide)


def identified(repository, *keys):
    batch = [ContactDetails(*key) for key in keys]
    return asyncio.run(IdentifyContacts(repository, offload=offload).many(batch))


def test_known_details_are_answered_without_a_transaction():
    repository = Recording()
    identified(repository, ("a@x", "1"))
    repository.asked.clear()
    identified(repository, ("a@x", "1"), ("a@x", None), (None, "1"))
    assert repository.asked == [("load", [("a@x", "1"), ("a@x", None), (None, "1")])]


def test_of_a_batch_only_what_is_not_known_is_decided_on():
    repository = Recording()
    identified(repository, ("a@x", "1"))
    repository.asked.clear()
    first, second, third, fourth = identified(
        repository, ("a@x", None), ("b@x", "2"), ("a@x", "1"), ("b@x", "3")
    )
    assert [kind for kind, _ in repository.asked] == ["load", "transact"]
    assert repository.asked[1] == ("transact", [("b@x", "2"), ("b@x", "3")])
    assert first == third
    assert (first.primary_contact_id, second.primary_contact_id) == (1, 2)
    assert second == fourth
    assert second.phone_numbers == ("2", "3")


@pytest.mark.parametrize("number", [LARGE - 1, LARGE])
def test_a_large_identity_is_looked_at_beside_the_event_loop(monkeypatch, number):
    threads = []

    def watched(batch, snapshot):
        threads.append(threading.current_thread())
        return find_known(batch, snapshot)

    repository = InMemoryContactRepository()
    identified(repository, *[("a@x", str(n)) for n in range(number)])
    monkeypatch.setattr("identity_core.identify.find_known", watched)
    [identity] = identified(repository, ("a@x", None))
    assert len(identity.phone_numbers) == number
    assert (threads == [threading.main_thread()]) == (number < LARGE)


def test_no_details_are_no_identities():
    assert identified(Recording()) == []


def test_an_unavailable_repository_is_told_of_with_its_reason():
    class Unavailable(InMemoryContactRepository):
        async def load(self, batch):
            raise RepositoryUnavailable("it is away")

    with pytest.raises(IdentityError, match="it is away") as caught:
        identified(Unavailable(), ("a@x", "1"))
    assert caught.value.reason == "it is away"


# Details whose pair does not count


def kept_apart(*keys):
    """Two customers that a pin keeps apart, and more details."""
    customers = Customers(("a@x", "1", day(10)), ("b@x", "2", day(20)))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.identify(*keys)
    return customers


def standings_of(customers):
    return {piece.pair: piece.standing for piece in customers.record.evidence}


def test_details_whose_pair_is_undone_are_answered_as_their_email_alone():
    customers = Customers(("a@x", "1"), ("a@x", "2"))
    customers.undo("a@x", "1")
    before = customers.record
    [identified] = customers.identify(("a@x", "1"))
    assert identified.outcome is Outcome.HELD
    assert (identified.identity.emails, identified.identity.phone_numbers) == (("a@x",), ("2",))
    assert customers.record == before


def test_details_that_a_pin_forbids_are_recorded_once_and_answered_as_their_email_alone():
    customers = kept_apart()
    for _ in range(2):
        [identified] = customers.identify(("b@x", "1"))
        assert identified.outcome is Outcome.HELD
        assert identified.identity.emails == ("b@x",)
    assert standings_of(customers) == {("b@x", "1"): Standing.HELD}
    assert [event.kind for event in customers.events].count(EventKind.HELD) == 1


def test_a_value_of_a_pair_that_does_not_count_can_be_dated_back():
    customers = kept_apart(("a@x", "2"))
    [identified] = customers.identify(("a@x", "2", day(1)))
    assert identified.outcome is Outcome.HELD
    dates = {contacts[0].key: contacts[0].created_at for contacts in customers.record.identities}
    assert dates == {("a@x", None): day(1), (None, "2"): day(1)}
    assert customers.parts == resolved(customers.record)


def test_each_of_several_held_details_in_a_batch_is_answered_in_its_place():
    customers = kept_apart()
    keys = [("a@x", "2"), ("c@x", "1"), ("b@x", "1"), ("d@x", "4"), ("c@x", "2"), ("a@x", "2")]
    answers = customers.identify_batch(*keys)
    assert [one.outcome for one in answers] == ["held", "linked", "held", "created", "held", "held"]
    for (email, _), one in zip(keys, answers, strict=True):
        assert email in one.identity.emails
    assert {pair for pair, standing in standings_of(customers).items() if standing is Standing.HELD} == {
        ("a@x", "2"),
        ("b@x", "1"),
        ("c@x", "2"),
    }
    assert customers.parts == resolved(customers.record)


@pytest.mark.parametrize("seen_at", [day(0), day(15), day(500)])
def test_dated_details_that_a_pin_forbids_are_decided_by_the_whole_record(seen_at):
    customers = kept_apart()
    answers = customers.identify_batch(
        ("c@x", "3"), ("a@x", "2", seen_at), ("b@x", "1", seen_at), ("c@x", "1"), ("d@x", "2", seen_at)
    )
    assert answers[0].outcome is Outcome.CREATED
    assert customers.parts == resolved(customers.record)
    for (email, number), one in zip(
        [("c@x", "3"), ("a@x", "2"), ("b@x", "1"), ("c@x", "1"), ("d@x", "2")], answers, strict=True
    ):
        assert email in one.identity.emails
        assert (one.outcome is Outcome.HELD) == (number not in one.identity.phone_numbers)
    before = customers.record
    again = customers.identify_batch(("c@x", "3"), ("a@x", "2"), ("b@x", "1"), ("c@x", "1"), ("d@x", "2"))
    assert {one.outcome for one in again} <= {Outcome.KNOWN, Outcome.HELD}
    assert customers.record == before


def test_an_earlier_pair_takes_the_place_of_one_that_counted():
    customers = kept_apart()
    [identified] = customers.identify(("a@x", "2", day(15)))
    assert identified.outcome is Outcome.KNOWN
    assert identified.identity.phone_numbers == ("1", "2")
    assert standings_of(customers)["b@x", "2"] is Standing.HELD
    [displaced] = customers.identify(("b@x", "2"))
    assert (displaced.outcome, displaced.identity.phone_numbers) == (Outcome.HELD, ())
