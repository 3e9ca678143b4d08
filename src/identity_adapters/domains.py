"""Domains of emails that are not all ASCII: one form of each, by UTS 46.

The form that is compared and stored is the one in Unicode. It is what most people type and what
databases hold. Where it would be invisible in part the form in ASCII (``xn--``) stays, and so does
a domain that is not valid.
"""

from collections.abc import Callable
from typing import Any

import idna
from attrs import evolve

from identity_core import ContactDetails


def normalize_domains(
    make_details: Callable[[Any, Any], ContactDetails] = ContactDetails,
) -> Callable[[Any, Any], ContactDetails]:
    """A maker of details whose emails have their domain in Unicode, whichever form it came in.

    >>> make_details = normalize_domains()
    >>> make_details("Anna@XN--MLLER-KVA.example", None) == make_details("anna@Müller。example", None)
    True
    """

    def make(email: Any, phone_number: Any) -> ContactDetails:
        details = make_details(email, phone_number)
        if details.email is None or (details.email.isascii() and "xn--" not in details.email):
            return details
        # As it came: lower-casing a whole text ends words with another sigma than UTS 46 does.
        return evolve(details, email=to_unicode(email.strip()))

    return make


def to_unicode(email: str) -> str:
    """An email with its domain in Unicode; itself, where there is no such form.

    >>> to_unicode("anna@xn--mller-kva.example")
    'anna@müller.example'
    """
    local, _, domain = email.rpartition("@")
    try:
        in_unicode = idna.decode(domain, uts46=True)
    except idna.IDNAError:
        return email
    # UTS 46 writes Cherokee in capitals.
    return f"{local}@{in_unicode.lower()}" if in_unicode.isprintable() else email


def to_ascii(email: str) -> str | None:
    """An email with its domain in ASCII, where that is another form than it has; else None.

    >>> to_ascii("anna@müller.example")
    'anna@xn--mller-kva.example'
    """
    local, _, domain = email.rpartition("@")
    if domain.isascii():
        return None
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return None
