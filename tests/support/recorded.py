"""Everything that a database or a repository has recorded, without what depends on ids and the clock."""

from datetime import UTC, datetime

START = datetime.now(UTC).replace(tzinfo=None)
"""What is later is of now."""


def to_comparable(contacts, evidence, events):
    """Rows in which ids are their ranks and times of now are None, so that two runs are equal.

    Args:
        contacts: id, email, phone number, linked id, link precedence, and time of each.
        evidence: id, email, phone number, time, standing, and hold.
        events: kind, primary id, contact id, evidence id, and lists of absorbed and moved ids, in order.
    """
    # Events name evidence as well that a contact has replaced since.
    named = {id for row in events for id in (*row[1:4], *(one for ids in row[4:] for one in ids))} - {None}
    ids = sorted({row[0] for row in contacts} | {row[0] for row in evidence} | named)
    ranks = {id: rank for rank, id in enumerate(ids)} | {None: None}

    def moment(at):
        at = at.replace(tzinfo=None)
        return None if at >= START else at

    return (
        sorted((ranks[id], e, p, ranks[to], how, moment(at)) for id, e, p, to, how, at in contacts),
        sorted((ranks[id], e, p, moment(at), *more) for id, e, p, at, *more in evidence),
        [
            (kind, *(ranks[id] for id in ids), *([ranks[id] for id in several] for several in lists))
            for kind, *ids, lists in ((row[0], *row[1:4], row[4:]) for row in events)
        ],
    )


def recorded_in(connection):
    """What a database has recorded."""
    return to_comparable(
        connection.execute(
            "SELECT id, email, phone_number, linked_id, link_precedence, created_at FROM contacts"
        ).fetchall(),
        connection.execute(
            "SELECT id, email, phone_number, seen_at, standing, hold FROM contact_evidence"
        ).fetchall(),
        connection.execute(
            "SELECT kind, primary_id, contact_id, evidence_id, absorbed_ids, moved_ids"
            " FROM contact_events ORDER BY id"
        ).fetchall(),
    )
