"""gridrun figures: draws what is stored, and fails by name."""

from tiny_study import PAGE, TinyStudy


def test_figures_are_drawn_from_what_is_stored(study: TinyStudy) -> None:
    study.run("train.py")
    done = study.run("make_figures.py")
    assert (done.status, done.err) == (0, "")
    assert "waves: drew figures/waves.txt" in done.out and "rocks: drew figures/rocks.txt" in done.out
    assert (study.folder / "figures" / "waves.txt").read_text() == "[0.9, 0.8, 0.8, 0.6]"
    assert len(study.calls()) == 8  # all by train.py


def test_a_figure_sees_the_settings_of_the_command_line(study: TinyStudy) -> None:
    study.run("train.py", "-exp=waves", "-seed=3")
    assert study.run("make_figures.py", "-exp=waves", "-seed=3").status == 0
    assert (study.folder / "figures" / "waves.txt").read_text() == "[0.6, 0.19999999999999996]"


def test_what_is_missing_is_said_and_not_computed(study: TinyStudy) -> None:
    done = study.run("make_figures.py", "-exp=waves", "-seed=3")
    assert done.status == 1
    assert "waves: NotComputed: 2 of 2 points" in done.err
    assert "python train.py -exp=waves -seed=3  computes them" in done.err
    assert study.calls() == []


def test_a_broken_experiment_does_not_stop_the_others_and_is_named(study: TinyStudy) -> None:
    study.run("train.py")
    study.write("rocks", PAGE.replace("run_mode=", "run_mod="))
    study.write("sands", "def train_grid(: return []\n")
    done = study.run("make_figures.py")
    assert done.status == 1
    assert (study.folder / "figures" / "waves.txt").exists()
    assert "2 of 3 experiments failed:" in done.err and "Traceback" in done.err
    assert "  rocks: " in done.err and "  sands: SyntaxError: " in done.err
    assert "  waves: " not in done.err


def test_some_points_by_where_and_the_line_that_computes_them(study: TinyStudy) -> None:
    done = study.run("make_figures.py", "-exp=waves", "--where", "seed=1")
    assert done.status == 1
    assert "python train.py -exp=waves --where seed=1  computes them" in done.err
    study.run("train.py", "-exp=waves", "--where", "seed=1")
    assert study.run("make_figures.py", "-exp=waves", "--where", "seed=1").status == 0
    assert (study.folder / "figures" / "waves.txt").read_text() == "[0.8, 0.6]"
    done = study.run("make_figures.py", "-exp=waves", "--where", "seed>9")
    assert (done.status, done.err.splitlines()[-1]) == (
        1,
        "  waves: UsageError: no point of waves is left: seed is 0, 1",
    )
