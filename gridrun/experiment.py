"""Experiments of a study: where they are, what each must have, and its grid under other settings.

A study is a folder with `experiments/`. A page `experiments/NAME.py` has `train_grid()`, the points, and
`visualize()`, the figure; or a class NAME with these two methods.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UsageError, nearest
from .grid import Grid, configure, make_unique
from .study import use_root
from .template import get

FUNCTIONS = ("train_grid", "visualize")


@dataclass(frozen=True)
class Experiment:
    """One page of a study; `holder` is what has the functions: the module, or the class of its name."""

    name: str
    holder: ModuleType | type

    def train_grid(self) -> Grid:
        """The points to compute.

        Raises UsageError if the page returns something else than a list of dicts.
        """
        grid = self._call("train_grid")
        if isinstance(grid, dict):
            return [grid]
        if not isinstance(grid, list) or not all(isinstance(point, dict) for point in grid):
            raise UsageError(f"{self.name}.train_grid() gives {grid!r:.60}; a grid is a list of dicts")
        return grid

    def visualize(self) -> None:
        """Draw the page's figures."""
        self._call("visualize")

    @property
    def launch_settings(self) -> Any:
        """What the page asks of a cluster for its points: `launch_settings` of the class, or of the module."""
        module = sys.modules[getattr(self.holder, "__module__", "")] if isinstance(self.holder, type) else self.holder
        return getattr(self.holder, "launch_settings", getattr(module, "launch_settings", {}))

    def _call(self, function: str) -> Any:
        with _no_exit(f"{self.name}.{function}()"):
            owner = self.holder() if isinstance(self.holder, type) else self.holder
            return getattr(owner, function)()


def find_root(start: str | Path) -> Path:
    """The study that a folder or file belongs to: the nearest folder above that holds experiments/.

    Raises UsageError where there is none.
    """
    here = Path(start).resolve()
    for folder in [here, *here.parents]:
        if (folder / "experiments").is_dir():
            return folder
    raise UsageError(
        f"no study here: neither {here} nor a folder above it has experiments/; 'gridrun init FOLDER' starts one"
    )


def enter(root: Path) -> None:
    """Let experiments of this study be imported, and its results be found, from any current folder."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    use_root(root)


def names(root: Path) -> list[str]:
    """The experiments of a study, sorted; pages whose name starts with _ are helpers, not experiments."""
    folder = root / "experiments"
    pages = [page.stem for page in folder.glob("*.py")]
    rooms = [page.parent.name for page in folder.glob("*/__init__.py")]
    return sorted(name for name in pages + rooms if not name.startswith("_"))


def check_known(root: Path, name: str) -> None:
    """Raise UsageError, with the near name, unless the study has an experiment of this name."""
    if name not in (known := names(root)):
        raise UsageError(f"no experiment {name!r} in {root / 'experiments'}; {nearest(name, known)}")


def load(root: Path, name: str) -> Experiment:
    """Import one experiment and check that it has what an experiment needs.

    Raises UsageError for a name that is not there (with the near one), and for a page without its functions.
    What the page itself raises while it is imported passes through.
    """
    check_known(root, name)
    enter(root)
    with _no_exit(f"experiments/{name}.py"):
        module = importlib.import_module(f"experiments.{name}")
    _check_home(module, root, name)
    own_class = getattr(module, name, None)
    holder = own_class if isinstance(own_class, type) else module
    missing = [f"{function}()" for function in FUNCTIONS if not callable(getattr(holder, function, None))]
    if missing:
        raise UsageError(f"experiments/{name}.py needs {' and '.join(missing)}, as every experiment does")
    return Experiment(name, holder)


@contextmanager
def _no_exit(what: str) -> Iterator[None]:
    """Turn an exit() in the study's code into an error: it must not pass for success."""
    try:
        yield
    except SystemExit as error:
        raise UsageError(f"{what} called exit({error.code or ''}); raise an exception instead") from error


def _check_home(module: ModuleType, root: Path, name: str) -> None:
    """Raise UsageError if another package called `experiments` came first on Python's path."""
    home = Path(module.__file__ or "").resolve()
    if root.resolve() / "experiments" not in home.parents:
        raise UsageError(f"experiments.{name} was found at {home}, outside this study: rename one of them")


Wanted = Sequence[tuple[str, Callable[[Any], bool]]]  # keys, and whether a value of theirs is wanted


def override(grid: Grid, settings: Mapping[str, Any], name: str = "the grid", wanted: Wanted = ()) -> Grid:
    """Set keys on every point (points that become equal are one), then keep the points whose values are wanted.

    >>> override([{"lr": 0.1, "seed": 0}, {"lr": 0.1, "seed": 1}], {"seed": 7})
    [{'lr': 0.1, 'seed': 7}]
    >>> override([{"seed": 0}, {"seed": 1}], {}, wanted=[("seed", lambda seed: seed > 0)])
    [{'seed': 1}]

    Raises UsageError for a key that no point has, and where no point is left.
    """
    if not settings and not wanted:
        return grid
    known = {key for point in grid for key in point}
    for key in [*settings, *(key for key, _ in wanted)]:
        if grid and key not in known:
            raise UsageError(f"-{key}: no point of {name} has this key; {nearest(key, known)}")
    points = make_unique(configure(grid, settings)) if settings else grid
    for key, wants in wanted:
        values = dict.fromkeys(str(get(point, key)) for point in points if key in point)
        points = [point for point in points if key in point and wants(get(point, key))]
        if grid and not points:
            raise UsageError(f"no point of {name} is left: {key} is {', '.join(values)}")
    return points


@contextmanager
def overridden(experiment: Experiment, settings: Mapping[str, Any], wanted: Wanted = ()) -> Iterator[Experiment]:
    """Within the block the page's train_grid() gives the wanted points with `settings`, to visualize() too."""
    holder: Any = experiment.holder
    original = inspect.getattr_static(holder, "train_grid")  # a staticmethod stays one
    is_own = "train_grid" in vars(holder)
    if isinstance(original, (staticmethod, classmethod)):
        changed: Any = type(original)(_with(original.__func__, settings, experiment.name, wanted))
    else:
        changed = _with(original, settings, experiment.name, wanted)
    holder.train_grid = changed
    try:
        yield experiment
    finally:
        if is_own:
            holder.train_grid = original
        else:
            del holder.train_grid


def _with(
    train_grid: Callable[..., Grid], settings: Mapping[str, Any], name: str, wanted: Wanted
) -> Callable[..., Grid]:
    @wraps(train_grid)
    def changed(*args: Any, **kwargs: Any) -> Grid:
        return override(train_grid(*args, **kwargs), settings, name, wanted)

    return changed
