"""What a submission's events add up to: which jobs there are, who died how often, what was given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .chunks import numbers_of
from .retry import FREE

Task = tuple[int, int]  # the number of its array, and its index there


@dataclass
class History:
    """The events of a submission, replayed.

    jobs: the scheduler's id of each array; deaths and free: how often a point was in flight when its task died (by a
    fault of its own, or not); buried: tasks whose death was dealt with; out: points that nobody computes any more,
    and why; failures: how many stored failures of a point were answered by trying it again.
    """

    jobs: dict[int, str] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)  # arrays that somebody began to submit
    refused: dict[int, str] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    free: Counter[int] = field(default_factory=Counter)
    buried: set[Task] = field(default_factory=set)
    cancelled: set[int] = field(default_factory=set)
    out: dict[int, str] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event; one of an unknown kind is only told to people."""
        kind = event.get("event")
        if kind == "submitting":
            self.tried.add(event["array"])
        elif kind == "put off":
            self.tried.discard(event["array"])
        elif kind == "submitted":
            self.jobs.setdefault(event["array"], str(event["job"]))
        elif kind == "refused":
            self.refused[event["array"]] = str(event["why"])
        elif kind == "died":
            self.buried.add((event["array"], event["index"]))
            counter = self.free if event["cause"] in FREE else self.deaths
            counter.update(numbers_of(event["in_flight"]))
        elif kind == "failed":
            self.failures[event["point"]] = event["failures"]
            self.deaths[event["point"]] += 1
        elif kind == "cancelled":
            self.cancelled.update(numbers_of(event["points"]))
        elif kind == "gave up":
            self.out.update(dict.fromkeys(numbers_of(event["points"]), str(event["why"])))


def replayed(events: Iterable[Mapping[str, Any]]) -> History:
    """The history that events tell.

    >>> replayed([{"event": "submitted", "array": 0, "job": "12"}]).jobs
    {0: '12'}
    """
    history = History()
    for event in events:
        history.take(event)
    return history
