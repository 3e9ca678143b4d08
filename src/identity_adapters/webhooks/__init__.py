"""Webhooks: the events of all identities, sent to endpoints of other systems."""
