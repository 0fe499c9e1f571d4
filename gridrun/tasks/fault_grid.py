"""Whole campaigns as points of an experiment: train.py runs them, here or on a cluster, and make_figures.py draws.

A point names a network, a fault list and a part of that list. Its "train" trains the network first, unless that is
done or it is a published one, and computes its part as blocks of `campaign.fault_counts`: a longer list or more images
cost only what is new, and `gridrun faults campaign` finds the same blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import UsageError, cachable, configure, get, run
from ..architectures import ARCHITECTURES, NOT_IN_KEY, digits_cnn
from . import campaign as engine
from .stored_blocks import totals

if TYPE_CHECKING:
    from ..faults.intervals import Rate
    from ..faults.verdicts import Counts
    from ..faults.weight_fault import Shapes, WeightFault
    from ..grid import AnyGrid, Grid

Point = Mapping[str, Any]
DEFAULTS: dict[str, Any] = {
    "network": "digits_cnn",  # or one of the zoo, as ResNet20, whose weights are in weights/ of the data folder
    "faults": "cells",  # n_faults of each layer and bit (see faults.cells.by_cell), or the "published" draw
    "n_faults": 48,
    "rows": None,  # of the list, as 0:1000; None is all
    "images": None,  # so many of the test images; None is all
    "kind": "flip",
    "fmt": "fp32",
    "arithmetic": "exact",  # or screened, fused: see faults.campaign
    "part": "0/1",  # which part of the list, of how many
}
NETWORK_KEYS = tuple(key for key in digits_cnn.defaults if key not in NOT_IN_KEY)


class Found(NamedTuple):
    """What a campaign found: of each fault its counts and whether it is masked by proof; the shapes of the layers'
    weights; the accuracy without a fault, 0..1; the words' format; whether the list is by cell (faults.cells)."""

    faults: list[WeightFault]
    counts: list[Counts]
    is_no_op: list[bool]
    shapes: Shapes
    accuracy: float
    fmt: str = "fp32"
    is_by_cell: bool = True

    def rates(self, by: str, outcome: str = "critical") -> dict[Any, Rate]:
        """The rate of a verdict, or of "no_op" (masked by proof), by layer, bits, cell or all: see faults.cells."""
        from ..faults import cells

        hits, n = [int(no_op) for no_op in self.is_no_op], [1] * len(self.faults)
        if outcome != "no_op":
            hits, n = [getattr(c, outcome) for c in self.counts], [c.n_injections for c in self.counts]
        return cells.rates(self.faults, hits, n, self.shapes, by, self.fmt, self.is_by_cell)

    def verdicts(self) -> dict[str, float]:
        """Masked, non-critical and critical outcomes of the whole network, in percent."""
        return {name: 100 * self.rates("all", name)[""].rate for name in ("masked", "non_critical", "critical")}


def campaigns(grid: AnyGrid, **settings: Any) -> Grid:
    """The points of networks as those of campaigns: DEFAULTS, then `settings`; "train" is the campaign.

    Raises UsageError for a setting that a campaign does not have.
    """
    if unknown := sorted(set(settings) - set(DEFAULTS)):
        raise UsageError(f"campaigns() has no setting {unknown[0]!r}; there are {', '.join(DEFAULTS)}")
    made = {"dataset": "{dataset_of({network})}", "weights_id": "{weights_of({*})}"}
    functions = {"dataset_of": dataset_of, "weights_of": weights_of, "train": part_of_campaign}
    return configure(grid, {**DEFAULTS, **made, **settings, **functions})


def parts(n: int) -> list[str]:
    """The values of "part" that make up a list.

    >>> parts(2)
    ['0/2', '1/2']
    """
    return [f"{i}/{n}" for i in range(n)]


def dataset_of(network: str) -> str:
    """The data set of a network, unless its point says otherwise.

    >>> dataset_of("digits_cnn"), dataset_of("ResNet20")
    ('digits', 'cifar10')
    """
    return str(ARCHITECTURES[network].defaults["dataset"]) if network in ARCHITECTURES else "cifar10"


def weights_of(point: Point) -> str:
    """The checksum of a published network's weights; "" for a network that is trained here."""
    return "" if get(point, "network") in ARCHITECTURES else str(_published(point)["weights_id"])


@cachable(dependencies=[f"point:{key}" for key in (*NETWORK_KEYS, *DEFAULTS, "weights_id")], table_name="campaign")
def part_of_campaign(point: Point) -> dict[str, Any]:
    """Run a point's part of its campaign; `joined` puts the parts together.

    {"rows": the faults, as campaign.FaultRow; "counts": array (faults, 7), see faults.verdicts.Counts; "is_no_op":
    array (faults,); "shapes": of the weights, by layer; "accuracy": without a fault, 0..1}.
    """
    import numpy as np

    from ..faults.injection import layer_shapes

    check_rows(point)
    network = _published(point) if get(point, "weights_id") else _trained(point)
    model, (images, _) = engine.load(engine.NetworkKey(network))
    shapes = layer_shapes(model)
    faults = in_part(fault_list(point, shapes), get(point, "part"))
    n_images = min(get(point, "images") or len(images), len(images))
    grid = engine.blocks(network, faults, n_images, get(point, "fmt"), get(point, "arithmetic"))
    results = run(grid, engine.fault_counts)(*engine.ARGUMENTS)
    n_correct = {block["images"]: result["n_correct"] for block, result in zip(grid, results)}
    once = [(block["faults"], result["is_no_op"]) for block, result in zip(grid, results) if block["images"][0] == 0]
    return {
        "rows": [row for rows, _ in once for row in rows],
        "counts": np.array(totals(grid, results, faults), dtype=np.int64),
        "is_no_op": np.array([proven for _, block in once for proven in block], dtype=bool),
        "shapes": {layer: list(shape) for layer, shape in shapes.items()},
        "accuracy": sum(n_correct.values()) / n_images,
    }


def check_rows(point: Point) -> None:
    """Raise UsageError for some rows of a list by cell: the rates are put together from all cells."""
    name, rows = get(point, "faults"), get(point, "rows")
    if name == "cells" and rows is not None:
        raise UsageError(
            f"rows={rows} with faults=cells: the rates weigh every layer and bit, so every cell needs its faults; "
            "leave rows out and take a smaller n_faults, or take faults=published"
        )


def fault_list(point: Point, shapes: Shapes) -> list[WeightFault]:
    """The faults of a point's whole list, `rows` of it, under its kind. UsageError for a list there is not."""
    from ..commands.faults_campaign import rows_of
    from ..faults import cells, sampling

    name, kind, fmt = get(point, "faults"), get(point, "kind"), get(point, "fmt")
    if name == "cells":
        faults = cells.by_cell(shapes, get(point, "n_faults"), fmt)
    elif name == "published":
        faults = sampling.published(shapes)
    else:
        raise UsageError(f"faults={name!r}: want cells or published")
    return [replace(faults[n], kind=kind) for n in rows_of(get(point, "rows"), len(faults))]


def in_part(faults: Sequence[WeightFault], part: str) -> list[WeightFault]:
    """Every n-th block of a list, so that a longer list begins with the same blocks.

    >>> in_part(list(range(300)), "1/2")[0], len(in_part(list(range(300)), "0/2"))
    (128, 172)
    """
    number, _, n = part.partition("/")
    starts = range(engine.BLOCK * int(number), len(faults), engine.BLOCK * int(n))
    return [fault for start in starts for fault in faults[start : start + engine.BLOCK]]


def joined(points: Iterable[Point]) -> Found:
    """The campaign of points that are its parts, with their results, run(grid, "train", store_key="*")("{*}")."""
    from ..faults.verdicts import Counts
    from ..faults.weight_fault import WeightFault

    points = list(points)
    shapes = {layer: tuple(shape) for layer, shape in points[0]["shapes"].items()}
    found = Found([], [], [], shapes, points[0]["accuracy"], get(points[0], "fmt"), get(points[0], "faults") == "cells")
    for point in points:
        found.faults.extend(WeightFault(layer, tuple(index), *rest) for layer, index, *rest in point["rows"])
        found.counts.extend(Counts(*map(int, row)) for row in point["counts"])
        found.is_no_op.extend(map(bool, point["is_no_op"]))
    return found


def joined_by(points: Iterable[Point], *keys: str) -> dict[Any, Found]:
    """The campaigns of points, by the value of a key, or by the values of several."""
    parts: dict[Any, list[Point]] = {}
    for point in points:
        values = tuple(get(point, key) for key in keys)
        parts.setdefault(values if len(keys) > 1 else values[0], []).append(point)
    return {values: joined(mine) for values, mine in parts.items()}


def _trained(point: Point) -> Point:
    """The network of a point, trained: found where it is already."""
    architecture = ARCHITECTURES[get(point, "network")]
    model = architecture.make(**{key: get(point, key) for key in architecture.defaults})
    return engine.trained_network(run([model], "train", store_key="*", progress=False)("{*}")[0])


def _published(point: Point) -> Point:
    """A network of the zoo. UsageError where its weights are not there."""
    from ..commands._network import Network

    found = Network.find(get(point, "network"), get(point, "dataset"), None, get(point, "data_dir"))
    return engine.published_network(found.name, found.dataset, found.weights, found.data_dir)


def published_results(point: Point, ours: Found) -> Found | None:
    """The published counts of the faults of `ours`, from fault_lists/NETWORK_FL.csv of the data folder; None where that
    file, or a fault, is not there."""
    from ..data.folders import data_folder
    from ..faults.fault_list import read

    path = data_folder(get(point, "data_dir")) / "fault_lists" / f"{get(point, 'network')}_FL.csv"
    if not path.is_file():
        return None
    listed = read(path, ours.shapes)
    counts = dict(zip(listed.faults, listed.counts or []))
    known = [fault for fault in ours.faults if fault in counts]
    return ours._replace(faults=known, counts=[counts[fault] for fault in known]) if known else None
