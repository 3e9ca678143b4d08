"""How `identity explain` names links."""

from identity_adapters.cli.explain import tell_reason
from identity_core import Hold, Identifier, IdentifierKind, Link, LinkReason
from identity_core.testing.strategies import EPOCH

ENDS = Identifier(IdentifierKind.EMAIL, "a@x"), Identifier(IdentifierKind.PHONE_NUMBER, "1")


def test_a_link_that_a_limit_holds_is_named_after_the_limit():
    link = Link(*ENDS, LinkReason.HELD, 3, EPOCH, Hold.EMAILS_PER_PHONE_NUMBER)
    assert tell_reason(link) == "held by limit emails_per_phone_number"


def test_other_links_are_named_after_their_reason():
    assert tell_reason(Link(*ENDS, LinkReason.CONTACT, 3, EPOCH)) == "contact"
