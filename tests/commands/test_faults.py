"""gridrun faults: lists drawn and results compared, as a user types it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from resnet_shapes import resnet

from gridrun import cli
from gridrun.commands import faults
from gridrun.commands._lazy import find
from gridrun.faults.fault_list import read, to_text, write
from gridrun.faults.keras_list import keras_shapes, to_tensorflow
from gridrun.faults.sampling import published, sample_size
from gridrun.faults.verdicts import Counts
from gridrun.faults.weight_fault import WeightFault

Typed = Callable[..., "tuple[int, str, str]"]
ONE_LETTER = {"-n", "-d", "-o"}  # the published benchmark's own


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Exit status, output and errors of `gridrun faults WORDS` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["gridrun", "faults", *words])
        capsys.readouterr()
        status = cli.status_of(cli.app, "gridrun", tmp_path)
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", faults.COMMANDS)
def test_every_command_on_faults_has_help_with_an_example(name: str) -> None:
    command = find(name, "faults")
    assert command.help and "Example" in (command.epilog or "")
    options = {o for p in command.params if isinstance(p, click.Option) for o in p.opts}
    assert {option for option in options if len(option.lstrip("-")) == 1} <= ONE_LETTER


def test_the_published_list_of_resnet32_to_the_byte(typed: Typed) -> None:
    status, out, _ = typed("sample", "-n", "resnet32", "-d", "cifar10", "-o", "list.csv")
    assert status == 0 and out.startswith("16,630 faults in list.csv")
    found = hashlib.sha256(Path("list.csv").read_bytes()).hexdigest()
    assert found == "c3f0371d6768af3ebc349ecbffe9666aab2a7594ec594a0f4027c38beaa81ba6"


def test_on_the_terminal_and_for_tensorflow(typed: Typed) -> None:
    shapes = resnet(20)
    faults = published(shapes, 7, 0.05, 1.96)
    words = ["sample", "-n", "ResNet20", "--error=.05", "--confidence=.95", "-seed=7"]
    assert typed(*words)[:2] == (0, to_text(faults))
    assert typed(*words, "--tensorflow")[1] == to_text(to_tensorflow(faults, shapes))


@pytest.mark.parametrize("strategy", ["layer", "bit", "stratified", "exhaustive"])
def test_the_other_strategies_on_chosen_layers(typed: Typed, strategy: str) -> None:
    bits = [] if strategy == "stratified" else ["--bits=29-31"]
    words = ["--layers=conv1,linear", "--kinds=stuck0,stuck1", "--error=.05", *bits]
    status, _, err = typed("sample", "-n", "ResNet20", f"--strategy={strategy}", *words, "-o", "list.csv")
    assert (status, err) == (0, "")
    found = read("list.csv", resnet(20)).faults
    assert {f.layer for f in found} == {"conv1", "linear"} and {f.kind for f in found} == {"stuck0", "stuck1"}
    wanted = {
        "layer": sample_size(432 * 6, 0.05) + sample_size(640 * 6, 0.05),
        "bit": 3 * sample_size(1072 * 2, 0.05),
        "exhaustive": 1072 * 6,
    }
    assert len(found) == wanted.get(strategy, len(found)) > 50


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-n", "ResNet21"], "no network 'ResNet21'"),
        (["-n", "ResNet20", "-d", "imagenet"], "imagenet"),
        (["-n", "ResNet20", "--layers=conv1"], "choose another --strategy"),
        (["-n", "ResNet20", "--strategy=layer", "--layers=conv2"], "no layer 'conv2'; did you mean"),
        (["-n", "ResNet20", "--bits=3"], "no effect"),
        (["-n", "ResNet20", "--strategy=bit", "--bits=30-32"], "want bits of 0..31"),
        (["-n", "ResNet20", "--kinds=stuck0,stuck1"], "one kind"),
        (["-n", "ResNet20", "--kinds=flop"], "did you mean 'flip'?"),
        (["-n", "ResNet20", "--strategy=exhaustive"], "8,586,752 faults"),
        (["-n", "ResNet20", "--error=.99"], "--error=0.99 asks for fewer than one fault"),
        (["-n", "ResNet20", "--strategy=layer", "--layers=nope"], "no layer 'nope'; there are conv1, layer1.0.conv1,"),
        (["-n", "ResNet20", "--error=2"], "want N >= 1"),
        (["-n", "ResNet20", "--confidence=99"], "between 0 and 1"),
        (["-n", "ResNet20", "-o", "nowhere/list.csv"], "there is no folder"),
        (["-n", "MobileNetV2", "--tensorflow"], "grouped convolution"),
    ],
)
def test_a_typing_error_is_one_line_and_exits_2(typed: Typed, words: list[str], message: str) -> None:
    status, out, err = typed("sample", *words)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1


def test_one_layer_is_no_layers(typed: Typed) -> None:
    words = ["--strategy=exhaustive", "--layers=linear", "--bits=30"]
    _, out, _ = typed("sample", "-n", "ResNet20", *words, "-o", "list.csv")
    assert out == "640 faults in list.csv (640 weights in 1 layer of ResNet20)\n"


def test_an_unknown_command_names_the_near_one(typed: Typed) -> None:
    status, _, err = typed("smaple")
    assert status == 2 and "did you mean 'sample'?" in err


@pytest.mark.parametrize("words", [["--strategy=nearly"], []])
def test_what_click_refuses_exits_2(typed: Typed, words: list[str]) -> None:
    assert typed("sample", *words)[0] == 2


FAULTS = [WeightFault("conv1", (0, 0, 0, i), 28 + i) for i in range(3)]
COUNTS = [Counts(100, 50, 50 - n, n) for n in (0, 2, 40)]


def written(name: str, critical: list[int]) -> str:
    write(name, FAULTS, [Counts(100, 50, 50 - n, n) for n in critical])
    return name


@pytest.mark.parametrize(
    ("critical", "within", "status", "answer"),
    [
        ([0, 2, 40], 0, 0, "they agree: within 0 critical images on every fault"),
        ([0, 4, 41], 2, 0, "they agree: within 2"),
        ([0, 4, 41], 1, 1, "they do not agree: 1 fault beyond 1 critical image"),
        ([9, 9, 9], 2, 1, "they do not agree: 3 faults beyond 2"),
    ],
)
def test_the_verdict_is_the_exit_status(
    typed: Typed, critical: list[int], within: int, status: int, answer: str
) -> None:
    mine, theirs = written("out.csv", critical), written("published.csv", [0, 2, 40])
    found, out, _ = typed("compare", mine, theirs, f"--within={within}")
    assert found == status
    assert out.splitlines()[-1].startswith(answer)
    assert "3 faults in both" in out and f"bit 30: 1 fault, apart by {abs(critical[2] - 40)} at most" in out


def test_rows_show_the_largest_differences_first_and_json_all_of_them(typed: Typed) -> None:
    mine, theirs = written("out.csv", [1, 2, 45]), written("published.csv", [0, 2, 40])
    _, out, _ = typed("compare", mine, theirs)
    lines = out.splitlines()
    assert "(0, 0, 0, 2)" in lines[1] and "(0, 0, 0, 0)" in lines[2] and "(0, 0, 0, 1)" not in out
    _, out, err = typed("compare", mine, theirs, "--format=json")
    assert [row["d_critical"] for row in json.loads(out)] == [1, 0, 5]
    assert "they do not agree" in err
    _, out, _ = typed("compare", mine, theirs, "--rows=1")
    assert "and 1 more" in out


def test_lists_that_cannot_be_compared(typed: Typed) -> None:
    mine = written("out.csv", [0, 2, 40])
    write("faults.csv", FAULTS)
    assert "has no results" in typed("compare", mine, "faults.csv")[2]
    Path("bad.csv").write_text(Path(mine).read_text() + "3,conv1,(1),5\n")
    status, _, err = typed("compare", "bad.csv", mine)
    assert status == 2 and "bad.csv has 1 bad row:\n  line 5: " in err
    Path("odd.csv").write_text(Path(mine).read_text().replace(",50,10,40", ",50,10,39"))
    status, out, err = typed("compare", mine, "odd.csv")
    assert status == 0 and "note: odd.csv: n_injections is not" in err
    assert typed("compare", mine, "absent.csv")[0] == 2
    write("none.csv", FAULTS, [Counts(0, 0, 0, 0)] * 3)
    write("more.csv", FAULTS, [Counts(5, 0, 0, 5), Counts(5, 0, 0, 6), Counts(5, 5, 0, 0)])
    for command in (["compare", "none.csv"], ["summary"]):
        status, out, err = typed(*command, "none.csv")
        assert (status, out) == (2, "") and "none.csv has 3 rows without a rate: line 2 has 0 critical of 0 im" in err
    status, out, err = typed("summary", "more.csv")
    assert (status, out) == (2, "") and "more.csv has 1 row without a rate: line 3 has 6 critical of 5 images" in err


@pytest.mark.data
def test_the_published_results_agree_with_themselves(typed: Typed) -> None:
    path = Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_FL.csv"
    shutil.copy(path, "mine.csv")
    status, out, _ = typed("compare", "mine.csv", str(path), "--within=0")
    assert status == 0 and "16627 faults in both" in out


@pytest.mark.data
def test_the_tensorflow_list_can_be_read_with_keras_shapes() -> None:
    path = Path(os.environ["GRIDRUN_DATA"]) / "fault_lists" / "ResNet20_TF_FL.csv"
    assert len(read(path, keras_shapes(resnet(20))).faults) == 16_627
