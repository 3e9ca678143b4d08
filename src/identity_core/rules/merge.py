"""The merge: identities become one, and the oldest primary stays primary."""

from collections.abc import Sequence
from itertools import chain

from identity_core.rules.working_set import Component


def merge(components: Sequence[Component]) -> Component:
    """Merge components into the one that has the oldest primary, and return it."""
    kept, *absorbed = sorted(components, key=lambda component: component.primary.seniority)
    if absorbed:
        for component in absorbed:
            component.merged_into = kept
        contacts = chain.from_iterable(component.contacts for component in components)
        kept.contacts = sorted(contacts, key=lambda contact: contact.seniority)
        kept.size = None
    return kept
