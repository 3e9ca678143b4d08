"""Metrics of webhooks, in the text format of Prometheus.

They come from the database, so every process of the service has those of all deliveries.
"""

from collections.abc import Iterator, Sequence

from attrs import frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity_adapters.webhooks.webhook import PauseReason, Webhook

LABEL = "webhook"


def render_webhooks(webhooks: Sequence[Webhook]) -> bytes:
    """Render the metrics of some webhooks, by their ids."""
    registry = CollectorRegistry()
    registry.register(_Webhooks(webhooks))
    return generate_latest(registry)


@frozen(eq=False)  # the registry has it as a key
class _Webhooks(Collector):
    webhooks: Sequence[Webhook]

    def collect(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "identity_webhook_lag_seconds",
            "Seconds since everything that there was by then was delivered of a webhook.",
            labels=[LABEL],
        )
        failures = GaugeMetricFamily(
            "identity_webhook_failures", "Requests that failed since one was accepted.", labels=[LABEL]
        )
        paused = GaugeMetricFamily(
            "identity_webhook_paused", "Whether a webhook is paused, by reason.", labels=[LABEL, "reason"]
        )
        events = CounterMetricFamily(
            "identity_webhook_delivered_events", "Events that an endpoint accepted.", labels=[LABEL]
        )
        requests = CounterMetricFamily(
            "identity_webhook_requests", "Requests to an endpoint, by outcome.", labels=[LABEL, "outcome"]
        )
        for webhook in self.webhooks:
            id = str(webhook.id)
            lag.add_metric([id], webhook.lag)
            failures.add_metric([id], webhook.failures)
            for reason in PauseReason:
                paused.add_metric([id, reason], webhook.paused_because is reason)
            events.add_metric([id], webhook.delivered_events)
            requests.add_metric([id, "accepted"], webhook.delivered_requests)
            requests.add_metric([id, "failed"], webhook.failed_requests)
        yield from (lag, failures, paused, events, requests)
