"""Metrics: what a serving process counts, in the text format that Prometheus scrapes.

A request costs a look into a short list of bounds and two additions. Several workers share a directory: each keeps its
numbers in a mapped file of its own, and whichever is asked adds them all up, those of workers that are gone included, so
that counters never go back. Without a directory the numbers stand in this process alone.

References
----------
The exposition format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import json
import mmap
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, MutableSequence
from pathlib import Path
from typing import Any, cast

__all__ = ["BOUNDS", "CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5)  # seconds
_CAPACITY = 8_192  # numbers of one process
_WIDTH = len(BOUNDS) + 2  # one number a bound, one beyond them all, and the sum
_HELP = {
    "mlwright_requests_total": ("counter", "Requests by route and outcome."),
    "mlwright_request_seconds": (
        "histogram",
        "Time from a request's last byte to its answer, by route and outcome.",
    ),
    "mlwright_predictions_total": ("counter", "Predictions by class; of a regression, all."),
    "mlwright_warnings_total": ("counter", "Warnings in answers by field."),
    "mlwright_log_written_total": ("counter", "Predictions in the prediction log's files."),
    "mlwright_log_dropped_total": (
        "counter",
        "Predictions that the log lost: too much waited, or the disk refused.",
    ),
    "mlwright_log_waiting_bytes": ("gauge", "What waits to be written to the prediction log."),
    "mlwright_model_info": ("gauge", "The served model; always 1."),
    "mlwright_ready": ("gauge", "Whether the served model has proven itself."),
    "mlwright_stopped": ("gauge", "Whether the fallback answers because somebody said so."),
    "mlwright_swaps_total": ("counter", "How often another version was put in."),
    "mlwright_swap_faults_total": ("counter", "How often one was not, because it did not verify."),
    "mlwright_degraded_total": ("counter", "Answers of the fallback."),
    "mlwright_rejected_total": ("counter", "Requests that were turned away by a 429."),
    "mlwright_refused_total": ("counter", "Requests that had no right to an answer."),
}


class Metrics:
    """Counters and histograms of one process.

    Parameters
    ----------
    directory : Path, optional
        Where the workers of one server keep their numbers; empty when the server starts.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.histogram("/predict", "ok")(0.0001)
    >>> [line for line in metrics.text().splitlines() if line.startswith("mlwright_requests_total")]
    ['mlwright_requests_total{route="/predict",outcome="ok"} 1']
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self._names: dict[str, int] = {}
        self._used = 0
        self._directory = None if directory is None else Path(directory)
        self._gauges: list[Callable[[], Iterator[tuple[str, dict[str, str], float]]]] = []
        self.values: MutableSequence[float]
        if self._directory is None:
            self.values = [0.0] * _CAPACITY
            self._file = None
        else:
            self._directory.mkdir(parents=True, exist_ok=True)
            stem = f"{os.getpid()}-{os.urandom(6).hex()}"
            self._file = self._directory / f"{stem}.names"
            values = self._directory / f"{stem}.values"
            values.write_bytes(bytes(8 * _CAPACITY))
            handle = os.open(values, os.O_RDWR | os.O_CLOEXEC)
            try:
                mapped = mmap.mmap(handle, 8 * _CAPACITY)
            finally:
                os.close(handle)
            self.values = cast("MutableSequence[float]", memoryview(mapped).cast("d"))
            self._file.write_bytes(b"")

    def place(self, name: str, width: int = 1, **labels: str) -> int:
        """Return where a counter's number stands in `values`; the same name and labels have the same place.

        Where there is no more room, which a bundle of thousands of classes can bring about, all that come later share
        the last one, which is told to nobody.
        """
        key = json.dumps([name, labels, width])
        place = self._names.get(key)
        if place is None:
            if self._used + width > _CAPACITY - _WIDTH:
                return _CAPACITY - _WIDTH
            place = self._names[key] = self._used
            self._used += width
            if self._file is not None:
                with self._file.open("a") as file:
                    file.write(f"{place} {key}\n")
        return place

    def histogram(self, route: str, outcome: str) -> Callable[[float], None]:
        """Return the function that counts one request by its seconds."""
        place = self.place("mlwright_request_seconds", _WIDTH, route=route, outcome=outcome)
        values, bounds, total = self.values, BOUNDS, place + _WIDTH - 1

        def observe(seconds: float) -> None:
            values[place + bisect_left(bounds, seconds)] += 1.0
            values[total] += seconds

        return observe

    def watch(self, gauges: Callable[[], Iterator[tuple[str, dict[str, str], float]]]) -> None:
        """Ask `gauges` for name, labels and number of each gauge of this process whenever the text is asked for."""
        self._gauges = [gauges]

    @property
    def is_watched(self) -> bool:
        """Whether somebody's gauges are told."""
        return bool(self._gauges)

    def text(self) -> str:
        """Return all numbers in the text format."""
        told: dict[str, dict[str, float]] = {}
        for name, labels, values in self._read():
            if name == "mlwright_request_seconds":
                _histogram(told, labels, values)
            else:
                _add(told, name, _labels(labels), values[0])
        for source in self._gauges:
            for name, labels, value in source():
                _add(told, name, _labels(labels), value)
        lines: list[str] = []
        for family in sorted(told, key=_family):
            base = _family(family)
            kind, text = _HELP.get(base, ("counter" if base.endswith("_total") else "gauge", ""))
            head = f"# TYPE {base} {kind}"
            if head not in lines[-400:]:
                lines += ([f"# HELP {base} {text}"] if text else []) + [head]
            lines += [f"{family}{labels} {_number(value)}" for labels, value in told[family].items()]
        return "\n".join(lines) + "\n"

    def _read(self) -> Iterator[tuple[str, dict[str, str], Any]]:
        if self._directory is None:
            yield from _named([(place, key) for key, place in self._names.items()], self.values)
            return
        for file in sorted(self._directory.glob("*.names")):
            try:
                names = [line.split(" ", 1) for line in file.read_text().splitlines()]
                data = file.with_suffix(".values").read_bytes()
            except OSError:
                continue  # its worker is only now beginning, or the directory is being cleared
            if len(data) == 8 * _CAPACITY:
                yield from _named(
                    [(int(n[0]), n[1]) for n in names if len(n) == 2], memoryview(data).cast("d")
                )


def _named(places: list[tuple[int, str]], values: Any) -> Iterator[tuple[str, dict[str, str], Any]]:
    for place, key in places:
        name, labels, width = json.loads(key)
        yield name, labels, values[place : place + width]


def _histogram(told: dict[str, dict[str, float]], labels: dict[str, str], values: Any) -> None:
    total = 0.0
    for bound, count in zip((*map(_number, BOUNDS), "+Inf"), values, strict=False):
        total += count
        _add(told, "mlwright_request_seconds_bucket", _labels({**labels, "le": bound}), total)
    _add(told, "mlwright_request_seconds_count", _labels(labels), total)
    _add(told, "mlwright_request_seconds_sum", _labels(labels), values[_WIDTH - 1])
    _add(told, "mlwright_requests_total", _labels(labels), total)


def _family(name: str) -> str:
    for ending in ("_bucket", "_count", "_sum"):
        if name == f"mlwright_request_seconds{ending}":
            return "mlwright_request_seconds"
    return name


def _add(told: dict[str, dict[str, float]], name: str, labels: str, value: float) -> None:
    family = told.setdefault(name, {})
    family[labels] = family.get(labels, 0.0) + value


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    escaped = {k: v.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for k, v in labels.items()}
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
