"""Pages: a large identity, a part at a time."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from identity_core.model.contact import Contact
from identity_core.model.page import Page


def cut_page(
    contacts: Sequence[Contact], after: tuple[datetime, int] | None = None, limit: int = 100
) -> Page:
    """Cut a page out of an identity.

    Args:
        contacts: all of the identity, oldest first; at least one.
        after: `Contact.seniority` of the last contact of the page before; None for the first page.
        limit: how many contacts the page has at most.
    """
    start = 0 if after is None else bisect_right(contacts, after, key=lambda contact: contact.seniority)
    on_page = tuple(contacts[start : start + limit])
    return Page(
        contacts[0].id,
        len(contacts),
        len({contact.email for contact in contacts} - {None}),
        len({contact.phone_number for contact in contacts} - {None}),
        on_page,
        on_page[-1].seniority if start + limit < len(contacts) else None,
    )
