import asyncio
import threading

import pytest

from identity_adapters.memory import InMemoryContactRepository
from identity_adapters.offload import LARGE, offload
from identity_core import ContactDetails, IdentifyContacts, IdentityError, RepositoryUnavailable, find_known


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
