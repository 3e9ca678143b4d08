"""Erasing in a transaction that a decision is written in."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, execute, send
from identity_adapters.postgres.locks import LAST_SEEN_LOCK
from identity_adapters.postgres.rows import (
    EmailForms,
    to_blocks_json,
    to_ledger_values,
    to_naive,
    to_rules_in_force,
    to_rules_json,
    to_values,
)
from identity_adapters.postgres.suppression import suppress
from identity_core import CannotSuppress, Erasure, RulesInForce, StillReferenced
from identity_core.model.erasure import find_block_marks
from identity_core.rules.strike import make_strike

REASON = "a person was erased"
"""Why rules without somebody are in force."""


async def erase(
    connection: Connection, erasure: Erasure, now: datetime, emails: EmailForms, suppression_key: bytes | None
) -> None:
    """Erase, and record it.

    Raises:
        CannotSuppress: the values are to be kept out, and there is no key.
        StillReferenced: another table refers to the contacts.
    """
    if erasure.suppressed_until is not None:
        if suppression_key is None:
            raise CannotSuppress
        await suppress(connection, erasure.values, erasure.suppressed_until, suppression_key)
    ids = json.dumps(erasure.contact_ids)
    done = {
        "id": erasure.id,
        "ids": ids,
        "now": to_naive(now),
        "by": erasure.erased_by,
        "suppressed_until": to_naive(erasure.suppressed_until),
    }
    try:
        await send(connection, statements.ERASE_CONTACTS, {"ids": ids})
    except psycopg.errors.ForeignKeyViolation:
        raise StillReferenced from None
    if erasure.again is not None:
        await send(connection, statements.ADOPT_ERASURE, to_ledger_values(erasure.again))
    rules_before = [*map(to_rules_in_force, await execute(connection, statements.ALL_RULES, {}))]
    # Nobody puts back when the values were last seen, since nobody records it from here to the end.
    await send(connection, statements.LOCK_LAST_SEEN, {"lock": LAST_SEEN_LOCK})
    others = {
        "evidence_ids": json.dumps(erasure.evidence_ids),
        "ruling_ids": json.dumps(erasure.ruling_ids),
        "blocks": to_blocks_json(find_block_marks(rules_before, erasure.values)),
    }
    await send(connection, statements.ERASE, {**to_values(erasure.values, emails), **done, **others})
    if erasure.rules is not None:
        rules = {"rules": to_rules_json(erasure.rules), "reason": REASON}
        await send(connection, statements.REPLACE_RULES, {**done, **rules})
    await _strike_out(connection, erasure, rules_before)


async def _strike_out(connection: Connection, erasure: Erasure, rules_before: Sequence[RulesInForce]) -> None:
    """Strike the values out of the rules that were in force, and out of what people wrote."""
    of_rulings = await execute(connection, statements.RULING_TEXTS, {})
    if not rules_before and not of_rulings:
        return
    strike = make_strike(erasure.values)
    rules: list[dict[str, Any]] = []
    for one in rules_before:
        kept = one.rules.unblock(erasure.values)
        texts = [None, ""] if one.note is None else [one.note.by, one.note.reason]
        struck = _strike_all(strike, texts)
        if kept is not one.rules or struck != texts:
            rules.append(
                {
                    "version": one.version,
                    "rules": json.loads(to_rules_json(kept)),
                    "applied_by": struck[0],
                    "reason": struck[1],
                }
            )
    rulings: list[dict[str, Any]] = []
    for id, *texts in of_rulings:
        if (struck := _strike_all(strike, texts)) != texts:
            rulings.append({"id": id, **dict(zip(_RULING_TEXTS, struck, strict=True))})
    if rules:
        await send(connection, statements.REWRITE_RULES, {"rows": json.dumps(rules)})
    if rulings:
        await send(connection, statements.REWRITE_RULINGS, {"rows": json.dumps(rulings)})


_RULING_TEXTS = ("decided_by", "reason", "withdrawn_by", "withdrawal_reason")


def _strike_all(strike: Callable[[str], str], texts: Sequence[str | None]) -> list[str | None]:
    return [text and strike(text) for text in texts]
