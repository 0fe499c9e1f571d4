"""gridrun faults sample: the faults to inject into a network, as a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError, among
from ._lists import check_folder, refuse_grouped
from ._network import named, spelt
from ._points import plural

if TYPE_CHECKING:
    from torch import nn

    from ..faults.weight_fault import WeightFault

    Shapes = Mapping[str, tuple[int, ...]]

EPILOG = """\b
Examples:
  gridrun faults sample -n ResNet20 -d cifar10 -o list.csv          the published list
  gridrun faults sample -n ResNet44 --strategy=layer --error=.02 -o list.csv
  gridrun faults sample -n ResNet20 --strategy=stratified --error=.002 --kinds=stuck0,stuck1
  gridrun faults sample -n ResNet20 --strategy=exhaustive --layers=linear --bits=23-31

\b
Strategies:
  published    the draw of the published lists, to the byte (ResNet20's has one row edited by hand since)
  layer, bit   so many faults of each layer, or of each bit, that its own proportion is known to within the error
  stratified   by layer and group of bits, shared out after Neyman with the published spread of critical rates
  exhaustive   every fault, up to a million
"""
STRATEGIES = ("published", "layer", "bit", "stratified", "exhaustive")
LISTED = "NAME,NAME"


@click.command("sample", short_help="Draw a list of faults.", epilog=EPILOG)
@named
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Instead of the terminal.")
@click.option("-strategy", "--strategy", type=click.Choice(STRATEGIES), default="published", show_default=True)
@click.option("-error", "--error", type=float, default=0.01, show_default=True, help="Half-width of the interval.")
@click.option("-confidence", "--confidence", type=float, default=0.99, show_default=True, help="That it holds.")
@click.option("-seed", "--seed", type=int, default=42, show_default=True, help="Of the draw.")
@click.option("-kinds", "--kinds", default="flip", show_default=True, metavar=LISTED, help="flip, stuck0, stuck1, ...")
@click.option("-layers", "--layers", metavar=LISTED, help="These layers only; not for the published list.")
@click.option("-bits", "--bits", metavar="23-30,31", help="These bits only; for layer, bit and exhaustive.")
@click.option("-tensorflow", "--tensorflow", "is_tensorflow", is_flag=True, help="Keras's names and index order.")
def command(
    name: str,
    dataset: str,
    output: Path | None,
    strategy: str,
    error: float,
    confidence: float,
    seed: int,
    kinds: str,
    layers: str | None,
    bits: str | None,
    is_tensorflow: bool,
) -> None:
    """Draw the faults of a network's weights to inject, as CSV in the published format."""
    from ..faults.fault_list import layer_shapes, to_text
    from ..faults.sampling import n_weights, t_of
    from ..files import write_whole
    from ..nn.zoo import network
    from ..tasks.settings import mendable

    with mendable():
        model = network(name, spelt(dataset))
        shapes = chosen(layer_shapes(model), layers, strategy)
        faults = draw(strategy, shapes, seed, error, t_of(confidence), kinds_of(kinds), bits)
        text = to_text(translated(faults, model) if is_tensorflow else faults)
    if not faults:
        raise UsageError(f"--error={error:g} asks for fewer than one fault of each layer: take a smaller error")
    if output is None:
        click.echo(text, nl=False)
        return
    check_folder(output)
    write_whole(output.absolute(), text.encode())
    where = f"{n_weights(shapes):,} weights in {plural(len(shapes), 'layer')} of {name}"
    click.echo(f"{len(faults):,} fault{'s' * (len(faults) != 1)} in {output} ({where})")


def chosen(shapes: Shapes, layers: str | None, strategy: str) -> Shapes:
    """The layers that --layers names."""
    if layers is None:
        return shapes
    if strategy == "published":
        raise UsageError("--layers: the published list is one of all layers; choose another --strategy")
    names = [name.strip() for name in layers.split(",")]
    for name in names:
        if name not in shapes:
            raise UsageError(f"no layer {name!r}; {among(name, shapes)}")
    return {name: shapes[name] for name in names}


def kinds_of(words: str) -> tuple[str, ...]:
    """The kinds that --kinds names, each once."""
    from ..faults.bits import KINDS

    kinds = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"no kind of fault {kind!r}; {among(kind, KINDS)}")
    return kinds


def bits_of(words: str) -> tuple[int, ...]:
    """The bits that --bits names.

    >>> bits_of("31, 0-3")
    (0, 1, 2, 3, 31)
    """
    found: set[int] = set()
    for word in words.split(","):
        first, dash, last = word.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or not int(first) <= int(last or first) <= 31:
            raise UsageError(f"--bits={words}: want bits of 0..31, such as 30 or 23-30,31")
        found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def draw(
    strategy: str, shapes: Shapes, seed: int, error: float, t: float, kinds: tuple[str, ...], bits: str | None
) -> list[WeightFault]:
    """The faults of a strategy. Raises UsageError for an option that it does not know."""
    from ..faults import sampling

    if bits is not None and strategy in ("published", "stratified"):
        raise UsageError(f"--bits has no effect on --strategy={strategy}: take layer, bit or exhaustive")
    which: Sequence[int] = sampling.ALL_BITS if bits is None else bits_of(bits)
    if strategy == "published" and len(kinds) > 1:
        raise UsageError("--kinds: a published list has one kind; draw one list a kind, or choose another --strategy")
    draws: dict[str, Callable[[], list[WeightFault]]] = {
        "published": lambda: sampling.published(shapes, seed, error, t, kind=kinds[0]),
        "layer": lambda: sampling.per_layer(shapes, seed, error, t, bits=which, kinds=kinds),
        "bit": lambda: sampling.per_bit(shapes, seed, error, t, bits=which, kinds=kinds),
        "stratified": lambda: sampling.by_layer_and_bits(shapes, seed, error, t, kinds=kinds),
        "exhaustive": lambda: sampling.exhaustive(shapes, which, kinds),
    }
    return draws[strategy]()


def translated(faults: list[WeightFault], model: nn.Module) -> list[WeightFault]:
    """The faults as those of the Keras twin; a network with grouped or depthwise convolutions has none."""
    from ..faults.injection import layer_shapes
    from ..faults.keras_list import to_tensorflow

    refuse_grouped(model, "--tensorflow")
    return to_tensorflow(faults, layer_shapes(model))
