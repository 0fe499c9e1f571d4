"""Named random streams: every draw in the science comes from a generator made here.

A stream is named by a seed and a few labels, such as `generator(seed, "shuffle", epoch)`. Streams of
different names are independent, and a stream can be started again at any epoch or step without replaying
those before it, so a run that is resumed draws what the unbroken run would have drawn. Torch's global random
state is neither read nor written.
"""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, *labels: str | int) -> int:
    """A 63-bit seed for the stream named by `seed` and `labels`, equal on every machine and Python version.

    >>> stream_seed(0, "shuffle", 1) == stream_seed(0, "shuffle", 1)
    True
    >>> stream_seed(0, "shuffle", 1) == stream_seed(0, "shuffle", 2)
    False
    """
    name = "/".join(f"{type(part).__name__}:{part}" for part in (int(seed), *labels))
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *labels: str | int) -> torch.Generator:
    """A CPU generator at the start of the named stream (on the CPU so that every device gets the same
    numbers).

    >>> a, b = (torch.rand(2, generator=generator(3, "noise", 0)) for _ in range(2))
    >>> bool((a == b).all())
    True
    """
    return torch.Generator().manual_seed(stream_seed(seed, *labels))
