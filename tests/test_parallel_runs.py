"""Training on two processes is killed: it ends in words, and goes on.

Nothing here asserts a time; what has not happened after LIMIT fails.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from lessons.parallel import process_group

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60
LESSON = "-m lessons.parallel --rows 2000 --batch-size 50 --hidden 16"
LESSON += " --timeout 10"
TORCHRUN = "-m torch.distributed.run"
ALONE = f"{TORCHRUN} --standalone --nproc-per-node 2"


def of_two_machines(k, port, seconds=LIMIT):
    return (
        f"{TORCHRUN} --nnodes 2 --node-rank {k} --nproc-per-node 1 "
        f"--master-addr localhost --master-port {port} "
        f"--rdzv-conf timeout={seconds}"
    )


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


class Run:
    """A launcher and its workers, which write and read one checkpoint.

    Its path, an argument of each of them, tells who is still there.
    """

    def __init__(self, path, epochs, launcher):
        self.path = path
        self.log = path.with_name(f"{time.monotonic_ns()}.log")
        words = f"{launcher} {LESSON} --epochs {epochs} --checkpoint"
        with open(self.log, "w") as file:
            self.launcher = subprocess.Popen(
                [sys.executable, *words.split(), path],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=file,
                stderr=file,
            )

    def living(self):
        command = ["ps", "-Aww", "-o", "pid=,stat=,args="]
        listed = subprocess.check_output(command, text=True)
        return {
            int(line.split()[0])
            for line in listed.splitlines()
            if str(self.path) in line and line.split()[1][0] != "Z"
        }

    def worker(self, rank):
        """The number of its process; torchrun begins with rank 0."""
        return sorted(self.living() - {self.launcher.pid})[rank]

    def told(self):
        return self.log.read_text()

    def until(self, what, happened, running=True):
        end = time.monotonic() + LIMIT
        while not happened():
            over = running and self.launcher.poll() is not None
            if over or time.monotonic() > end:
                why = "it ended" if over else f"{LIMIT} s went by"
                text = f"{why} and not yet: {what}\n{self.told()}"
                pytest.fail(text, pytrace=False)
            time.sleep(0.02)

    def ends(self, because):
        """Wait until no process is left; return what they printed."""
        self.until(
            f"no process is left, because {because}",
            lambda: self.launcher.poll() is not None and not self.living(),
            running=False,
        )
        return self.told()

    def kill(self):
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)
        self.launcher.wait()


@pytest.fixture
def start(tmp_path):
    """Start a run; none outlives the test."""
    runs = []

    def start(name, epochs, launcher):
        runs.append(Run(tmp_path / name, epochs, launcher))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


def epoch(path):
    """The epoch of a checkpoint; np.load refuses one that is not whole."""
    return int(np.load(path)["epoch"]) if path.exists() else 0


# -- Three moments, three ends --------------------------------------------


def a_worker_dies(run):
    os.kill(run.worker(1), signal.SIGKILL)
    told = run.ends("torchrun ends the other worker")
    assert "Signal 9 (SIGKILL) received" in told, told


def rank_0_is_stuck_amid_a_checkpoint(run):
    """What it writes to is a pipe, and holds less than a checkpoint."""
    pipe = run.path.with_name(f"{run.path.name}.unfinished")

    def made():
        with suppress(FileExistsError):  # while one is written
            return os.mkfifo(pipe) is None

    def begun():
        with suppress(BlockingIOError):
            return os.read(reader, 1)

    run.until("a checkpoint is renamed, and its first name free", made)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    run.until(f"save writes to {pipe.name} before it renames it", begun)
    before = epoch(run.path)
    told = run.ends("process_group tells gloo how long to wait")
    os.close(reader)
    pipe.unlink()
    assert "rank 1: another process has gone, or was silent" in told, told
    assert epoch(run.path) == before


def the_launcher_dies(run):
    run.launcher.kill()
    told = run.ends("process_group begins with end_with_launcher")
    assert "torchrun has gone" in told, f"the watch said nothing: {told}"


KILLS = a_worker_dies, rank_0_is_stuck_amid_a_checkpoint, the_launcher_dies


def test_killed_at_three_moments_it_ends_as_if_it_had_not_been(start):
    """And as if on two machines: the whole run has two launchers."""
    for kill in KILLS:
        run = start("kept.npz", 50_000, ALONE)
        before = epoch(run.path)
        run.until(
            f"a run goes on, and keeps more than {before} epochs",
            lambda run=run, before=before: epoch(run.path) > before,
        )
        kill(run)
    epochs, port = epoch(run.path), free_port()
    start("whole.npz", epochs, of_two_machines(1, port))
    whole = start("whole.npz", epochs, of_two_machines(0, port))
    assert f"{epochs} epochs, world size 2" in whole.ends("all is trained")
    one, other = np.load(whole.path), np.load(run.path)
    assert one.files == other.files
    for name in one.files:
        assert one[name].tobytes() == other[name].tobytes(), (
            f"{name} differs from an unbroken run's: a checkpoint has to "
            "keep all that decides how the run goes on"
        )
    left = [path.name for path in run.path.parent.glob("*.unfinished")]
    assert not left, f"half-written files: {left}"


# -- A rank that never comes ----------------------------------------------


def test_a_launcher_that_waits_for_another_says_so(start):
    run = start("a.npz", 1, of_two_machines(0, free_port(), seconds=2))
    told = run.ends("--rdzv-conf has a timeout")
    assert "1/2 clients joined" in told, told


NOBODY = {"RANK": "1", "MASTER_ADDR": "localhost"}
ALONE_HERE = NOBODY | {"RANK": "0"}
NO_CARD = ALONE_HERE | {"WORLD_SIZE": "1", "GLOO_SOCKET_IFNAME": "none"}


@pytest.mark.parametrize("env", [NOBODY, ALONE_HERE, NO_CARD])
def test_a_rank_that_reaches_nobody_says_so(monkeypatch, env):
    """No master at the port, no peer, no such network card."""
    env = {"WORLD_SIZE": "2", "MASTER_PORT": str(free_port()), **env}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    told = rf"rank {env['RANK']}: not all came together within 1 s \(.+\)$"
    with pytest.raises(SystemExit, match=told), process_group(1):
        pass
