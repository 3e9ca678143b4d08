"""Everything on record of a person, for people to read: as text, and as a page for a browser.

Both are written a part at a time. Values may be anything that another program wrote: in text, characters that
a terminal would obey are replaced, and on a page, all that is special in HTML is escaped.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import islice
from typing import Any

import msgspec
from attrs import frozen

from identity_adapters.api import IdentifierValue
from identity_adapters.api.access import (
    AccessDocument,
    AccessedContact,
    AccessedDecision,
    AccessedPair,
    AccessedRules,
    AccessedValue,
)
from identity_adapters.api.events import EventRecord
from identity_adapters.cli.output import format_table, list_ids
from identity_core.queries.disclose import OTHER_PERSON

CHUNK = 500
"""How many rows are laid out at once."""

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"

TITLE = "What is on record of a person"


@frozen
class Section:
    """A part of the document, as a table.

    Attributes:
        title: its heading.
        note: what the reader should know.
        headings: of the columns.
        rows: the cells; None for an empty one.
    """

    title: str
    note: str
    headings: Sequence[str]
    rows: Iterator[Sequence[str | None]]


def to_sections(document: AccessDocument) -> list[Section]:
    """The document as tables."""
    return [
        _to_section(
            "Values",
            "The emails and phone numbers of the person. A blocked one identifies nobody.",
            ("value", "first seen", "last seen", "blocked"),
            _value_cells,
            document.values,
        ),
        _to_section(
            "Contacts",
            "Each is an email and a phone number that were given together, or one of them.",
            ("contact", "email", "phone number", "linked to", "created at", "deleted at"),
            _contact_cells,
            document.contacts,
        ),
        _to_section(
            "Pairs",
            "Which email and phone number were seen together. A pair that counts makes them one person.",
            ("email", "phone number", "first seen", "standing", "held by limit"),
            _pair_cells,
            document.pairs,
        ),
        _to_section(
            "Decisions",
            "What people decided about two values, and why.",
            ("decision", "verdict", "one", "other", "reason", "by", "at", "ended at", "ended by", "because"),
            _decision_cells,
            document.decisions,
        ),
        _to_section(
            "Rules",
            "Rules that block a value of the person by itself.",
            ("version", "values", "since", "until", "by", "reason"),
            _rules_cells,
            document.rules,
        ),
        _to_section(
            "History",
            "What happened to the contacts of the person, by their numbers.",
            (
                "event",
                "time",
                "what",
                "primary",
                "contact",
                "evidence",
                "absorbed",
                "decision",
                "from",
                "moved",
            ),
            _event_cells,
            document.history,
        ),
    ]


def to_text(document: AccessDocument) -> Iterator[bytes]:
    """Lay the document out as text in UTF-8, in pieces."""
    yield f"{TITLE}, on {_format_time(document.generated_at)} UTC\n".encode()
    for section in to_sections(document):
        yield f"\n{section.title}\n{section.note}\n\n".encode()
        headings = section.headings
        is_empty = True
        while rows := [[_clean(cell) for cell in row] for row in islice(section.rows, CHUNK)]:
            is_empty = False
            yield format_table(headings, rows).encode() + b"\n"
        if is_empty:
            yield b"None.\n"


_STYLE = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
    "th,td{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}"
)
# Nothing on the page may run or load anything, whatever a value is.
_HEAD = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    f"<title>{TITLE}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
)


def to_html(document: AccessDocument) -> Iterator[bytes]:
    """Lay the document out as a page in HTML, in pieces."""
    yield f"{_HEAD}<h1>{TITLE}</h1>\n<p>On {_format_time(document.generated_at)} UTC.</p>\n".encode()
    for section in to_sections(document):
        yield f"<h2>{escape(section.title)}</h2>\n<p>{escape(section.note)}</p>\n".encode()
        before = f"<table>\n<tr>{_to_cells('th', section.headings)}</tr>\n"
        is_empty = True
        while rows := [*islice(section.rows, CHUNK)]:
            lines = "".join(f"<tr>{_to_cells('td', row)}</tr>\n" for row in rows)
            yield f"{before if is_empty else ''}{lines}".encode()
            is_empty = False
        yield b"<p>None.</p>\n" if is_empty else b"</table>\n"
    yield b"</body>\n</html>"


def _to_cells(element: str, cells: Iterable[str | None]) -> str:
    # bdi keeps a value that is written from right to left from turning what follows it around.
    return "".join(f"<{element}><bdi>{escape(cell or '')}</bdi></{element}>" for cell in cells)


def _clean(cell: str | None) -> str:
    return "".join(character if character.isprintable() else UNPRINTABLE for character in cell or "")


def _to_section(
    title: str,
    note: str,
    headings: Sequence[str],
    to_cells: Callable[[Any], Sequence[str | None]],
    records: Iterator[msgspec.Struct],
) -> Section:
    return Section(title, note, headings, map(to_cells, records))


def _value_cells(known: AccessedValue) -> Sequence[str | None]:
    blocked = "yes" if known.is_blocked else "no"
    return _name(known.value), _format_time(known.first_seen), known.last_seen_month, blocked


def _contact_cells(contact: AccessedContact) -> Sequence[str | None]:
    email = OTHER_PERSON if "email" in contact.of_other_person else contact.email
    phone_number = OTHER_PERSON if "phoneNumber" in contact.of_other_person else contact.phone_number
    times = _format_time(contact.created_at), _format_time(contact.deleted_at)
    return str(contact.id), email, phone_number, _format_id(contact.linked_id), *times


def _pair_cells(pair: AccessedPair) -> Sequence[str | None]:
    values = pair.email or OTHER_PERSON, pair.phone_number or OTHER_PERSON
    return *values, _format_time(pair.first_seen), pair.standing, pair.held_by


def _decision_cells(decision: AccessedDecision) -> Sequence[str | None]:
    end = decision.withdrawal
    ended = (
        (None, None, None) if end is None else (_format_time(end.withdrawn_at), end.withdrawn_by, end.reason)
    )
    return (
        str(decision.id),
        decision.verdict,
        _name(decision.one),
        _name(decision.other),
        decision.reason,
        decision.decided_by,
        _format_time(decision.decided_at),
        *ended,
    )


def _rules_cells(rules: AccessedRules) -> Sequence[str | None]:
    values = ", ".join(map(_name, rules.values))
    times = _format_time(rules.applied_at), _format_time(rules.replaced_at)
    return str(rules.version), values, *times, rules.applied_by, rules.reason


def _event_cells(event: EventRecord) -> Sequence[str | None]:
    return (
        str(event.id),
        _format_time(event.happened_at),
        event.kind,
        str(event.primary_contact_id),
        _format_id(event.contact_id),
        _format_id(event.evidence_id),
        list_ids(event.absorbed_primary_contact_ids),
        _format_id(event.ruling_id),
        _format_id(event.origin_primary_contact_id),
        list_ids(event.moved_contact_ids),
    )


def _name(value: IdentifierValue | None) -> str:
    return OTHER_PERSON if value is None else value.email or value.phone_number or ""


def _format_time(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _format_id(id: int | None) -> str | None:
    return None if id is None else str(id)
