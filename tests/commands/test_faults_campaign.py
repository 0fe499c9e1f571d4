"""gridrun faults campaign, as a user types it: a made-up CIFAR-10 of 12 images, and the published list."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import made_cifar
import pytest
import torch
from click.testing import CliRunner
from tiny_study import TinyStudy

from gridrun import cli, data
from gridrun.commands._lazy import find
from gridrun.commands.faults_campaign import rows_of
from gridrun.errors import UsageError
from gridrun.faults.fault_list import read, to_text
from gridrun.faults.injection import layer_shapes
from gridrun.faults.keras_list import to_tensorflow
from gridrun.faults.naive import naive_counts
from gridrun.faults.sampling import published, stratified
from gridrun.faults.strata import BITS, WeightBits
from gridrun.faults.weight_fault import WeightFault
from gridrun.nn import zoo
from gridrun.tasks import campaign, stored_blocks

N_IMAGES = 12
HEADER = "Injection,Layer,TensorIndex,Bit"
GOOD = '0,conv1,"(0, 0, 0, 0)",15'


class Done(NamedTuple):
    status: int
    out: str
    err: str


Typed = Callable[..., Done]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Typed]:
    """`gridrun faults campaign -n ResNet20 WORDS` in a folder with that data."""
    made_cifar.make(tmp_path / "data", N_IMAGES, monkeypatch)
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(1)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["gridrun", "faults", "campaign", "-n", "resnet20", *words])
        capsys.readouterr()
        status = cli.status_of(cli.app, "gridrun", tmp_path)
        return Done(status, *capsys.readouterr())

    yield run
    torch.set_num_threads(before)
    campaign._campaign.cache_clear()
    campaign.load.cache_clear()


def some_faults() -> list[WeightFault]:
    model = zoo.network("ResNet20")
    return published(layer_shapes(model), error=0.2)[::6]


def test_the_file_is_the_naive_loops_in_the_published_format_to_the_byte(typed: Typed) -> None:
    listed = some_faults()
    Path("list.csv").write_text(to_text(listed))
    done = typed("--fault-list", "list.csv", "-o", "out.csv")
    assert done.status == 0
    assert f"{len(listed)} faults x 12 images" in done.out and "faults as clusters" in done.out
    assert "exact arithmetic: " in done.out and "layers by channels" in done.out
    model = zoo.network("ResNet20", seed=3)
    images, labels = data.test_images("cifar10", "data")
    counts = list(naive_counts(model, images, listed, 64, labels))
    assert Path("out.csv").read_bytes() == to_text(listed, counts).encode()
    start = f"{HEADER},n_injections,masked,non_critical,critical\n0,layer2.0.conv1,"
    assert Path("out.csv").read_text().startswith(start)
    first = Path("out.csv").read_bytes()
    assert typed("--fault-list", "out.csv", "-o", "out.csv").status == 0  # a file with results is a list, too
    assert Path("out.csv").read_bytes() == first


@pytest.mark.parametrize("arithmetic", ["screened", "fused"])
def test_the_faster_arithmetics_say_what_they_judged(typed: Typed, arithmetic: str) -> None:
    listed = [WeightFault("layer3.2.conv2", (n, 5, 1, 1), bit) for n in range(0, 60, 6) for bit in (10, 20, 30)]
    Path("list.csv").write_text(to_text(listed))
    assert typed("--fault-list", "list.csv", "-o", "exact.csv").status == 0
    done = typed("--fault-list", "list.csv", "-o", "out.csv", "--arithmetic", arithmetic)
    judged = int(done.out.split(" injections judged to first order")[0].rsplit("\n", 1)[-1].replace(",", ""))
    assert done.status == 0 and judged > 100 and "none of these critical" in done.out
    exact, found = read("exact.csv").counts, read("out.csv").counts
    assert [c.critical for c in found] == [c.critical for c in exact] and sum(c.critical for c in exact) > 20
    assert all(a.masked <= b.masked for a, b in zip(found, exact, strict=True))


def test_a_list_by_strata_has_a_rate_of_its_own_and_tells_the_networks(typed: Typed) -> None:
    shapes = layer_shapes(zoo.network("ResNet20"))
    strata = {f"{layer} {group}": WeightBits({layer: shapes[layer]}, BITS[group]) for layer in shapes for group in BITS}
    Path("list.csv").write_text(to_text(stratified(strata, dict.fromkeys(strata, 2))))
    done = typed("--fault-list", "list.csv", "--images", "2", "-o", "out.csv")
    assert done.status == 0
    assert "\ncritical rate of these faults " in done.out and "\ncritical rate of the network " in done.out
    assert "\n(not of the network: bit 30 is 33 % of the list, 3 % of the network's faults, layer conv1 is" in done.out
    found, total = read("out.csv"), sum(map(len, strata.values()))
    by_hand = sum(
        len(strata[name]) / total * sum(c.critical for c in (found.counts or [])[2 * n : 2 * n + 2]) / 4
        for n, name in enumerate(strata)
    )
    told = float(re.findall(r"critical rate of the network (\S+) %", done.out)[0])
    lines = CliRunner().invoke(find("summary", "faults"), ["out.csv"]).output.splitlines()
    assert lines[-1] in done.out and lines[-1].startswith("critical rate of the network ")  # known from out.csv.json
    plain = float(re.findall(r"critical rate of these faults (\S+) %", done.out)[0])
    assert told == pytest.approx(100 * by_hand, abs=0.006) and plain > 3 * told > 0


def test_a_list_in_proportion_has_the_networks_rate(typed: Typed) -> None:
    Path("list.csv").write_text(to_text(some_faults()))
    out = typed("--fault-list", "list.csv", "--images", "1").out
    assert "\ncritical rate " in out and "of these faults" not in out and "of the network" not in out


def test_a_kind_that_makes_rows_the_same_is_refused_by_line(typed: Typed, sessions: Path) -> None:
    faults = [WeightFault("conv1", (0, 0, 0, 0), bit, kind) for bit in (3, 30) for kind in ("flip", "stuck0", "stuck1")]
    Path("list.csv").write_text(to_text(faults))
    done = typed("--fault-list", "list.csv", "--kind", "flip", "-o", "out.csv")
    assert (done.status, done.out) == (2, "") and not sessions.exists() and not Path("out.csv").exists()
    assert "4 rows of list.csv would be injected twice: line 3 is then line 2, line 4 is then line 2" in done.err
    done = typed("--fault-list", "list.csv", "--kind", "flip", "--rows", "2:4", "--images", "1", "-o", "out.csv")
    assert done.status == 0 and [f.bit for f in read("out.csv").faults] == [3, 30]


def test_a_list_of_tensorflow_is_converted(typed: Typed) -> None:
    listed = [WeightFault("layer1.0.conv1", (3, 5, 0, 2), 30), WeightFault("linear", (7, 60), 30)]
    shapes = layer_shapes(zoo.network("ResNet20"))
    keras = to_tensorflow(listed, shapes)
    assert [fault.layer for fault in keras] == ["conv2d_1", "dense"]
    Path("list.csv").write_text(to_text(listed))
    Path("keras.csv").write_text(to_text(keras))
    assert typed("--fault-list", "list.csv", "--images", "3", "-o", "out.csv").status == 0
    done = typed("--fault-list", "keras.csv", "--images", "3", "-o", "converted.csv")
    assert done.status == 0 and "note: keras.csv has the layers of TensorFlow" in done.err
    assert Path("converted.csv").read_bytes() == Path("out.csv").read_bytes()
    Path("keras.csv").write_text(to_text([WeightFault("conv2d", (16, 0, 0, 0), 3), WeightFault("conv2d_99", (0,), 3)]))
    done = typed("--fault-list", "keras.csv")
    assert done.status == 2 and "line 2: index (16, 0, 0, 0)" in done.err and "line 3: no layer 'conv2d_99'" in done.err


def test_every_count_is_the_naive_loops(typed: Typed) -> None:
    listed = some_faults()[-3:]
    Path("list.csv").write_text(to_text(listed))
    assert typed("--fault-list", "list.csv", "--every-count", "-o", "out.csv").status == 0
    images, labels = data.test_images("cifar10", "data")
    counts = list(naive_counts(zoo.network("ResNet20", seed=3), images, listed, 64, labels))
    assert Path("out.csv").read_text() == to_text(listed, counts, every_count=True)
    assert Path("out.csv").read_text().splitlines()[0].endswith(",due,sdc5,correct")
    for words in ([], ["-o", "out.csv", "--arithmetic", "screened"]):
        done = typed("--fault-list", "list.csv", "--every-count", *words)
        assert done.status == 2 and "--every-count: want --output" in done.err


def test_how_counts_were_obtained_is_beside_them(typed: Typed) -> None:
    Path("list.csv").write_text(to_text([WeightFault("linear", (7, 60), 14)]))
    assert typed("--fault-list", "list.csv", "--images", "3", "--format", "fp16", "-o", "out.csv").status == 0
    how = json.loads(Path("out.csv.json").read_text())
    kept = {"network": "ResNet20", "dataset": "cifar10", "images": 3, "format": "fp16", "arithmetic": "exact"}
    assert how.items() >= kept.items() and len(how["weights_id"]) == 32 and how["torch"] == [torch.__version__]
    assert typed("--fault-list", "list.csv", "--images", "3", "-o", "fp32.csv").status == 0
    assert said("compare", "out.csv", "fp32.csv") == "note: format is fp16 in ours, fp32 in published\n"
    assert said("compare", "fp32.csv", "fp32.csv") == ""
    Path("fp32.csv.json").unlink()
    line = "note: format is fp16 in ours, not known of published\n"
    assert said("compare", "out.csv", "fp32.csv") == line
    other = Path("fp32.csv").read_text().replace('",14,', '",13,')
    Path("out.csv").write_text(other)  # what stood beside is no longer of these counts
    assert said("compare", "out.csv", "fp32.csv") == ""


def said(*words: str) -> str:
    """The notes of a command on faults."""
    output = CliRunner().invoke(find(words[0], "faults"), list(words[1:])).output
    return "".join(line for line in output.splitlines(keepends=True) if line.startswith("note: "))


@pytest.mark.parametrize("kind", ["flip", "stuck0", "stuck1", "zero", "random"])
def test_every_kind_by_the_naive_loop(typed: Typed, kind: str) -> None:
    Path("list.csv").write_text(to_text(some_faults()[-3:]))
    done = typed("--fault-list", "list.csv", "--kind", kind, "-o", "out.csv", "--images", "5")
    found = read("out.csv")
    assert done.status == 0 and {fault.kind for fault in found.faults} == {kind}
    images, _ = data.test_images("cifar10", "data")
    expected = naive_counts(zoo.network("ResNet20", seed=3), images[:5], found.faults, 64)
    assert [counts[:4] for counts in found.counts or []] == [counts[:4] for counts in expected]


BAD = {
    "an unknown layer": ([GOOD, '1,conv2,"(0, 0, 0, 0)",3'], "line 3: no layer 'conv2'"),
    "an index out of range": ([GOOD, '1,conv1,"(16, 0, 0, 0)",3'], "line 3: index (16, 0, 0, 0) is outside"),
    "bit 32": ([GOOD, '1,conv1,"(0, 0, 0, 0)",32'], "line 3: bit 32 is outside 0..31"),
    "a fault twice": ([GOOD, GOOD.replace("0,conv1", "1,conv1", 1)], "line 3: fault conv1 (0, 0, 0, 0) bit 15"),
    "a number twice": ([GOOD, GOOD.replace("15", "16")], "line 3: Injection 0 again"),
    "two bad rows": ([GOOD, "x,y", '2,fc,"(0, 0)",3'], "list.csv has 2 bad rows:"),
    "a word for a bit": ([GOOD, '1,conv1,"(0, 0, 0, 0)",top'], "line 3: Bit is 'top'"),
}


@pytest.mark.parametrize(("rows", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_is_one_error_before_anything_is_computed(
    typed: Typed, rows: list[str], message: str, sessions: Path
) -> None:
    Path("list.csv").write_text("\n".join([HEADER, *rows]))
    done = typed("--fault-list", "list.csv", "-o", "out.csv")
    assert (done.status, done.out) == (2, "")
    assert message in done.err and "Traceback" not in done.err and done.err.count("bad row") == 1
    assert not Path("out.csv").exists() and not sessions.exists()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the header lacks Injection, Layer, TensorIndex, Bit"),
        (b"Injection,Layer,Bit\n0,conv1,3\n", "the header lacks TensorIndex"),
        (HEADER.encode() + b"\n", "has no faults, only a header"),
        (bytes(range(256)), "not a text file in UTF-8"),
        (b"PK\x03\x04" + b"\x00" * 50, "the header lacks"),
    ],
)
def test_a_file_that_is_no_list(typed: Typed, raw: bytes, message: str, sessions: Path) -> None:
    Path("list.csv").write_bytes(raw)
    done = typed("--fault-list", "list.csv")
    assert (done.status, done.out) == (2, "") and message in done.err and "Traceback" not in done.err
    assert not sessions.exists()


@pytest.mark.parametrize("end", ["", "\r\n\r\n"])
def test_ends_of_lines_do_not_matter(typed: Typed, end: str) -> None:
    rows = [HEADER, GOOD, '1,conv1,"(0, 0, 0, 1)",15']
    Path("list.csv").write_bytes((("\r\n" if "\r" in end else "\n").join(rows) + end).encode())
    done = typed("--fault-list", "list.csv", "--images", "1")
    assert done.status == 0 and "2 faults x 1 image " in done.out


def test_counts_that_do_not_add_up_are_a_note(typed: Typed) -> None:
    Path("list.csv").write_text(f"{HEADER},n_injections,masked,non_critical,critical\n{GOOD},10,1,2,3\n")
    done = typed("--fault-list", "list.csv", "--images", "1")
    assert done.status == 0
    assert done.err.startswith("note: list.csv: n_injections is not masked + non_critical + critical in 1 row (line 2)")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "fp16"], "list.csv has 1 bad row:\n  line 3: bit 16 is outside 0..15"),
        (["--format", "int8"], "list.csv has 2 bad rows:\n  line 2: bit 15 is outside 0..7"),
        (["--format", "fp8"], "no number format 'fp8'; there are fp32, fp16, bf16, int8"),
        (["--kind", "stuck"], "no kind of fault 'stuck'; did you mean 'stuck"),
        (["--arithmetic", "quick"], "no arithmetic 'quick'; there are exact, screened, fused"),
        (["--rows", "2:9"], "--rows=2:9 holds none of the list's 2 rows"),
        (["-o", "nowhere/out.csv"], "there is no folder"),
        (["-d", "cifar1000"], "no network 'resnet20' for cifar1000"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_computed(
    typed: Typed, words: list[str], message: str, sessions: Path
) -> None:
    Path("list.csv").write_text("\n".join([HEADER, GOOD, '1,conv1,"(0, 0, 0, 0)",16']))
    done = typed("--fault-list", "list.csv", *words)
    assert (done.status, done.out) == (2, "") and message in done.err and "Traceback" not in done.err
    assert not sessions.exists()


def test_what_takes_long_shows_injections_and_the_time_left(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("list.csv").write_text(to_text(some_faults()[:4]))
    assert typed("--fault-list", "list.csv", "--images", "4").status == 0
    monkeypatch.setattr(stored_blocks, "planned", partial(stored_blocks.planned, block=2))
    monkeypatch.setattr("gridrun.commands._bar.PATIENCE_S", 0.0)
    monkeypatch.setattr("gridrun.commands._bar.LINE_EVERY_S", 0.0)
    done = typed("--fault-list", "list.csv", "--images", "12")
    lines = [line for line in done.err.splitlines() if line.startswith("4 faults: ")]
    assert lines[0] == "4 faults: 16 of 48 injections" and "4 faults: 32 of 48 injections, about " in done.err
    assert lines[-1].startswith("4 faults: 48 of 48 injections")


def test_an_interruption_says_what_is_kept(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    Path("list.csv").write_text(to_text(some_faults()[:1]))
    monkeypatch.setattr("gridrun.faults.campaign.Campaign.counts", interrupted)
    done = typed("--fault-list", "list.csv", "--images", "4")
    assert done.status == 130 and "interrupted: 0 of 1 block kept; start again to go on" in done.err


@pytest.mark.long
@pytest.mark.data
def test_a_campaign_is_kept_and_gone_on_with(study: TinyStudy) -> None:
    listed = Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv"
    words = ("faults", "campaign", "-n", "ResNet20", "--images", "64", "--fault-list", str(listed), "-o", "out.csv")
    done = study.run(*words, "--rows", "2:4")
    assert done.status == 0, done.err
    assert "2 faults x 64 images" in done.out
    first, wanted = read(study.folder / "out.csv"), read(listed)
    assert first.faults == wanted.faults[2:4] and first.numbers == [2, 3]
    assert first.counts is not None and first.counts[0].critical > 50  # bit 30 of the first layer
    begin = time.time()
    assert study.run(*words, "--rows", "1:5").status == 0
    again = read(study.folder / "out.csv")
    assert again.counts is not None and again.counts[1:3] == first.counts and again.numbers == [1, 2, 3, 4]
    assert begin < (study.folder / "out.csv").stat().st_mtime


@pytest.mark.parametrize("text", ["7", "a:b", "5:5", "9:"])
def test_rows_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--rows"):
        rows_of(text, 9)


@pytest.mark.parametrize("command", ["campaign", "estimate"])
def test_without_a_gpu_use_cuda_is_one_line(typed: Typed, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    Path("list.csv").write_text(f"{HEADER}\n{GOOD}\n")
    words = ["--fault-list", "list.csv"] if command == "campaign" else []
    monkeypatch.setattr(sys, "argv", ["gridrun", "faults", command, "-n", "ResNet20", *words, "--use-cuda"])
    assert cli.status_of(cli.app, "gridrun", Path.cwd()) == 2


def test_a_point_of_another_device_has_another_key(typed: Typed) -> None:
    import gridrun

    point = campaign.published_network("ResNet20", "cifar10", "data/weights/ResNet20.th", "data")
    grid = [campaign.blocks({**point, "device": device}, some_faults()[:1], 2)[0] for device in ("cpu", "cuda")]
    gridrun.run(grid[:1], campaign.fault_counts)(*campaign.ARGUMENTS)
    assert [s.state for s in gridrun.explain(grid, campaign.fault_counts)(*campaign.ARGUMENTS)] == ["cached", "missing"]
