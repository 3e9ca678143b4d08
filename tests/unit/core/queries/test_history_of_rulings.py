"""Sequences of rulings that are hard to follow: for who asks what was, and for who knows events alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from identity_adapters.memory import InMemoryContactRepository
from identity_core import ContactDetails, IdentifyContacts, Note, QueryIdentities, RuleOnIdentities, Verdict
from identity_core.testing.rulings import Follower
from tests.unit.core.records import value

NOTE = Note("marty", "a typo")
START = datetime(2024, 1, 1, tzinfo=UTC)
DATES = {"old": 1, "new": 2, "newer": 3}
"""The days of January 2001 that details are of; without one of these words they are of now."""

SCENARIOS = {
    "undone again after it was restored": ["a1", "undo a1", "restore a1", "undo a1"],
    "a contact that repeats another once its number is gone": ["a", "a1 old", "undo a1", "restore a1"],
    "dated back while its number was gone": ["a1", "1 old", "undo a1", "a1 old", "restore a1", "undo a1"],
    "the contact of a number is deleted after others joined it": [
        *("a1", "undo a1", "b1", "undo b1", "restore a1", "restore b1"),
    ],
    "the contact of a number was primary where it is deleted": [
        *("a2", "a1", "b0", "c1 old", "undo a2", "pin c0", "a0 old", "undo a0", "restore a0"),
    ],
    "the contact of a number comes back to its email out of another identity": [
        *("b1", "a0 old", "b0 old", "pin ad", "d1 old", "undo d1", "restore d1"),
    ],
    "a pair is released and held in turn": [
        *("c0 old", "a0 old", "b1 old", "b3 newer", "a3 old", "undo a0", "pin a0", "b0 new", "a1 old"),
        *("undo b0", "unpin a0", "restore b0"),
    ],
}


def to_value(letter):
    return value(letter if letter.isdigit() else f"{letter}@x")


def to_details(word, seen_at=None):
    values = {to_value(letter).kind.value: to_value(letter).value for letter in word}
    return ContactDetails(**values, seen_at=seen_at)


async def take(step, repository):
    word, *rest = reversed(step.split())
    rule = RuleOnIdentities(repository, repository)
    if word in DATES:
        at = datetime(2001, 1, DATES[word], tzinfo=UTC)
        await IdentifyContacts(repository)(to_details(*rest, at))
    elif not rest:
        await IdentifyContacts(repository)(to_details(word))
    else:
        one, other = map(to_value, word)
        pair = to_details(word).pair
        match rest:
            case ["undo"]:
                await rule.undo(pair, NOTE)
            case ["restore"]:
                await rule.restore(await rule.find_undone(pair), NOTE)
            case ["pin"]:
                await rule.pin(one, other, Verdict.DIFFERENT, NOTE)
            case ["unpin"]:
                pins = [ruling for ruling in await rule.rulings() if ruling.verdict is Verdict.DIFFERENT]
                [pin] = [pin for pin in pins if pin.values == {one, other}]
                await rule.unpin(pin, NOTE)


@pytest.mark.parametrize("steps", SCENARIOS.values(), ids=SCENARIOS)
def test_each_moment_is_known_as_it_was_and_the_feed_tells_where_everybody_is(steps):
    async def body():
        ticks = count()
        repository = InMemoryContactRepository(lambda: START + timedelta(hours=next(ticks)))
        queries, follower = QueryIdentities(repository), Follower(repository)
        past = {}
        for step in steps:
            await take(step, repository)
            now = repository._events[-1].happened_at
            await follower.catch_up()
            for id in repository._contacts:
                found = await repository.find(id)
                past[now, id] = {contact.id: contact.key for contact in found}
            for id, primary_id in follower.primaries.items():
                assert (await repository.find(id))[0].id == primary_id
        assert follower.primaries.keys() >= repository._contacts.keys()
        for (moment, id), keys in past.items():
            found = await queries.as_of(id, moment)
            assert {contact.id: contact.key for contact in found} == keys

    asyncio.run(body())


def test_a_pair_that_went_to_another_contact_is_not_known_as_that_of_the_first_any_more():
    async def body():
        ticks = count()
        repository = InMemoryContactRepository(lambda: START + timedelta(hours=next(ticks)))
        await take("a1 newer", repository)
        moment = repository._events[-1].happened_at
        for step in ("undo a1", "a new", "restore a1", "a1 old"):
            await take(step, repository)
        [contact] = await QueryIdentities(repository).as_of(1, moment)
        assert (contact.id, contact.key) == (1, ("a@x", None))

    asyncio.run(body())
