"""sbatch, squeue, sacct, scancel, scontrol and srun, as Slurm 22.05 speaks: `main("squeue", ARGUMENTS)`."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time

from fakes import engine

engine.DEFAULTS["partitions"] = "short,long"
engine.DEFAULTS["accounting"] = ""  # "empty": sacct knows of nothing
engine.DEFAULTS["kill_wait_s"] = 30.0
DOWN = {
    "sacct": "sacct: error: Problem talking to the database: Connection refused",
    "sbatch": "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
}
ENDS = {"completed": "COMPLETED", "failed": "FAILED", "memory": "OUT_OF_MEMORY", "time": "TIMEOUT"}
ENDS |= {"cancelled": "CANCELLED", "preempted": "PREEMPTED", "node": "NODE_FAIL"}
SHORT = {"-a": "--array", "-o": "--output", "-e": "--error", "-J": "--job-name", "-p": "--partition", "-t": "--time"}
SHORT |= {"-n": "--ntasks", "-c": "--cpus-per-task", "-N": "--nodes", "-A": "--account", "-C": "--constraint"}
SBATCH = "array output error job-name partition time ntasks cpus-per-task nodes account constraint mem signal open-mode"
SBATCH += " ntasks-per-node qos wckey gpus-per-node gres comment exclude chdir export mem-per-cpu nice dependency"
FLAGS = {"--parsable", "--requeue", "--no-requeue", "--exclusive", "--contiguous", "--hold", "--wait"}


def fail(text: str, status: int = 1) -> None:
    print(text, file=sys.stderr)
    sys.exit(status)


def options(command: str, words: list[str], takes: set[str], flags: set[str], short: dict) -> tuple[dict, list[str]]:
    """Options, by their long names, and what is left."""
    found: dict[str, str] = {}
    words = list(words)
    while words and words[0].startswith("-") and words[0] != "-":
        name, sign, value = words.pop(0).partition("=")
        if not name.startswith("--") and name[:2] in short and len(name) > 2:
            name, value, sign = name[:2], name[2:], "="
        name = short.get(name, name)
        if name in takes:
            found[name] = value if sign else words.pop(0)
        elif name in flags:
            found[name] = ""
        else:
            fail(f"{command}: unrecognized option '{name}'\nTry \"{command} --help\" for more information")
    return found, words


def sbatch(words: list[str]) -> None:
    takes = {f"--{name}" for name in SBATCH.split()}
    first, rest = options("sbatch", words, takes, FLAGS, SHORT)
    if rest:
        with open(rest[0], encoding="utf-8", errors="surrogateescape") as file:
            script = file.read()
    else:
        script = sys.stdin.buffer.read().decode(errors="surrogateescape")
    if not script.startswith("#!"):
        fail(
            "sbatch: error: This does not look like a batch script.  The first line must start with #! followed by ..."
        )
    given = {**options("sbatch", embedded(script), takes, FLAGS, SHORT)[0], **first}
    partition = given.get("--partition", "short")
    refused = "sbatch: error: Batch job submission failed:"
    if not set(partition.split(",")) <= set(str(engine.switch("partitions")).split(",")):
        fail(f"sbatch: error: invalid partition specified: {partition}\n{refused} Invalid partition name specified")
    indices, parallel = array(given["--array"]) if "--array" in given else ([0], None)
    if max(indices) >= int(engine.switch("max_array")):
        fail(f"{refused} Invalid job array specification")
    is_array = "--array" in given
    minutes = time_limit(given["--time"]) if "--time" in given else None
    kill_s = float(engine.switch("kill_wait_s"))
    limits = [] if minutes is None else [(minutes * 60, "TERM", "group", "time")]
    limits += [(minutes * 60 + kill_s, "KILL", "group", "time")] if limits else []
    if "--signal" in given and limits:
        batch, name, before_s = re.fullmatch(r"(B:)?([A-Z0-9]+)(?:@(\d+))?", given["--signal"]).groups()
        limits.insert(0, (max(0, minutes * 60 - int(before_s or 60)), name, "batch" if batch else "steps", ""))
    name = given.get("--job-name", os.path.basename(rest[0]) if rest else "sbatch")
    out = given.get("--output", "slurm-%A_%a.out" if is_array else "slurm-%j.out")
    here = given.get("--chdir", os.getcwd())
    number = engine.submit(
        script=script,
        name=name,
        is_array=is_array,
        indices=indices,
        own_numbers=is_array,
        parallel=parallel,
        queue=partition,
        user="ada",
        minutes=minutes,
        mem_kb=memory_kb(given["--mem"]) if "--mem" in given else None,
        out=os.path.join(here, pattern(out)),
        err=os.path.join(here, pattern(given["--error"])) if "--error" in given else "",
        append=given.get("--open-mode") == "append",
        copy_at_end=False,
        cwd=here,
        env={key: value for key, value in os.environ.items() if not key.startswith("SLURM_")},
        task_env={
            "SLURM_JOB_ID": "{raw}",
            "SLURM_JOBID": "{raw}",
            "SLURM_JOB_NAME": name,
            "SLURM_JOB_PARTITION": partition,
            "SLURM_SUBMIT_DIR": here,
            "SLURM_NTASKS": "1",
            "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0",
            "SLURM_NODEID": "0",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_JOB_NODELIST": "localhost",
            "SLURM_RESTART_COUNT": "{starts}",
            "FAKE_TASK": "{id} {index}",
        }
        | ({"SLURM_ARRAY_JOB_ID": "{id}", "SLURM_ARRAY_TASK_ID": "{index}"} if is_array else {}),
        limits=limits,
    )
    if engine.switch("banner"):
        print("Welcome to the cluster. You have 99 hours left.")
    print(number if "--parsable" in first else f"Submitted batch job {number}")


def embedded(script: str) -> list[str]:
    """Words of the #SBATCH lines above the first command."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#SBATCH"):
            words += shlex.split(line[7:])
        elif line.strip() and not line.startswith("#"):
            break
    return words


def array(text: str) -> tuple[list[int], int | None]:
    spans, _, limit = text.partition("%")
    return sorted(indices_of(spans)), int(limit) if limit else None


def indices_of(spans: str) -> set[int]:
    found: set[int] = set()
    for piece in spans.split(","):
        low, _, high = piece.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found


def time_limit(text: str) -> float:
    """Minutes of M, M:S, H:M:S or D-H[:M[:S]]."""
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, (minutes, seconds) = 0, (*parts, 0)[:2]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def memory_kb(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([KMGT]?)B?", text).groups()
    return int(number) * 1024 ** "KMGT".index(unit or "M")


def pattern(text: str) -> str:
    """Slurm's % marks in the engine's words."""
    marks = {"%%": "%", "%A": "{id}", "%a": "{index}", "%j": "{raw}", "%t": "0", "%n": "0", "%N": "localhost"}
    return re.sub("%[%AajtnN]", lambda found: marks[found[0]], text)


def jobs() -> tuple[list[dict], float]:
    answer = engine.talk(do="list")
    for job in answer["jobs"]:
        job["tasks"] = [task for task in job["tasks"] if task["word"] != "hidden"]
    return [job for job in answer["jobs"] if job["tasks"]], answer["now"]


def word(task: dict) -> str:
    if task["word"]:
        return task["word"]
    return ENDS[task["cause"]] if task["phase"] == "ended" else task["phase"].upper()


def reason(task: dict) -> str:
    """squeue's reason."""
    if task["phase"] == "pending":
        return "JobHeldUser" if task["held"] else ("BeginTime" if task["starts"] else "Resources")
    if task["phase"] != "ended":
        return "None"
    return {"failed": "NonZeroExitCode" if task["code"] else "JobLaunchFailure", "time": "TimeLimit"}.get(
        task["cause"], "None"
    )


def never_was(task: dict) -> bool:
    """Cancelled before it began: as good as never submitted."""
    return task["phase"] == "ended" and not task["starts"]


def name_of(job: dict, task: dict) -> str:
    return f"{job['id']}_{task['index']}" if job["is_array"] else str(job["id"])


def rows(wanted: list[dict], one_by_one: bool) -> list[tuple[str, dict, dict]]:
    """(id, job, task) of a listing; tasks that wait together have one row, unless `one_by_one`."""
    found = []
    for job in wanted:
        waiting = [
            task for task in job["tasks"] if task["phase"] == "pending" and not task["starts"] and not task["held"]
        ]
        if job["is_array"] and waiting and not one_by_one:
            spans = ",".join(str(task["index"]) for task in waiting)
            limit = f"%{job['parallel']}" if job["parallel"] else ""
            found.append((f"{job['id']}_[{spans}{limit}]", job, waiting[0]))
        else:
            found += [(name_of(job, task), job, task) for task in waiting]
        found += [
            (name_of(job, task), job, task) for task in job["tasks"] if task not in waiting and not never_was(task)
        ]
    return found


def squeue(words: list[str]) -> None:
    takes, short = {"--states", "--jobs", "--name", "--format", "--user"}, {"-t": "--states", "-j": "--jobs"}
    short |= {"-n": "--name", "-o": "--format", "-u": "--user", "-h": "--noheader", "-r": "--array"}
    given, _ = options("squeue", words, takes, {"--noheader", "--array", "--me"}, short)
    known, now = jobs()
    forget_s = float(engine.switch("forget_s"))
    found = []
    for id, job, task in rows(chosen(known, given, "squeue"), "--array" in given):
        live = task["phase"] != "ended" or bool(task["word"])
        if live or (given.get("--states") == "all" and now - task["ended"] < forget_s):
            found.append((id, job, task))
    ids = given.get("--jobs", "").split(",")
    if (
        "--jobs" in given
        and len(ids) == 1
        and not any(str(job["id"]) == ids[0].partition("_")[0] for _, job, _ in found)
    ):
        fail("slurm_load_jobs error: Invalid job id specified")
    if "--noheader" not in given:
        print("JOBID|STATE")
    for id, job, task in found:
        values = {
            "%i": id,
            "%T": word(task),
            "%r": reason(task),
            "%j": job["name"],
            "%F": job["id"],
            "%K": task["index"],
        }
        values |= {"%A": task["raw"] or job["id"], "%u": job["user"], "%P": job["queue"], "%t": word(task)[:2]}
        print(re.sub("%[a-zA-Z]", lambda mark, values=values: str(values[mark[0]]), given.get("--format", "%i|%T")))


def chosen(known: list[dict], given: dict, command: str) -> list[dict]:
    """Jobs of the ids and names that a listing asks for, each with its tasks that are meant."""
    if "--name" in given:
        known = [job for job in known if job["name"] in given["--name"].split(",")]
    if "--jobs" not in given:
        return known
    found = []
    for id in given["--jobs"].split(","):
        number, _, index = id.partition("_")
        if not number.isdigit():
            fail(f"{command}: error: Invalid job id: {id}")
        for job in known:
            if job["id"] == int(number):
                tasks = [task for task in job["tasks"] if index in ("", str(task["index"]))]
                found.append({**job, "tasks": tasks})
    return found


def sacct(words: list[str]) -> None:
    takes = {"--jobs", "--name", "--format", "--starttime", "--endtime", "--state"}
    flags = {"--noheader", "--parsable2", "--parsable", "--allocations", "--duplicates"}
    short = {"-j": "--jobs", "-n": "--noheader", "-P": "--parsable2", "-X": "--allocations", "-o": "--format"}
    given, _ = options("sacct", words, takes, flags, {**short, "-S": "--starttime", "-D": "--duplicates"})
    fields = given.get("--format", "JobID,State,ExitCode").split(",")
    if "--noheader" not in given:
        print("|".join(fields))
    if engine.switch("accounting") == "empty":
        return
    wanted = chosen(jobs()[0], given, "sacct")
    found = rows(wanted, False)
    for job in wanted:  # cancelled as a whole before any of it began
        if all(map(never_was, job["tasks"])):
            spans = ",".join(str(task["index"]) for task in job["tasks"])
            found.append((f"{job['id']}_[{spans}]" if job["is_array"] else str(job["id"]), job, job["tasks"][0]))
    for id, job, task in found:
        state = word(task)
        code = "0:125" if state == "OUT_OF_MEMORY" else f"{task['code']}:{task['signal']}"
        if state in ("CANCELLED", "TIMEOUT"):
            code, state = "0:0", "CANCELLED by 1000" if state == "CANCELLED" else state
        values = {"JobID": id, "State": state, "ExitCode": code, "JobName": job["name"], "NodeList": "localhost"}
        values |= {"JobIDRaw": task["raw"] or job["id"]}
        print("|".join(str(values[field]) for field in fields))


def meant(ids: list[str], command: str) -> list[tuple[int, int]]:
    """Tasks that 12, 12_3 or 12_[0-4] mean. Unknown ids are complained of, and passed over."""
    found = []
    known = {job["id"]: job for job in jobs()[0]}
    for id in ids:
        parts = re.fullmatch(r"(\d+)(?:_\[?([\d,-]+)(?:%\d+)?\]?)?", id)
        job = known.get(int(parts[1])) if parts else None
        if job is None:
            print(f"{command}: error: Kill job error on job id {id}: Invalid job id specified", file=sys.stderr)
            continue
        indices = indices_of(parts[2]) if parts[2] else {task["index"] for task in job["tasks"]}
        found += [(job["id"], task["index"]) for task in job["tasks"] if task["index"] in indices]
    return found


def scancel(words: list[str]) -> None:
    short = {"-s": "--signal", "-n": "--name", "-b": "--batch", "-f": "--full"}
    ids = [word for word in words if re.match(r"\d", word)]  # options may stand after them
    rest = [word for word in words if word not in ids]
    given, left = options("scancel", rest, {"--signal", "--name"}, {"--batch", "--full", "--quiet"}, short)
    tasks = meant(ids, "scancel")
    if "--signal" in given:
        to = "batch" if "--batch" in given else "group" if "--full" in given else "steps"
        engine.talk(do="signal", tasks=tasks, name=given["--signal"].removeprefix("SIG"), to=to)
        return
    t = float(engine.switch("terminate_s"))
    engine.talk(do="end", tasks=tasks, signals=[(0, "CONT"), (0, "TERM"), (2 * t, "KILL")], cause="cancelled")
    sys.exit(1 if len(ids) == 1 and not tasks else 0)


def scontrol(words: list[str]) -> None:
    if words[:2] == ["show", "config"]:
        print(f"Configuration data as of {time.strftime('%Y-%m-%dT%H:%M:%S')}")
        print(f"ClusterName             = fake\nMaxArraySize            = {engine.switch('max_array')}")
        return
    t = float(engine.switch("terminate_s"))
    request = {
        "requeue": {"do": "requeue", "signals": [(0, "CONT"), (0.2, "TERM"), (0.2 + t, "KILL")]},
        "suspend": {"do": "suspend", "to": True},
        "hold": {"do": "suspend", "to": True},
        "resume": {"do": "suspend", "to": False},
        "release": {"do": "suspend", "to": False},
    }.get(words[0] if words else "")
    if request is None:
        fail(f"invalid keyword: {' '.join(words)}")
    tasks = meant([id for word in words[1:] for id in word.split(",")], "scontrol")
    if not tasks or not engine.talk(tasks=tasks, **request)["done"]:
        fail("Job is pending execution for job" if tasks else "Invalid job id specified")


def srun(words: list[str]) -> None:
    """Run a step in this process; its signals are those of `--signal` without B:."""
    takes, flags = {"--output", "--error", "--ntasks"}, {"--unbuffered"}
    given, command = options("srun", words, takes, flags, {**SHORT, "-u": "--unbuffered"})
    job, index = map(int, os.environ["FAKE_TASK"].split())
    engine.talk(do="step", job=job, index=index, pid=os.getpid())
    marks = {"{id}": job, "{index}": index, "{raw}": os.environ["SLURM_JOB_ID"]}
    for name, stream in (("--output", 1), ("--error", 2)):
        path = pattern(given.get(name, given.get("--output", "")))
        for mark, value in marks.items():
            path = path.replace(mark, str(value))
        if path:
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644), stream)
    os.execvp(command[0], command)


def sinfo(words: list[str]) -> None:
    print("PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\nshort*       up   infinite      1   idle localhost")


COMMANDS = {command.__name__: command for command in (sbatch, squeue, sacct, scancel, scontrol, srun, sinfo)}


def main(command: str, words: list[str]) -> None:
    down = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    engine.at_the_door(command, DOWN.get(command, down))
    try:
        COMMANDS[command](words)
    except (ConnectionError, FileNotFoundError):
        fail(DOWN.get(command, down))
