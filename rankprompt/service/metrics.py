"""Metrics of a service, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition
from prometheus_client.registry import Collector

from rankprompt.api.results import Usage
from rankprompt.service.record import RequestRecord

__all__ = ["Metrics"]


class Metrics:
    """Counts requests, and what they cost.

    Args:
        queue: gives the number of requests that wait or are answered.
        batches: gives the number of the model's batches, and of the prompts in them.
    """

    def __init__(self, queue: Callable[[], int], batches: Callable[[], tuple[int, int]]) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        self._requests = Counter(
            "rankprompt_requests", "Requests.", ["endpoint", "status"], registry=own
        )
        self._seconds = Histogram(
            "rankprompt_request_seconds",
            "Time from a request to its answer.",
            ["endpoint"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=own,
        )
        self._usage = {
            name: Counter(f"rankprompt_{name}", about, registry=own)
            for name, about in {
                "documents": "Documents of the requests that were answered.",
                "questions": "Questions that were answered.",
                "prompts": "Prompts that the model was asked.",
                "prompts_from_journal": "Prompts that the journal answered.",
                "tokens": "Tokens that the model read and wrote.",
                "cost": "Cost at the prices given.",
            }.items()
        }
        Gauge(
            "rankprompt_queue_length", "Requests that wait or are answered.", registry=own
        ).set_function(queue)
        Gauge(
            "rankprompt_batches", "Batches that a local model has answered.", registry=own
        ).set_function(lambda: batches()[0])
        Gauge("rankprompt_batch_prompts", "Prompts in these batches.", registry=own).set_function(
            lambda: batches()[1]
        )

    def note(self, record: RequestRecord) -> None:
        """Counts a request that was answered."""
        self._requests.labels(record.endpoint, str(record.status)).inc()
        self._seconds.labels(record.endpoint).observe(record.seconds)
        usage = record.usage
        if record.status == 200:
            self._usage["documents"].inc(record.documents)
        self.add_usage(usage)

    def add_usage(self, usage: Usage) -> None:
        """Counts what a request has cost."""
        for name in ("questions", "prompts", "prompts_from_journal", "tokens", "cost"):
            self._usage[name].inc(getattr(usage, name))

    def add(self, collector: Collector) -> None:
        """Shows further metrics on the page."""
        self._registry.register(collector)

    def page(self) -> tuple[bytes, int, dict[str, str]]:
        """The metrics as a response: content, status and headers."""
        content = exposition.generate_latest(self._registry)
        return content, 200, {"Content-Type": exposition.CONTENT_TYPE_LATEST}
