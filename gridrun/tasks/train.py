"""Training one point: the cachable `train` of every architecture.

A run owns the folder sessions/runs/<id> (see folder.py), and goes on from the checkpoint there if it was killed
before (see checkpoint.py). A hit reads two small JSON files there and imports no torch.
"""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import cachable, current_session, get
from . import folder as files
from . import networks, ranges
from .checkpoint import Checkpoint, maker
from .progress import Progress
from .weights import FORM, SavedWeights, WeightsInMemory

if TYPE_CHECKING:
    from torch import nn

    from ..data.splits import Splits
    from ..training.state import State

Result = dict[str, Any]


def train(model: Mapping[str, Any]) -> Result:
    """Train the network that a point describes.

    Returns {"weights": a record whose load() gives the tensors, "test_accuracy", "training_accuracy", "loss",
    "n_steps", and "validation_accuracy" where images are set aside}, accuracies in 0..1. Called directly (not
    through run), it writes nothing. Raises UsageError for settings that cannot be, MissingData for data to be
    fetched.
    """
    session = current_session()
    if session is None:
        weights, metrics = _fit(model, lambda **values: None, None)
        return {"weights": WeightsInMemory(weights, networks.form(model)), **metrics}
    folder = session.folder
    if not files.is_whole(folder):  # it is, where the process was killed before the store knew of it
        _train_in(folder, model)
    files.remove_checkpoint(folder)
    return load(folder.name, "", str(folder.parent.parent))


def _train_in(folder: Path, model: Mapping[str, Any]) -> None:
    """Train, from the folder's checkpoint if there is one, and leave the results there."""
    from safetensors.torch import save

    with files.log_of(folder) as log:
        checkpoint = Checkpoint(folder / files.CHECKPOINT, maker(get(model, "device")), log)
        weights, metrics = _fit(model, log, checkpoint)
    files.finish(folder, save(weights, {FORM: json.dumps(networks.form(model))}), metrics)


def _fit(
    model: Mapping[str, Any], log: Callable[..., None], checkpoint: Checkpoint | None
) -> tuple[dict[str, Any], Result]:
    """The chosen weights, on the CPU, and the metrics of the last epoch and of the test."""
    from ..nn.batch_norm import settle
    from ..training.evaluation import accuracy, logits_at
    from . import settings

    ranges.check(model)
    with settings.reproducible(model):
        network, data = settings.network(model), settings.training_splits(model)
        ranges.check_validation(model, data.validation)
        state, metrics = _through_the_epochs(model, network, data, log, checkpoint)
        with settings.mendable():
            weights = state.weights(get(model, "checkpoint"))
        weights |= settle(network, weights, data.train[0])
        test_accuracy = accuracy(logits_at(network, weights, data.test[0]), data.test[1])
    kept = {k: v for k, v in metrics.items() if k not in ("epoch", "learning_rate")}
    weights = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
    return weights, {**kept, "test_accuracy": test_accuracy, "n_steps": state.step}


def _through_the_epochs(
    model: Mapping[str, Any],
    network: nn.Module,
    data: Splits,
    log: Callable[..., None],
    checkpoint: Checkpoint | None,
) -> tuple[State, dict[str, float]]:
    """The state at the end, and the metrics of the last epoch."""
    from ..training.loop import fit
    from ..training.state import start
    from . import settings

    schedule, method, seed = settings.schedule(model), settings.method(model), get(model, "seed")
    state, metrics = start(network, schedule.optimizer, schedule.optimizer_settings), dict[str, float]()
    if checkpoint is not None:
        state = checkpoint.resumed(state)
    progress = Progress(len(schedule.rates()))
    for step, metrics, _ in fit(network, data.train, data.validation, method, schedule, seed, state, every_step=True):
        if metrics:
            log(step=step, **metrics)
            progress.tell(metrics)
        elif checkpoint is not None:  # never between epochs, so that the last epoch's metrics are always made
            checkpoint.save_if_due(state)
    return state, metrics


def load(session_id: str, table: str, cache_dir: str) -> Result:
    """What `train` returned, from its folder."""
    folder = files.run_folder(cache_dir, session_id)
    checksum = (files.checksums(folder) or {}).get(files.WEIGHTS, "")
    metrics = json.loads((folder / files.METRICS).read_bytes())
    return {"weights": SavedWeights(Path(folder / files.WEIGHTS), checksum), **metrics}


def check(session_id: str, table: str, cache_dir: str) -> bool:
    """Whether a run is complete and undamaged."""
    return files.is_whole(files.run_folder(cache_dir, session_id))


@functools.cache
def trainer(architecture: str, keys: Sequence[str]) -> Callable[[Mapping[str, Any]], Result]:
    """`train`, cached in the table named after the architecture by `keys` of the point.

    A changed line of code does not throw away trained networks: they are used, and a warning names the
    change.
    """
    dependencies = [f"model:{key}" for key in keys]
    decorate = cachable(dependencies, loader=load, checker=check, table_name=architecture, code="warn")
    own = types.FunctionType(train.__code__, train.__globals__, f"train_{architecture}")
    own.__doc__, own.__module__, own.__qualname__ = train.__doc__, __name__, own.__name__
    return decorate(own)


def __getattr__(name: str) -> Any:
    """`train_cnn` and the like, so that other processes find the function of an architecture by its name."""
    if name.startswith("train_"):
        from ..architectures import ARCHITECTURES

        if architecture := ARCHITECTURES.get(name.removeprefix("train_")):
            return architecture.make()["train"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
