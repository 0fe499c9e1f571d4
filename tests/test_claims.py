"""Claims: a point is computed by one process; a dead owner's claim goes to one other."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import programs
import pytest

from gridrun import claims
from gridrun.claims import Claim, Claims
from gridrun.machine import Owner, is_alive, machine_id, process_start, this_owner

KEYS = [bytes([n]) * 16 for n in range(10)]


def foreign(claims_of: Claims, keys: list[bytes], owner: Owner) -> Claim:
    """A claim as another process would have written it."""
    with claims_of._locked() as file:
        claim = Claim(f"claim of {owner.id}", owner, frozenset(keys), 12.0, "t")
        text = b"".join(keys).hex()
        entry = {"claim": claim.id, "owner": owner.as_dict(), "keys": text, "since": claim.since, "what": "t"}
        claims_of._write(file, entry)
    return claim


def elsewhere(name: str = "b") -> Owner:
    """A process of another machine."""
    return Owner(name, "otherhost", "otherhost/boot", 1, "77")


def gone() -> Owner:
    """A process of this machine that has ended."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    start = process_start(child) or "1"
    os.waitpid(child, 0)
    return Owner("dead", "here", machine_id(), child, start)


def test_free_points_are_granted_and_taken_ones_name_their_owner(tmp_path: Path) -> None:
    one, other = Claims(tmp_path), Claims(tmp_path)
    first = one.acquire(KEYS[:3], "train")
    assert first.claim and first.claim.keys == frozenset(KEYS[:3]) and first.taken == {}
    second = other.acquire(KEYS[2:5])
    assert second.claim and second.claim.keys == frozenset(KEYS[3:5])
    assert {key: claim.id for key, claim in second.taken.items()} == {KEYS[2]: first.claim.id}
    assert str(second.taken[KEYS[2]].owner) == f"process {os.getpid()} on {os.uname().nodename}"
    assert other.acquire(KEYS[:3]).claim is None


def test_a_released_claim_is_free_and_tells_where_its_results_went(tmp_path: Path) -> None:
    one, other = Claims(tmp_path), Claims(tmp_path)
    claim = one.acquire(KEYS[:2]).claim
    assert claim and set(other.waiting_for(KEYS)[0]) == set(KEYS[:2])
    one.release(claim, ["b.seg", "a.seg"])
    assert other.waiting_for(KEYS) == ({}, ["a.seg", "b.seg"])
    assert other.acquire(KEYS[:2]).claim
    assert one.waiting_for(KEYS)[0].keys() == set(KEYS[:2])


def test_releasing_twice_or_after_a_take_over_harms_nobody(tmp_path: Path) -> None:
    store = Claims(tmp_path)
    dead = foreign(store, KEYS[:1], gone())
    new = store.acquire(KEYS[:1]).claim
    store.release(dead)
    assert new and [c.id for c in store.snapshot()] == [new.id]
    store.release(new)
    store.release(new)
    assert store.snapshot() == []


def test_a_dead_process_of_this_machine_is_taken_over_at_once(tmp_path: Path) -> None:
    store = Claims(tmp_path)
    foreign(store, KEYS[:4], gone())
    assert store.waiting_for(KEYS)[0] == {} and store.snapshot() == []
    granted = store.acquire(KEYS[:2])
    assert granted.claim and granted.taken == {}


def test_a_process_id_used_again_is_not_the_old_owner() -> None:
    me = this_owner()
    assert is_alive(me) is True
    assert is_alive(me._replace(start="1")) is False
    assert is_alive(me._replace(machine="another/boot")) is None


def test_of_many_that_want_a_dead_owners_points_each_point_goes_to_one(tmp_path: Path) -> None:
    foreign(Claims(tmp_path), KEYS, gone())
    won: list[bytes] = []

    def take(mine: Claims) -> None:
        for key in KEYS:
            granted = mine.acquire([key])
            won.extend(granted.claim.keys if granted.claim else ())

    threads = [threading.Thread(target=take, args=(Claims(tmp_path),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == KEYS


def test_processes_that_race_for_points_never_share_one(tmp_path: Path) -> None:
    racer = programs.write(
        tmp_path / "racer.py",
        """
        import sys
        from pathlib import Path
        from gridrun.claims import Claims
        claims, taken = Claims(Path(sys.argv[1])), []
        for n in range(150):
            granted = claims.acquire([bytes([n]) * 16])
            taken += [n] if granted.claim else []
        print(*taken)
        sys.stdin.readline()  # alive until all have raced
        """,
    )
    running = [
        programs.subprocess.Popen(
            [programs.sys.executable, str(racer), str(tmp_path / "claims")],
            env=programs.environment(),
            stdin=programs.subprocess.PIPE,
            stdout=programs.subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    taken = [int(word) for program in running for word in program.stdout.readline().split()]  # type: ignore[union-attr]
    for program in running:
        program.communicate("\n", timeout=60)
    assert sorted(taken) == list(range(150))


# --------------------------------------------------------------------------------------------- owners on other machines
@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waiting process's own clock, in seconds, to be set by hand."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_an_owner_elsewhere_is_dead_once_its_heartbeat_was_not_seen_to_change(
    tmp_path: Path, clock: list[float]
) -> None:
    store = Claims(tmp_path)
    foreign(store, KEYS[:1], elsewhere())
    beat = tmp_path / "b.beat"
    for second in range(0, 300, 20):  # it beats
        clock[0] = 1000.0 + second
        beat.touch()
        os.utime(beat, (second, second))
        assert store.acquire(KEYS[:1]).claim is None
    clock[0] += claims.DEAD_AFTER_S - 1
    assert store.acquire(KEYS[:1]).claim is None
    clock[0] += 2
    assert store.acquire(KEYS[:1]).claim is not None


@pytest.mark.parametrize("skew_s", [-1e6, 0, 1e6])
def test_clocks_that_differ_neither_kill_nor_keep_an_owner(tmp_path: Path, clock: list[float], skew_s: float) -> None:
    store = Claims(tmp_path)
    foreign(store, KEYS[:1], elsewhere())
    beat = tmp_path / "b.beat"
    beat.touch()
    os.utime(beat, (time.time() + skew_s,) * 2)
    assert store.acquire(KEYS[:1]).claim is None  # however old the beat looks
    clock[0] += claims.DEAD_AFTER_S + 1
    assert store.acquire(KEYS[:1]).claim is not None  # however new


def test_an_owner_that_never_beat_is_given_as_long(tmp_path: Path, clock: list[float]) -> None:
    store = Claims(tmp_path)
    foreign(store, KEYS[:1], elsewhere())
    assert store.acquire(KEYS[:1]).claim is None
    clock[0] += claims.DEAD_AFTER_S + 1
    assert store.acquire(KEYS[:1]).claim is not None


def test_a_process_that_holds_claims_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT_S", 0.02)
    assert Claims(tmp_path).acquire(KEYS[:1]).claim
    beat = tmp_path / f"{this_owner().id}.beat"
    seen = set()
    for _ in range(500):
        time.sleep(0.02)
        seen |= {beat.stat().st_mtime_ns} if beat.exists() else set()
        if len(seen) > 2:
            break
    monkeypatch.setattr(claims, "HEARTBEAT_S", 3600.0)
    assert len(seen) > 2


def test_the_scheduler_job_is_part_of_the_owner(tmp_path: Path) -> None:
    script = programs.write(tmp_path / "p.py", "from gridrun.machine import this_owner\nprint(this_owner())\n")
    assert programs.python(script, SLURM_JOB_ID="4711").strip().endswith(", job 4711")
    assert programs.python(script, LSB_JOBID="12").strip().endswith(", job 12")


# ---------------------------------------------------------------------------------------------------- a damaged journal
def test_a_torn_last_line_is_as_if_never_written(tmp_path: Path) -> None:
    one = Claims(tmp_path)
    one.acquire(KEYS[:1])
    whole = (tmp_path / "journal").read_bytes()
    one.acquire(KEYS[1:2])
    longer = (tmp_path / "journal").read_bytes()
    for length in range(len(whole), len(longer)):
        (tmp_path / "journal").write_bytes(longer[:length])
        other = Claims(tmp_path)
        assert set(other.waiting_for(KEYS)[0]) == set(KEYS[:1])
        assert other.acquire(KEYS[1:2]).claim
        assert set(Claims(tmp_path).waiting_for(KEYS)[0]) == set(KEYS[:2])


def test_no_flipped_bit_stops_the_work_or_invents_a_claim(tmp_path: Path) -> None:
    one = Claims(tmp_path)
    one.acquire(KEYS[:2], "train")
    raw = (tmp_path / "journal").read_bytes()
    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 4
        (tmp_path / "journal").write_bytes(flipped)
        other = Claims(tmp_path)
        assert set(other.waiting_for(KEYS)[0]) <= set(KEYS[:2])
        assert other.acquire(KEYS[:3]).claim


def test_a_long_journal_begins_anew_when_nobody_holds_a_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RESTART_BYTES", 5000)
    one, other = Claims(tmp_path), Claims(tmp_path)
    sizes = []
    for n in range(60):
        claim = one.acquire([KEYS[n % 10]]).claim
        assert claim
        one.release(claim, [f"{n}.seg"])
        sizes.append((tmp_path / "journal").stat().st_size)
    assert max(sizes) < 6000 and min(sizes[10:]) < 1000
    assert other.acquire(KEYS).claim and one.acquire(KEYS).claim is None


def test_looking_needs_no_right_to_write(tmp_path: Path) -> None:
    assert Claims(tmp_path / "nothing").snapshot() == []
    assert not (tmp_path / "nothing").exists()
    one = Claims(tmp_path / "claims")
    one.acquire(KEYS[:2], "train")
    before = (tmp_path / "claims" / "journal").stat()
    (seen,) = Claims(tmp_path / "claims").snapshot()
    assert (seen.what, seen.keys, seen.owner.pid) == ("train", frozenset(KEYS[:2]), os.getpid())
    assert (tmp_path / "claims" / "journal").stat().st_mtime_ns == before.st_mtime_ns
