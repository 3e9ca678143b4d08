"""A part of an identity, for whoever looks at a large one a piece at a time."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from identity_core.contact import Contact


@frozen
class Page:
    """Some contacts of an identity, and how much there is of it.

    Attributes:
        primary_contact_id: the id of its oldest contact.
        total_contacts: how many contacts it has.
        total_emails: how many different emails.
        total_phone_numbers: how many different phone numbers.
        contacts: those of this page, oldest first.
        last: the age of the last of them, after which the next page begins; None on the last page.
    """

    primary_contact_id: int
    total_contacts: int
    total_emails: int
    total_phone_numbers: int
    contacts: tuple[Contact, ...]
    last: tuple[datetime, int] | None


def page(contacts: Sequence[Contact], after: tuple[datetime, int] | None = None, limit: int = 100) -> Page:
    """The contacts of an identity after one of some age, at most so many.

    Args:
        contacts: all of the identity, oldest first; at least one.
        after: the age (`Contact.age`) of the last one seen; None for the first page.
        limit: how many at most.
    """
    start = 0 if after is None else bisect_right(contacts, after, key=lambda contact: contact.age)
    shown = tuple(contacts[start : start + limit])
    return Page(
        contacts[0].id,
        len(contacts),
        len({contact.email for contact in contacts} - {None}),
        len({contact.phone_number for contact in contacts} - {None}),
        shown,
        shown[-1].age if start + limit < len(contacts) else None,
    )
