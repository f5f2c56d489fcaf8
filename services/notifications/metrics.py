"""What Prometheus sees of messages, beside what it sees of every service. No recipient, text or number in a label."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from libs.common.metrics import Metrics


class MessageMetrics:
    def __init__(self, metrics: Metrics) -> None:
        registry = metrics.registry
        self.settled = Counter(
            "hillhealth_messages_settled_total",
            "Messages by what became of them",
            ["channel", "status"],
            registry=registry,
        )
        self.segments = Counter(
            "hillhealth_sms_segments_total",
            "SMS segments in rendered messages",
            ["encoding", "language"],
            registry=registry,
        )
        self.answers = Counter(
            "hillhealth_provider_answers_total", "What providers answered", ["channel", "answer"], registry=registry
        )
        self.provider_seconds = Histogram(
            "hillhealth_provider_call_seconds",
            "One call to a provider",
            ["channel"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 20),
            registry=registry,
        )
        self.resting = Gauge(
            "hillhealth_provider_resting",
            "1 while a provider is left alone after errors or slowness",
            ["channel", "provider"],
            registry=registry,
        )
        self.stopped = Gauge(
            "hillhealth_template_stopped",
            "1 while nothing is sent with a template because the operators refuse it",
            ["template", "language"],
            registry=registry,
        )
        self.receipts = Counter(
            "hillhealth_delivery_receipts_total",
            "What providers' receipts said",
            ["channel", "outcome"],
            registry=registry,
        )
        self.under_way = Gauge(
            "hillhealth_provider_calls", "Calls to providers under way or next in line", registry=registry
        )

    def begin(self, templates: Iterable[tuple[str, str]]) -> None:
        """Shows what has not happened yet as 0, so that an alert on its first time has something to compare with."""
        for name, language in templates:
            self.stopped.labels(name, language).set(0)
        for outcome in ("delivered", "undelivered", "unknown"):
            self.receipts.labels("sms", outcome)
