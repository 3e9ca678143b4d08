"""Identities and their pages."""

from datetime import datetime

import msgspec

from identity_adapters.api import MAX_ID, Time
from identity_adapters.times import from_microseconds, to_microseconds
from identity_core import Contact, LinkPrecedence, Page


class ContactRecord(msgspec.Struct, rename="camel"):
    """A recorded contact."""

    id: int
    email: str | None
    phone_number: str | None
    link_precedence: LinkPrecedence
    created_at: Time


class IdentityPage(msgspec.Struct, rename="camel"):
    """An identity: its size, and some of its contacts, oldest first.

    `next` is the `after` of the next page; null on the last page.
    """

    primary_contact_id: int
    total_contacts: int
    total_emails: int
    total_phone_numbers: int
    contacts: list[ContactRecord]
    next: str | None


class LookupAnswer(msgspec.Struct):
    """The answer of `POST /lookup`: the matched identities, oldest first."""

    identities: list[IdentityPage]


def to_identity_page(page: Page) -> IdentityPage:
    """Convert a page to an answer."""
    return IdentityPage(
        page.primary_contact_id,
        page.total_contacts,
        page.total_emails,
        page.total_phone_numbers,
        [_to_contact_record(contact, page.primary_contact_id) for contact in page.contacts],
        None if page.last is None else str(PageCursor(page.last)),
    )


def _to_contact_record(contact: Contact, primary_contact_id: int) -> ContactRecord:
    is_primary = contact.id == primary_contact_id
    precedence = LinkPrecedence.PRIMARY if is_primary else LinkPrecedence.SECONDARY
    return ContactRecord(contact.id, contact.email, contact.phone_number, precedence, contact.created_at)


class PageCursor:
    """Where a page of an identity ends.

    Attributes:
        seniority: `Contact.seniority` of its last contact.

    >>> cursor = PageCursor.parse("1000000.7")
    >>> cursor.seniority[0].isoformat(), str(cursor)
    ('1970-01-01T00:00:01+00:00', '1000000.7')
    """

    def __init__(self, seniority: tuple[datetime, int]) -> None:
        self.seniority = seniority

    def __str__(self) -> str:
        created_at, contact_id = self.seniority
        return f"{to_microseconds(created_at)}.{contact_id}"

    @classmethod
    def parse(cls, text: str) -> "PageCursor":
        """Parse what `str` wrote.

        Raises:
            ValueError: the text is not a cursor.
        """
        number, _, contact_id = text.partition(".")
        try:
            seniority = from_microseconds(int(number)), int(contact_id)
        except OverflowError as error:
            raise ValueError from error
        if not 0 <= seniority[1] <= MAX_ID:
            raise ValueError
        return cls(seniority)
