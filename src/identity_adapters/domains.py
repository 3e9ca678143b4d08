"""One form of internationalized domains in emails, by UTS 46.

The Unicode form is compared and stored. It is what most people type and most databases hold. A domain
stays in its ASCII form (``xn--``) if its Unicode form has invisible characters. An invalid domain stays
unchanged.
"""

from collections.abc import Callable
from typing import Any

import idna
from attrs import evolve

from identity_core import ContactDetails


def normalize_domains(
    make_details: Callable[[Any, Any], ContactDetails] = ContactDetails,
) -> Callable[[Any, Any], ContactDetails]:
    """Extend a function that makes details, so that domains of emails are in Unicode.

    >>> make_details = normalize_domains()
    >>> make_details("Anna@XN--MLLER-KVA.example", None) == make_details("anna@Müller。example", None)
    True
    """

    def make(email: Any, phone_number: Any) -> ContactDetails:
        details = make_details(email, phone_number)
        if details.email is None or (details.email.isascii() and "xn--" not in details.email):
            return details
        # The original email, because lower-casing a whole text gives other final sigmas than UTS 46.
        return evolve(details, email=to_unicode(email.strip()))

    return make


def to_unicode(email: str) -> str:
    """Convert the domain of an email to Unicode; the email stays unchanged if it has no such form.

    >>> to_unicode("anna@xn--mller-kva.example")
    'anna@müller.example'
    """
    local, _, domain = email.rpartition("@")
    try:
        in_unicode = idna.decode(domain, uts46=True)
    except idna.IDNAError:
        return email
    # UTS 46 writes Cherokee in upper case.
    return f"{local}@{in_unicode.lower()}" if in_unicode.isprintable() else email


def to_ascii(email: str) -> str | None:
    """Convert the domain of an email to ASCII; None if it is ASCII already or has no such form.

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
