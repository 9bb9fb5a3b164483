"""How jobs, queues and workers stand, in the words of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from backburner.control import COUNT_LIMIT
from backburner.errors import MissingExtra
from backburner.store.health import Health
from backburner.web.site import Site

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError as error:
    raise MissingExtra("prometheus_client", "metrics", "/metrics") from error

MOST_TASKS = 200
"""So many tasks and queues at most have figures of their own."""
_CAPPED = f"counted no further than {COUNT_LIMIT}"


def exposition(site: Site) -> bytes:
    """All gauges as they are now, as text."""
    # A registry of its own: what the app itself measures is the app's to show.
    registry = CollectorRegistry()
    registry.register(Gauges(site))
    return generate_latest(registry)


class Gauges(Collector):
    """Asks the database at each scrape; each look has a bound, however many jobs there are."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing, so that registering asks nothing of the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families."""
        yield from self._jobs()
        yield from self._queues()
        yield from self._workers()
        yield from self._past()
        yield _family("web_viewers", "Open streams and waits of this process", [], [([], self._site.feed.viewers)])
        snapshots = Health(self._site.jobs.store).old_snapshots(0)
        age = snapshots[0].age if snapshots else 0.0
        help_text = "Age of the oldest snapshot that keeps dead rows on PostgreSQL, seconds"
        yield _family("database_oldest_snapshot_seconds", help_text, [], [([], age)])

    def _jobs(self) -> Iterator[GaugeMetricFamily]:
        counts = self._site.control.counts()
        values = [([str(state)], float(count)) for state, count in counts.items()]
        yield _family("jobs", f"Jobs in each state, {_CAPPED}", ["state"], values)

    def _queues(self) -> Iterator[GaugeMetricFamily]:
        queues = self._site.jobs.queues.list()
        named = [queue for queue in queues if queue.name != "*"]
        all_paused = any(queue.name == "*" and queue.paused for queue in queues)
        waits = self._site.control.next_waits([queue.name for queue in named])
        for name, text, values in (
            ("waiting", f"Queued and blocked jobs, {_CAPPED}", {queue.name: queue.waiting for queue in named}),
            ("running", f"Running jobs, {_CAPPED}", {queue.name: queue.running for queue in named}),
            ("paused", "1 while it is paused", {queue.name: all_paused or queue.paused for queue in named}),
            ("next_wait_seconds", "How long the next job has been ready", waits),
        ):
            rows = [([queue], float(value)) for queue, value in values.items()]
            yield _family(f"queue_{name}", text, ["queue"], rows)

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        workers = self._site.jobs.workers.list()
        alive = [worker for worker in workers if worker.alive]
        rows = [(["alive"], float(len(alive))), (["silent"], float(len(workers) - len(alive)))]
        yield _family("workers", "Workers that beat, and those that have missed their beats", ["state"], rows)
        slots = float(sum(worker.concurrency for worker in alive))
        yield _family("worker_slots", "Jobs that all workers that beat can run at once", [], [([], slots)])
        held = float(sum(worker.running for worker in alive))
        yield _family("worker_jobs", "Jobs that workers that beat have taken", [], [([], held)])

    def _past(self) -> Iterator[GaugeMetricFamily]:
        """What happened in the last hour, as workers have counted it: no counters, for old counts are forgotten."""
        tasks, queues = self._site.jobs.insight.charts.by_task("1h"), self._site.jobs.insight.charts.by_queue("1h")
        ends = [
            ([task, end], float(getattr(point, end)))
            for task, point in sorted(tasks.items())[:MOST_TASKS]
            for end in ("succeeded", "failed", "retried")
        ]
        yield _family("task_last_hour", "Attempts that ended so in the last hour", ["task", "end"], ends)
        for what, text, points in (
            ("task_run", "How long attempts ran in the last hour, seconds", tasks),
            ("queue_wait", "How long jobs waited in the last hour from when they could run, seconds", queues),
        ):
            rows = [
                ([name, share], value)
                for name, point in sorted(points.items())[:MOST_TASKS]
                for share, percentile in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))
                if (value := getattr(point, f"{what.partition('_')[2]}_{percentile}")) is not None
            ]
            label = what.partition("_")[0]
            yield _family(f"{what}_seconds", text, [label, "quantile"], rows)


def _family(name: str, text: str, labels: list[str], rows: list[tuple[list[str], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"backburner_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
