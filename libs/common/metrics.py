"""What Prometheus sees of a service (naming: prometheus.io/docs/practices/naming). No id, name or phone in a label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Metrics:
    """One registry per service, so that several run in one process without meeting."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "hillhealth_http_requests_total",
            "HTTP requests by route template",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "hillhealth_http_request_duration_seconds",
            "HTTP request duration",
            ["method", "route"],
            buckets=_FAST,
            registry=registry,
        )
        self.appends = Counter(
            "hillhealth_journal_appends_total", "Journal entries written", ["aggregate"], registry=registry
        )
        self.conflicts = Counter(
            "hillhealth_journal_conflicts_total",
            "Guarded writes lost to another writer and tried again",
            ["aggregate"],
            registry=registry,
        )
        self.pending = Gauge("hillhealth_events_pending", "Aggregates with events not yet on Kafka", registry=registry)
        self.oldest_pending = Gauge(
            "hillhealth_events_oldest_pending_seconds", "Age of the oldest event not yet on Kafka", registry=registry
        )
        self.relayed = Counter(
            "hillhealth_events_relayed_total", "Events acknowledged by Kafka", ["topic"], registry=registry
        )
        self.relay_seconds = Histogram(
            "hillhealth_relay_publish_seconds",
            "From append to acknowledgement by Kafka",
            buckets=_SLOW,
            registry=registry,
        )
        self.relay_leader = Gauge(
            "hillhealth_relay_leader", "1 while this process holds the relay's lease", registry=registry
        )
        self.relay_failures = Counter("hillhealth_relay_failures_total", "Relay rounds that failed", registry=registry)
        self.lag = Gauge(
            "hillhealth_consumer_lag",
            "Records behind the end of the topic",
            ["subscription", "topic"],
            registry=registry,
        )
        self.handled = Counter(
            "hillhealth_events_handled_total",
            "Events whose effects are durable",
            ["subscription", "type"],
            registry=registry,
        )
        self.duplicates = Counter(
            "hillhealth_events_duplicate_total",
            "Events that had acted before, or were older than what is held",
            ["at"],
            registry=registry,
        )
        self.skipped = Counter(
            "hillhealth_events_skipped_total",
            "Events of an unknown type or value",
            ["subscription", "reason"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "hillhealth_dead_letters_total",
            "Events put aside for a person",
            ["subscription", "reason"],
            registry=registry,
        )
        self.dead_letters_waiting = Gauge(
            "hillhealth_dead_letters_waiting", "Dead letters nobody has settled", registry=registry
        )
        self.effect_seconds = Histogram(
            "hillhealth_event_effect_seconds",
            "From commit at the publisher to durable effect here",
            ["subscription"],
            buckets=_SLOW,
            registry=registry,
        )
        self.store_retries = Counter(
            "hillhealth_consumer_store_retries_total",
            "Batches tried again because the store was away",
            ["subscription"],
            registry=registry,
        )
        self.timers_due = Gauge(
            "hillhealth_timers_due", "Aggregates whose timer is due", ["aggregate"], registry=registry
        )
        self.oldest_due = Gauge(
            "hillhealth_timers_oldest_due_seconds", "How late the oldest due timer is", ["aggregate"], registry=registry
        )
        self.timer_steps = Counter(
            "hillhealth_timer_steps_total", "Timer steps taken", ["aggregate"], registry=registry
        )
        self.timer_failures = Counter(
            "hillhealth_timer_failures_total",
            "Timer steps that failed and will be tried again",
            ["aggregate"],
            registry=registry,
        )
        self.rederived = Counter(
            "hillhealth_states_rederived_total",
            "Documents of an older version brought up to today's derived fields",
            ["aggregate"],
            registry=registry,
        )
        self.underived = Gauge(
            "hillhealth_states_underived",
            "Documents of an older version that could not be brought up to date; the log names them",
            ["aggregate"],
            registry=registry,
        )
        self.rate_limited = Counter(
            "hillhealth_http_rate_limited_total", "Requests refused for their rate", registry=registry
        )
