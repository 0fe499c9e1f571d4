"""A small scheduler that really runs jobs: what the fakes of Slurm's and LSF's commands have in common.

`python engine.py FOLDER` serves the commands through a socket in FOLDER until the process that started it is gone, and
then ends whatever it still runs. All time limits, queues and deaths happen here; the commands only translate. Switches
are files in FOLDER/switches (or variables FAKE_...) and may be turned while jobs run.

It imports little, so that a command answers in hundredths of a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK_S = 0.02
MEMORY_S = 0.1
DEFAULTS = {
    "slots": 4,  # tasks that run side by side
    "minute_s": 60.0,  # how long a minute of a time limit takes
    "terminate_s": 0.5,  # between the signals that end a task
    "requeue_s": 0.1,  # before a task that was requeued may start
    "start_s": 0.0,  # before a submitted task may start
    "forget_s": 3600.0,  # after which ended tasks are not listed any more
    "max_array": 1000,
    "hold": "",  # start nothing
    "down": "",  # "wait": commands hang with a word; "fail": they fail with one
    "down_commands": "",  # only these, separated by commas
    "slow_s": 0.0,  # before commands answer...
    "slow_commands": "",  # ...only these
    "missing": "",  # commands that are not there
    "banner": "",  # lines around what a submission prints
    "kill_submitter": "",  # "before" or "after" the submission is accepted
    "submissions_until_kill": 0,  # how many submissions go well before that
}


def folder() -> str:
    return os.environ["FAKE_CLUSTER"]


def switch(name: str) -> object:
    """What a switch is set to: FAKE_NAME, else the file of its name, else its default; of the default's kind."""
    default = DEFAULTS[name]
    text = os.environ.get(f"FAKE_{name.upper()}")
    if text is None:
        try:
            with open(os.path.join(folder(), "switches", name), encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return default
    return type(default)(text)


def talk(**request: object) -> dict:
    """Ask the running scheduler. Raises OSError if there is none."""
    here = os.getcwd()
    line = socket.socket(socket.AF_UNIX)
    os.chdir(folder())  # the path of a socket is short
    try:
        line.connect("socket")
    finally:
        os.chdir(here)
    with line, line.makefile("rwb") as stream:
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        return json.loads(stream.readline())


def submit(**asked: object) -> int:
    """Submit a job and give its number; or, if a switch says so, kill who called the command, before or after."""
    kill = switch("kill_submitter")
    if kill and talk(do="count")["n"] != int(switch("submissions_until_kill")) + 1:
        kill = ""
    if kill == "before":
        os.kill(os.getppid(), signal.SIGKILL)
        sys.exit(1)
    number = talk(do="submit", **asked)["id"]
    if kill == "after":
        os.kill(os.getppid(), signal.SIGKILL)
    return number


def at_the_door(command: str, down: str) -> None:
    """What a switch makes of a command before it does anything: missing, slow, hanging or failing with `down`."""
    with open(os.path.join(folder(), "commands.log"), "a", encoding="utf-8", errors="surrogateescape") as log:
        log.write(f"{command} {' '.join(sys.argv[2:])}\n")
    if command in str(switch("missing")).split(","):
        print(f"sh: {command}: command not found", file=sys.stderr)
        sys.exit(127)
    if command in (str(switch("slow_commands")) or command).split(","):
        time.sleep(float(switch("slow_s")))
    how = switch("down")
    if how and command in (str(switch("down_commands")) or command).split(","):
        print(down, file=sys.stderr, flush=True)
        if how == "wait":
            time.sleep(3600)
        sys.exit(255 if command.startswith("b") else 1)


class Task:
    """One task of a job. phase: pending, running, suspended, ended; word: shown in place of what is true, if set."""

    def __init__(self, job: Job, index: int) -> None:
        self.job = job
        self.index = index
        self.phase = "pending"
        self.held = False
        self.cause = ""
        self.word = ""
        self.pid = 0
        self.raw = 0  # Slurm's own number of a task of an array
        self.code = 0
        self.signal = 0
        self.started = 0.0
        self.ended = 0.0
        self.not_before = time.time() + float(switch("start_s"))
        self.starts = 0
        self.plan: list[tuple[float, str, str, str]] = []  # (when, signal, to whom, why)
        self.why = ""
        self.requeue = False
        self.steps: set[int] = set()
        self.frozen_at = 0.0

    def shown(self) -> dict:
        keys = ("index", "phase", "held", "cause", "word", "pid", "raw", "code", "signal", "started", "ended", "starts")
        return {key: getattr(self, key) for key in keys}


class Job:
    """An array, or a job that is none (indices [0])."""

    def __init__(self, number: int, asked: dict) -> None:
        self.number = number
        self.asked = asked
        self.submitted = time.time()
        self.tasks = {index: Task(self, index) for index in asked["indices"]}

    def shown(self) -> dict:
        about = {
            key: self.asked.get(key) for key in ("name", "is_array", "parallel", "queue", "user", "minutes", "mem_kb")
        }
        tasks = [task.shown() for task in self.tasks.values()]
        return {"id": self.number, "submitted": self.submitted, **about, "tasks": tasks}


class Scheduler:
    """The one process that owns the jobs."""

    def __init__(self, first: int = 101) -> None:
        self.next = first
        self.jobs: dict[int, Job] = {}
        self.active: list[Task] = []  # that have a process
        self.waiting: list[Task] = []
        self.children: dict[int, Task] = {}
        self.next_memory = 0.0
        self.begun = 0

    # requests

    def answer(self, request: dict) -> dict:
        return getattr(self, f"do_{request.pop('do')}")(**request)

    def do_submit(self, **asked: object) -> dict:
        number, self.next = self.next, self.next + 1
        spool = os.path.join(folder(), "spool", f"{number}.sh")
        with open(spool, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(str(asked.pop("script")))
        os.chmod(spool, 0o700)
        job = self.jobs[number] = Job(number, {**asked, "spool": spool})
        self.waiting += job.tasks.values()
        return {"id": number}

    def do_list(self) -> dict:
        return {"jobs": [job.shown() for job in self.jobs.values()], "now": time.time()}

    def do_end(self, tasks: list, signals: list, cause: str) -> dict:
        """Send signals, [(after seconds, name)], to tasks [(job, index)]; pending ones end at once."""
        for task in self._those(tasks):
            if task.phase == "pending":
                self._over(task, cause)
            elif task.phase in ("running", "suspended"):
                self.do_suspend([[task.job.number, task.index]], False)
                task.requeue = False
                now = time.time()
                task.plan = [(now + after, name, "group", cause) for after, name in signals]
        return {}

    def do_requeue(self, tasks: list, signals: list) -> dict:
        done = 0
        for task in self._those(tasks):
            if task.phase in ("running", "suspended"):
                self.do_suspend([[task.job.number, task.index]], False)
                now = time.time()
                task.requeue = True
                task.plan = [(now + after, name, "group", "requeue") for after, name in signals]
                done += 1
            elif task.phase == "ended":
                self._again(task)
                done += 1
        return {"done": done}

    def do_suspend(self, tasks: list, to: bool) -> dict:
        done = 0
        for task in self._those(tasks):
            if task.phase == "pending":
                task.held, done = to, done + 1
            elif task.pid and task.phase == ("running" if to else "suspended"):
                self._signal(task, "STOP" if to else "CONT", "group")
                now = time.time()
                if to:
                    task.frozen_at = now
                else:
                    task.plan = [(when + now - task.frozen_at, *rest) for when, *rest in task.plan]
                task.phase, done = "suspended" if to else "running", done + 1
        return {"done": done}

    def do_signal(self, tasks: list, name: str, to: str = "group") -> dict:
        """Just a signal; who ends of it has failed."""
        for task in self._those(tasks):
            if task.phase == "running":
                self._signal(task, name, to)
        return {}

    def do_pretend(self, tasks: list, word: str) -> dict:
        """Show this word as the tasks' state, whatever is true; "hidden" lists them no more, "" is the truth again."""
        for task in self._those(tasks):
            task.word = word
        return {}

    def do_count(self) -> dict:
        """How many submissions were begun."""
        self.begun += 1
        return {"n": self.begun}

    def do_step(self, job: int, index: int, pid: int) -> dict:
        self.jobs[job].tasks[index].steps.add(pid)
        return {}

    def _those(self, tasks: list) -> list[Task]:
        return [self.jobs[job].tasks[index] for job, index in tasks]

    # time passes

    def tick(self) -> None:
        now = time.time()
        self._reap()
        for task in list(self.active):
            while task.plan and task.plan[0][0] <= now and task.phase == "running":
                _, name, to, why = task.plan.pop(0)
                task.why = why or task.why
                self._signal(task, name, to)
        if now >= self.next_memory:
            self._mind_memory()
            self.next_memory = now + MEMORY_S
        if self.waiting and not switch("hold"):
            self._start(now)

    def _start(self, now: float) -> None:
        free = int(switch("slots")) - len(self.active)
        busy: dict[int, int] = {}
        for task in self.active:
            busy[task.job.number] = busy.get(task.job.number, 0) + 1
        for task in list(self.waiting):
            if free <= 0:
                return
            job, parallel = task.job, task.job.asked.get("parallel") or 10**9
            if task.held or task.not_before > now or busy.get(job.number, 0) >= parallel:
                continue
            self.waiting.remove(task)
            free -= 1
            busy[job.number] = busy.get(job.number, 0) + 1
            self._begin(task, now)

    def _begin(self, task: Task, now: float) -> None:
        asked = task.job.asked
        if not task.raw:
            last = task.index == max(task.job.tasks)
            task.raw = task.job.number if last or not asked["own_numbers"] else self.next
            self.next += task.raw == self.next
        task.starts += 1
        task.started, task.why, task.steps, task.cause = now, "", set(), ""
        environment = {**asked["env"], **{key: self._fill(task, text) for key, text in asked["task_env"].items()}}
        minute = float(switch("minute_s"))
        task.plan = [(now + seconds * minute / 60, name, to, why) for seconds, name, to, why in asked["limits"]]
        try:
            out, err = self._outputs(task)
        except OSError:  # a log that cannot be opened ends the task
            task.code = 1
            self._over(task, "failed")
            return
        pid = os.fork()
        if pid == 0:
            self._become(asked["spool"], asked["cwd"], environment, out, err)
        for file in {out, err}:
            os.close(file)
        task.pid, task.phase = pid, "running"
        self.active.append(task)
        self.children[pid] = task

    def _fill(self, task: Task, text: str) -> str:
        values = {"{id}": task.job.number, "{index}": task.index, "{raw}": task.raw, "{starts}": task.starts - 1}
        for mark, value in values.items():
            text = text.replace(mark, str(value))
        return text

    def _outputs(self, task: Task) -> tuple[int, int]:
        """Open files for what the task prints; those that are copied at the end, later."""
        asked = task.job.asked
        if asked["copy_at_end"]:
            path = os.path.join(folder(), "spool", f"{task.job.number}.{task.index}.out")
            file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            return file, file
        mode = os.O_CREAT | os.O_WRONLY | (os.O_APPEND if asked["append"] else os.O_TRUNC)
        out = os.open(self._fill(task, asked["out"]), mode, 0o644)
        err = os.open(self._fill(task, asked["err"]), mode, 0o644) if asked["err"] else out
        return out, err

    @staticmethod
    def _become(spool: str, cwd: str, environment: dict, out: int, err: int) -> None:
        try:
            os.setsid()
            os.chdir(cwd)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.closerange(3, 64)
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(name, signal.SIG_DFL)
            with open(spool, "rb") as file:
                words = [spool] if file.read(2) == b"#!" else ["/bin/sh", spool]
            os.execve(words[0], words, environment)
        except BaseException as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(127)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            task = self.children.pop(pid, None)
            if task is None:
                continue
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)  # what it left behind
            task.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            task.code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
            self.active.remove(task)
            if task.requeue:
                self._copy_output(task)
                self._again(task)
                continue
            bad = bool(task.code or task.signal)
            self._over(task, (task.why or "failed") if bad or task.why == "cancelled" else "completed")

    def _again(self, task: Task) -> None:
        task.phase, task.requeue, task.cause, task.pid, task.plan = "pending", False, "", 0, []
        task.not_before = time.time() + float(switch("requeue_s"))
        self.waiting.append(task)

    def _over(self, task: Task, cause: str) -> None:
        task.phase, task.cause, task.ended, task.plan = "ended", cause, time.time(), []
        if task in self.waiting:
            self.waiting.remove(task)
        if task.pid:
            self._copy_output(task)

    def _copy_output(self, task: Task) -> None:
        asked = task.job.asked
        if not asked["copy_at_end"]:
            return
        spooled = os.path.join(folder(), "spool", f"{task.job.number}.{task.index}.out")
        target = self._fill(task, asked["out"])
        with contextlib.suppress(OSError), open(spooled, "rb") as source, open(target, "ab") as file:
            file.write(source.read() + f"\nSubject: Job {task.job.number}[{task.index}]: {task.cause}\n".encode())

    def _signal(self, task: Task, name: str, to: str) -> None:
        number = getattr(signal, f"SIG{name}")
        with contextlib.suppress(OSError):
            if to == "group":
                os.killpg(task.pid, number)
            else:
                for pid in [task.pid] if to == "batch" else list(task.steps):
                    os.kill(pid, number)

    def _mind_memory(self) -> None:
        limits = {task.pid: task for task in self.active if task.job.asked.get("mem_kb")}
        if not limits:
            return
        used: dict[int, int] = {}
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    values = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            session = int(values[3])
            if session in limits:
                used[session] = used.get(session, 0) + int(values[21]) * PAGE // 1024
        for session, kb in used.items():
            if kb > limits[session].job.asked["mem_kb"]:
                limits[session].why = "memory"
                self._signal(limits[session], "KILL", "group")

    def end_all(self) -> None:
        self.waiting.clear()
        for task in self.active:
            self._signal(task, "KILL", "group")


def serve() -> None:
    """Run until the parent is gone or asks to end."""
    parent = os.getppid()
    os.chdir(folder())
    for name in ("spool", "switches"):
        os.makedirs(name, exist_ok=True)
    door = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("socket")
    door.bind("socket")
    door.listen(128)
    door.settimeout(TICK_S)
    scheduler = Scheduler()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while os.getppid() == parent:
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionError, json.JSONDecodeError):
                line, _ = door.accept()
                line.settimeout(5)
                with line, line.makefile("rwb") as stream:
                    answer = scheduler.answer(json.loads(stream.readline()))
                    stream.write(json.dumps(answer).encode() + b"\n")
            scheduler.tick()
    finally:
        scheduler.end_all()


if __name__ == "__main__":
    os.environ["FAKE_CLUSTER"] = sys.argv[1]
    serve()
