"""Delivery: the events of all identities are sent to the endpoints of webhooks.

Any number of processes may deliver. Each webhook is delivered by one of them at a time, which has a lease on
it in the database, and sends one message after the other. So its endpoint gets everything in the order of
the feed, and no endpoint waits for another.
"""

from identity_adapters.delivery.deliverer import Deliverer

__all__ = ["Deliverer"]
