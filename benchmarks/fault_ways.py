"""Ways to run one fault campaign: a loop that restores, two peers' ways written anew from reading their code, ours.

Each takes (model, images, labels, faults) and returns the counts of each fault, in order.

- naive: set the weight, run all images in batches of 64, restore.
- PyTorchFI (pytorchfi/pytorchfi, declare_weight_fault_injection): a deep copy of the network for each fault.
- SFIadvancedmodels (cad-polito-it/SFIadvancedmodels, FaultInjectionManager, with its deterministic
  algorithms and the batch of 128 of its SETTINGS.py): for each batch every fault, its value by struct, written and
  restored through the state dict; top-1 and accuracy by Python lists, a pair of prediction and scores for each image;
  all scores kept and saved to files, analysed afterwards. Left out, in its favour: progress bars, memory statistics,
  its data loader, its log files; its analysis here is the quickest there could be, one comparison.
"""

from __future__ import annotations

import copy
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gridrun.faults.campaign import ARITHMETICS, Campaign
from gridrun.faults.injection import faulty_weight, weight_of
from gridrun.faults.naive import logits_of, naive_counts
from gridrun.faults.verdicts import Counts, counts
from gridrun.faults.weight_fault import WeightFault

Way = Callable[[nn.Module, Tensor, Tensor, list[WeightFault]], list[Counts]]
BATCH, SFI_BATCH = 64, 128


def naive(model: nn.Module, images: Tensor, labels: Tensor, faults: list[WeightFault]) -> list[Counts]:
    return list(naive_counts(model, images, faults, BATCH, labels))


@torch.no_grad()
def pytorchfi(model: nn.Module, images: Tensor, labels: Tensor, faults: list[WeightFault]) -> list[Counts]:
    golden, found = logits_of(model, images, BATCH), []
    for fault in faults:
        struck = copy.deepcopy(model)
        weight = weight_of(struck, fault.layer)
        weight[fault.index] = faulty_weight(weight, fault)
        found.append(counts(golden, logits_of(struck, images, BATCH), labels))
    return found


@torch.no_grad()
def sfi_advanced_models(model: nn.Module, images: Tensor, labels: Tensor, faults: list[WeightFault]) -> list[Counts]:
    torch.use_deterministic_algorithms(True)
    try:
        golden = logits_of(model, images, SFI_BATCH)
        with tempfile.TemporaryDirectory() as folder:
            batches = [part.split(SFI_BATCH) for part in (images, labels, golden)]
            for number, batch in enumerate(zip(*batches, strict=True)):
                np.save(Path(folder, f"{number}.npy"), [_one_inference(model, *batch, fault) for fault in faults])
            scores = np.concatenate([np.load(Path(folder, f"{b}.npy")) for b in range(len(batches[0]))], axis=1)
        return [counts(golden, torch.from_numpy(mine), labels) for mine in scores]
    finally:
        torch.use_deterministic_algorithms(False)


def _one_inference(model: nn.Module, x: Tensor, y: Tensor, clean: Tensor, fault: WeightFault) -> np.ndarray:
    name = f"{fault.layer}.weight"
    old = float(model.state_dict()[name][fault.index])
    model.state_dict()[name][fault.index] = _flipped(old, fault.bit)
    scores = model(x)
    top = torch.topk(scores, k=1)
    int(torch.ne(top.indices, torch.topk(clean, k=1).indices).sum())
    predicted = [int(index) for index in top.indices]
    float(torch.sum(y.eq(torch.tensor(predicted))) / len(y))
    tuple(zip(predicted, scores, strict=True))
    model.state_dict()[name][fault.index] = old
    return scores.detach().cpu().numpy()


def _flipped(value: float, bit: int) -> float:
    word = struct.unpack("!I", struct.pack("!f", value))[0] ^ 1 << bit
    return float(struct.unpack("!f", struct.pack("!I", word))[0])


def ours(arithmetic: str, model: nn.Module, images: Tensor, labels: Tensor, faults: list[WeightFault]) -> list[Counts]:
    found = dict(Campaign(model, images, labels, arithmetic=arithmetic).counts(faults))
    return [found[number] for number in range(len(faults))]


PEERS: dict[str, Way] = {
    "naive loop": naive,
    "PyTorchFI's way": pytorchfi,
    "SFIadvancedmodels' way": sfi_advanced_models,
}
OURS: dict[str, Way] = {f"gridrun, {arithmetic}": partial(ours, arithmetic) for arithmetic in ARITHMETICS}
WAYS = PEERS | OURS
