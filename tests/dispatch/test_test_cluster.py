"""launch/test_cluster: its scripts say what is wrong before they start anything, and start again what is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import SCRIPTS, free_ports, raised

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the cluster does")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name, as a cluster wants."""
    with tempfile.TemporaryDirectory(prefix="gridrun-slurm-", dir="/tmp") as folder:
        yield Path(folder)


def up(folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    names = {f"GRIDRUN_SLURM_{name.upper()}": str(value) for name, value in settings.items()}
    own = {"GRIDRUN_SLURM_DIR": str(folder), "GRIDRUN_SLURM_INSTALL": "0", **names}
    return subprocess.run(
        [SCRIPTS / "up.sh"], env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=60
    )


def pids(folder: Path) -> dict[str, int]:
    return {path.stem: int(path.read_text()) for path in (folder / "run").glob("*.pid")}


@pytest.mark.parametrize(
    "folder, settings, said",
    [
        ("two words", {}, "two words: a path from /"),
        ("x" * 90, {}, "too long for the database's socket"),
        ("a", {"nodes": "many"}, "GRIDRUN_SLURM_NODES=many: a number from 1"),
        ("a", {"port": 0}, "GRIDRUN_SLURM_PORT=0: a number from 1"),
    ],
)
def test_settings_that_cannot_be_are_named(place, folder, settings, said):
    done = up(place / folder, **settings)
    assert done.returncode == 1 and said in done.stderr and not done.stdout
    assert not any(place.iterdir())


def test_missing_packages_are_named(tmp_path, place, monkeypatch):
    (tmp_path / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = up(place / "a", accounting=0)
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends slurmctld slurmd slurm-client" in done.stderr
    assert "mariadb" not in done.stderr  # only accounting needs it


@pytest.mark.slurm
def test_a_port_in_use_is_named(place):
    with socket.socket() as taken:
        port = free_ports(20)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = up(place, port=port, accounting=0, nodes=1)
        assert done.returncode == 1
        assert f"port {port} (slurmctld) is in use by another program" in done.stderr


@pytest.mark.slurm
def test_up_again_starts_only_what_is_gone():
    with raised(nodes=2) as cluster:
        before = pids(cluster.folder)
        assert set(before) == {"slurmctld", "slurmdbd", "mariadbd", "n1", "n2"}
        cluster.script("up.sh")
        assert pids(cluster.folder) == before
        for pid in before.values():  # as a restart of the machine leaves it: pid files of nobody, and of somebody else
            os.kill(pid, signal.SIGKILL)
        (cluster.folder / "run" / "n1.pid").write_text("1\n")
        cluster.script("up.sh")
        after = pids(cluster.folder)
        assert set(after) == set(before) and not set(after.values()) & {*before.values(), 1}
