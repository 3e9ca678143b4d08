"""Everything that changes identities, at random, on a real database."""

import asyncio
from contextlib import asynccontextmanager, suppress

from identity_core import (
    ChangeRules,
    ContactDetails,
    Contradiction,
    EraseIdentities,
    IdentifyContacts,
    Limits,
    Note,
    NotRecorded,
    RuleOnIdentities,
    RuleSet,
    Verdict,
)
from identity_core.model.identifiers import to_identifiers
from tests.support.databases import repository_on

NOTE = Note("the test", "to see what happens")
POOL = 12
"""Of so few emails and phone numbers most are joined before long."""


@asynccontextmanager
async def operations(url, random):
    """Does one thing or a few at once each time it is called."""
    async with repository_on(url) as ports:
        identify = IdentifyContacts(ports).with_outcomes
        rule = RuleOnIdentities(ports, ports)
        erase = EraseIdentities(ports, ports, ports)
        change = ChangeRules(ports, ports)
        pairs = []

        def draw_details():
            email, number = f"{random.randrange(POOL)}@x", str(100 + random.randrange(POOL))
            pairs.append((email, number))
            return random.choice(
                [ContactDetails(email, number)] * 6 + [ContactDetails(email), ContactDetails(None, number)]
            )

        def draw_ends():
            values = [value for pair in random.sample(pairs, 2) for value in to_identifiers(*pair)]
            return random.sample(sorted(set(values)), 2)

        async def identify_some():
            # Transactions that overlap commit their ids in another order.
            batches = [[draw_details() for _ in range(random.randint(1, 4))] for _ in range(4)]
            await asyncio.gather(*map(identify, batches))

        async def take_back():
            if rulings := await rule.rulings(limit=1_000):
                ruling = random.choice(rulings)
                with suppress(NotRecorded, Contradiction, ValueError):
                    await (rule.restore if ruling.verdict is Verdict.UNDONE else rule.unpin)(ruling, NOTE)

        ways = [
            (6, identify_some),
            (3, lambda: rule.undo(random.choice(pairs), NOTE)),
            (3, lambda: rule.split(*draw_ends(), NOTE)),
            (2, lambda: rule.pin(*draw_ends(), random.choice([Verdict.SAME, Verdict.DIFFERENT]), NOTE)),
            (3, take_back),
            (2, lambda: erase(random.choice(draw_ends()), "the test")),
            (1, lambda: change.put(RuleSet(limits=Limits(random.choice([None, 2]))), NOTE, retroactive=True)),
            (1, lambda: change.put(RuleSet(emails=frozenset(["1@x"])), NOTE, retroactive=True)),
        ]

        async def act():
            [way] = random.choices([way for _, way in ways], [weight for weight, _ in ways])
            with suppress(NotRecorded, Contradiction):
                await way()

        await identify_some()
        yield act


async def find_primaries(url):
    """The primary that the service answers for each contact, by id; deleted contacts are among them."""
    async with repository_on(url) as ports, ports.database.connection() as connection:
        cursor = await connection.execute("SELECT id FROM contacts")
        found = {id: await ports.find(id) for (id,) in await cursor.fetchall()}
    return {id: contacts[0].id for id, contacts in found.items() if contacts}
