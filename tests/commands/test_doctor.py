"""gridrun doctor: what is damaged, by name."""

from fakes.cluster import Cluster
from tiny_study import PAGE, TinyStudy


def test_a_sound_study_is_in_order(study: TinyStudy) -> None:
    study.run("train", "-exp=waves")
    done = study.run("doctor")
    assert (done.status, done.out.splitlines()[-1]) == (0, "everything is in order")
    assert "4 results" in done.out


def test_a_flipped_bit_is_found_and_its_file_named_and_the_points_computed_again(study: TinyStudy) -> None:
    study.run("train", "-exp=waves")
    (segment,) = study.folder.glob("sessions/segments/*.seg")
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.write_bytes(raw)
    done = study.run("doctor")
    assert done.status == 1
    assert segment.name in done.out and "problem" in done.out
    assert study.run("train", "-exp=waves").status == 0
    assert study.run("make_figures.py", "-exp=waves").status == 0
    assert (study.folder / "figures" / "waves.txt").read_text() == "[0.9, 0.8, 0.8, 0.6]"


def test_a_broken_page_and_a_broken_profile_are_named(study: TinyStudy) -> None:
    study.write("rocks", "import nothing_of_this_name\n")
    (study.folder / "launch").mkdir()
    (study.folder / "launch" / "slurm.toml").write_text("executor = \n")
    done = study.run("doctor")
    assert done.status == 1
    assert "rocks: ModuleNotFoundError" in done.out and "slurm.toml is no TOML: " in done.out
    assert "2 problems found" in done.out


def test_settings_that_there_are_not_are_named_before_anything_is_submitted(study: TinyStudy) -> None:
    study.write("rocks", "launch_settings = {'memgb': 3}\n" + PAGE)
    (study.folder / "launch").mkdir()
    (study.folder / "launch" / "lsf.toml").write_text("[settings]\ntimeout = 3\n")
    done = study.run("doctor")
    assert done.status == 1 and "2 problems found" in done.out
    assert "launch_settings of experiments/rocks.py: no key 'memgb'; did you mean 'mem_gb'?" in done.out
    assert "launch/lsf.toml [settings]: no key 'timeout'; did you mean 'timeout_min'?" in done.out


def test_submissions_that_wait_and_that_cannot_be_read_are_named(away: TinyStudy, lsf: Cluster) -> None:
    lsf.switch(hold=1)
    away.run("train", "-exp=rocks", "-mode=lsf")
    token = away.submission().name
    assert f"{token}: 4 points by lsf, not finished" in away.run("doctor").out
    (away.submission() / "points.idx").write_bytes(b"torn")
    done = away.run("doctor")
    assert done.status == 1 and f"{token}/points.idx" in done.out
