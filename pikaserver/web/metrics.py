"""Metrics in Prometheus' text format, and those that the listeners keep of themselves."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Metric, Sample
from pikaserver.web.listeners import WebListener
from pikaserver.web.terms import Traffic

NAME = re.compile(r"pikaserver_[a-z][a-z0-9_]*")
LABEL = re.compile(r"[a-z][a-z0-9_]*")
KINDS = ("counter", "gauge")
ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

logger = logging.getLogger(__name__)


def check_metrics(metrics: Iterable[Metric]) -> None:
    """Check names and kinds once, at the start.

    Raises:
        ConfigurationError: a metric has a name or kind that does not exist, or one twice.
    """
    seen: set[str] = set()
    for metric in metrics:
        if not NAME.fullmatch(metric.name):
            raise ConfigurationError(
                f"the metric {metric.name!r} must be called pikaserver_..., in small letters"
            )
        if metric.kind not in KINDS:
            raise ConfigurationError(
                f"the metric {metric.name} is a {metric.kind!r}; it must be a counter or a gauge"
            )
        if metric.name in seen:
            raise ConfigurationError(f"two metrics are called {metric.name}")
        seen.add(metric.name)


def exposition(metrics: Iterable[Metric]) -> bytes:
    """Return all metrics as text; one that cannot be read is logged and left out."""
    lines: list[str] = []
    for metric in metrics:
        try:
            samples = [_line(metric.name, sample) for sample in metric.read()]
        except Exception:
            # A metric is a plugin's code; it must not hide the others.
            logger.exception("metric failed", extra={"event": "metric", "metric": metric.name})
            continue
        help_text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
        lines += [f"# HELP {metric.name} {help_text}", f"# TYPE {metric.name} {metric.kind}"]
        lines += samples
    return "".join(f"{line}\n" for line in lines).encode()


def _line(name: str, sample: Sample) -> str:
    labels = []
    for label, value in sample.labels:
        if not LABEL.fullmatch(label):
            raise ValueError(f"{label!r} is no label of a metric")
        labels.append(f'{label}="{value.translate(ESCAPES)}"')
    return f"{name}{{{','.join(labels)}}} {sample.value}" if labels else f"{name} {sample.value}"


def listener_metrics(listeners: Sequence[WebListener]) -> list[Metric]:
    """Return what the listeners count, each by the listener's name; they must have started."""

    def metric(name: str, help_text: str, kind: str, read: Callable[[Traffic], int]) -> Metric:
        def samples() -> list[Sample]:
            return [
                Sample(read(listener.traffic), (("listener", listener.settings.name),))
                for listener in listeners
            ]

        return Metric(f"pikaserver_web_{name}", help_text, kind, samples)

    return [
        metric("connections", "Open connections", "gauge", lambda t: t.open.total()),
        metric("accepted_total", "Connections accepted", "counter", lambda t: t.accepted),
        metric("refused_total", "Connections without room", "counter", lambda t: t.refused),
        metric(
            "failed_handshakes_total",
            "TLS handshakes that failed",
            "counter",
            lambda t: t.failed_handshakes,
        ),
    ]
