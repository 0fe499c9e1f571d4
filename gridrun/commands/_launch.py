"""What the points of an experiment ask of a cluster: architecture < experiment < point, and who said it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..architectures import ARCHITECTURES
from ..dispatch.profile import Profile
from ..dispatch.settings import Layer, Settings, from_words, joined, merged, origins
from ..experiment import Experiment
from ..grid import Grid, Point
from ..template import get

KEY = "launch_settings"


class Launch:
    """The launch settings of a run: of its profile, its command line, and of each point in between."""

    def __init__(self, profile: Profile, words: Sequence[str] = (), n_threads: int = 1) -> None:
        self.profile = profile
        self.n_threads = n_threads
        self.command_line = joined(*(("-launch", from_words(each)) for each in words))
        self.said_by: dict[Settings, dict[str, str]] = {}
        self._known: dict[str, dict[str, Any]] = {}

    def on(self, grid: Grid, experiment: Experiment) -> Grid:
        """The points, each with what its architecture, its page and itself ask for under `launch_settings`.

        Points that are computed here stay as they are. Raises UsageError, with the place and the near name, for a
        setting that there is not.
        """
        found = [self._on_point(point, experiment) for point in grid]
        return grid if self.profile.executor == "local" else found

    def _on_point(self, point: Point, experiment: Experiment) -> Point:
        layers = layers_of(point, experiment)
        name = repr(layers)
        if name not in self._known:
            self._known[name] = self._join(layers)
        settings = self._known[name]
        return {**point, KEY: settings} if settings else point

    def _join(self, layers: list[Layer]) -> dict[str, Any]:
        if merged(self.profile.layer, *layers).cpus_per_task < self.n_threads:
            layers = [*layers, ("-n_threads", {"cpus_per_task": self.n_threads})]
        every = [self.profile.layer, *layers, ("-launch", self.command_line)]
        self.said_by[merged(*every)] = origins(*every)
        return joined(*layers)


def layers_of(point: Mapping[str, Any], experiment: Experiment) -> list[Layer]:
    """Who may say what a point asks for, in order, without those who say nothing."""
    page = f"experiments/{experiment.name}.py"
    architecture = ARCHITECTURES.get(str(point.get("architecture")))
    layers: list[Layer] = [
        (f"architecture {point.get('architecture')}", architecture.launch_settings if architecture else {}),
        (f"launch_settings of {page}", experiment.launch_settings),
        (f"launch_settings of a point of {page}", get(point, KEY, {})),
    ]
    return [layer for layer in layers if layer[1] != {}]


def in_words(settings: Settings, said_by: Mapping[str, str]) -> list[str]:
    """A line per setting that somebody said, or that is not empty, and who said it.

    >>> said_by = {"mem_gb": "-launch", "partition": "the page"}
    >>> print("\\n".join(in_words(Settings(mem_gb=8.0, partition="long"), said_by)))
    mem_gb         8     -launch
    timeout_min    60    default
    cpus_per_task  1     default
    gpus_per_node  0     default
    partition      long  the page
    """
    values = {key: value for key, value in settings.as_dict().items() if key != "extra" and value not in ("", None)}
    values |= {f"extra.{flag}": value for flag, value in settings.extra.items()}
    rows = [(key, _text(value), said_by.get(key, "default")) for key, value in values.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [f"{key:{widths[0]}}  {value:{widths[1]}}  {who}" for key, value, who in rows]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
