"""bsub, bjobs, bkill, bstop, bresume, brequeue, bhist and bparams, as IBM's LSF and OpenLava speak.

`main("bjobs", ARGUMENTS)`. With FAKE_DIALECT=openlava (or the switch `dialect`) they are OpenLava's,
with openlava4 a later one's, whose bjobs has an -o of fewer columns.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time

from fakes import engine

engine.DEFAULTS["dialect"] = "ibm"
engine.DEFAULTS["queues"] = "normal,short,long"
DOWN = "LSF is down. Please wait ..."
TAKES_VALUE = [
    "-J",
    "-n",
    "-W",
    "-M",
    "-R",
    "-q",
    "-P",
    "-app",
    "-o",
    "-e",
    "-oo",
    "-eo",
    "-gpu",
    "-m",
    "-sla",
    "-G",
    "-w",
    "-L",
    "-c",
    "-g",
    "-sp",
    "-E",
]
IS_FLAG = ["-r", "-rn", "-x", "-H", "-K"]
ENDING = {"memory": "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit"}
ENDING |= {"time": "TERM_RUNLIMIT: job killed after reaching LSF run time limit"}
ENDING |= {"cancelled": "TERM_OWNER: job killed by owner", "preempted": "TERM_PREEMPT: job killed after preemption"}
ENDING |= {"node": "TERM_ZOMBIE: zombie job"}
REACHED = {"memory": "Terminated:  MEMLIMIT was reached", "time": "Terminated:  RUNLIMIT was reached"}
REACHED |= {"cancelled": "Signal <KILL> requested by user or administrator <ada>"}


def fail(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(255)


def is_openlava() -> bool:
    return str(engine.switch("dialect")).startswith("openlava")


def options(words: list[str], takes_value: list[str], flags: list[str], usage: str) -> tuple[dict, list[str]]:
    """Options and what is left. An unknown one prints the usage and ends."""
    found: dict[str, list[str]] = {}
    words = list(words)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in flags:
            found.setdefault(word, []).append("")
        elif word in takes_value and words:
            found.setdefault(word, []).append(words.pop(0))
        else:
            fail(f"{usage.split()[1]}: illegal option -- {word.lstrip('-')}\n{usage}")
    return found, words


def embedded(script: str) -> list[str]:
    """Words of the #BSUB lines above the first command."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#BSUB"):
            words += shlex.split(line[5:])
        elif line.strip() and not line.startswith("#"):
            break
    return words


def bsub(words: list[str]) -> None:
    script = sys.stdin.buffer.read().decode(errors="surrogateescape")
    usage = "Usage: bsub [-h] [-V] [-H] [-x] [-r] [-J job_name] [-q queue_name ...] [-n min_proc] ... [command]"
    takes = [word for word in TAKES_VALUE if word != "-gpu" or not is_openlava()]
    given, command = options(embedded(script) + words, takes, IS_FLAG, usage)
    if command:
        script = f"#!/bin/sh\n{shlex.join(command)}\n"
    if not script.strip():
        fail("No command is specified. Job not submitted.")
    first = {key: values[-1] for key, values in given.items()}
    queue = first.get("-q", "normal")
    if queue not in str(engine.switch("queues")).split(","):
        fail(f"{queue}: No such queue. Job not submitted.")
    name, indices, parallel = array(first.get("-J", "sh"))
    minutes = run_limit(first["-W"]) if "-W" in first else None
    memory = first.get("-M")
    if memory is not None and not memory.isdigit():
        fail(f"{memory}: Bad MEMLIMIT specification. Job not submitted.")
    t = float(engine.switch("terminate_s"))
    grace = 600.0
    out = first.get("-oo", first.get("-o", os.devnull))
    number = engine.submit(
        script=script,
        name=name,
        is_array=indices != [0],
        indices=indices,
        own_numbers=False,
        parallel=parallel,
        queue=queue,
        user="ada",
        minutes=minutes,
        mem_kb=int(memory) if memory else None,
        out=out.replace("%J", "{id}").replace("%I", "{index}"),
        err="",
        append=True,
        copy_at_end=True,
        cwd=os.getcwd(),
        env=dict(os.environ),
        task_env={
            "LSB_JOBID": "{id}",
            "LSB_JOBINDEX": "{index}",
            "LSB_JOBNAME": name if indices == [0] else f"{name}[{{index}}]",
            "LSB_BATCH_JID": "{id}" if indices == [0] else "{id}[{index}]",
            "LSB_QUEUE": queue,
            "LSB_HOSTS": "localhost",
            "LSB_DJOB_NUMPROC": first.get("-n", "1"),
            "LS_SUBCWD": os.getcwd(),
        },
        limits=[]
        if minutes is None
        else [
            (minutes * 60, "USR2", "group", "time"),
            (minutes * 60 + grace, "INT", "group", "time"),
            (minutes * 60 + grace + t, "TERM", "group", "time"),
            (minutes * 60 + grace + 2 * t, "KILL", "group", "time"),
        ],
    )
    if engine.switch("banner"):
        print("****  Welcome to the cluster. Job <1> of the week: be kind.  ****\nYour project has 99 hours left.")
    if "BSUB_QUIET" not in os.environ:
        print(f"Job <{number}> is submitted to {'queue' if '-q' in first else 'default queue'} <{queue}>.")
    if engine.switch("banner"):
        print("Have a nice day.")


def array(text: str) -> tuple[str, list[int], int | None]:
    """Name, indices and limit of -J "name[1-10,12]%5"; indices [0] where it is no array."""
    parts = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[([0-9,:-]+)\](?:%([0-9]+))?)?", text)
    if not parts:
        fail(f"{text}: Bad job name. Job not submitted.")
    if not parts[2]:
        return parts[1], [0], None
    indices = []
    for piece in parts[2].split(","):
        low, _, high = piece.partition("-")
        indices += range(int(low), int(high or low) + 1)
    if len(indices) > int(engine.switch("max_array")):
        fail("Job array index too large. Job not submitted.")
    if not indices or min(indices) < 1:
        fail("Bad job array index list. Job not submitted.")
    return parts[1], indices, int(parts[3]) if parts[3] else None


def run_limit(text: str) -> float:
    hours, _, minutes = text.split("/")[0].rpartition(":")
    if not re.fullmatch(r"(\d+:)?\d+", text.split("/")[0]):
        fail(f"{text}: Bad RUNLIMIT specification. Job not submitted.")
    return int(hours or 0) * 60 + int(minutes)


def listed() -> list[tuple[dict, dict]]:
    """Every task that LSF still knows, with its job."""
    answer = engine.talk(do="list")
    oldest = answer["now"] - float(engine.switch("forget_s"))
    pairs = ((job, task) for job in answer["jobs"] for task in job["tasks"] if task["word"] != "hidden")
    return [(job, task) for job, task in pairs if task["phase"] != "ended" or task["ended"] >= oldest]


def wanted(id: str) -> tuple[int, set[int]]:
    """Job and indices of 123, 123[4] or 123[1-3]; no indices means all."""
    parts = re.fullmatch(r"(\d+)(?:\[([0-9,-]+)\])?", id)
    if not parts:
        fail(f"{id}: Illegal job ID.")
    indices: set[int] = set()
    for piece in (parts[2] or "").split(","):
        if piece:
            low, _, high = piece.partition("-")
            indices |= set(range(int(low), int(high or low) + 1))
    return int(parts[1]), indices


def chosen(ids: list[str], pairs: list[tuple[dict, dict]]) -> tuple[list[tuple[dict, dict]], list[str]]:
    """Tasks of these ids, and the ids of which there are none."""
    found, missing = [], []
    for id in ids:
        job_id, indices = wanted(id)
        own = [(job, task) for job, task in pairs if job["id"] == job_id and (not indices or task["index"] in indices)]
        found += own
        missing += [] if own else [id]
    return found, missing


def word(task: dict) -> str:
    if task["word"]:
        return task["word"]
    if task["phase"] == "pending":
        return "PSUSP" if task["held"] else "PEND"
    if task["phase"] == "ended":
        return "DONE" if task["cause"] == "completed" else "EXIT"
    return {"running": "RUN", "suspended": "USUSP"}[task["phase"]]


def full_name(job: dict, task: dict) -> str:
    return f"{job['name']}[{task['index']}]" if job["is_array"] else job["name"]


def bjobs(words: list[str]) -> None:
    usage = "Usage: bjobs [-h] [-V] [-w |-l] [-a] [-d] [-p] [-s] [-r] [-A] [-J job_name] [-u user_name] [jobId ...]"
    takes, flags = ["-J", "-u", "-q", "-m"], ["-w", "-l", "-a", "-d", "-p", "-r", "-s", "-A"]
    if engine.switch("dialect") != "openlava":
        takes, flags = [*takes, "-o"], [*flags, "-noheader", "-X"]
    given, ids = options(words, takes, flags, usage)
    pairs, missing = chosen(ids, listed()) if ids else (listed(), [])
    if not ids and "-a" not in given:
        pairs = [(job, task) for job, task in pairs if task["phase"] != "ended"]
    if "-J" in given:
        name = given["-J"][0]
        pairs = [(job, task) for job, task in pairs if name in (job["name"], full_name(job, task))]
        missing = [] if pairs else [name]
    if "-o" in given:
        columns(given["-o"][0], "-noheader" in given, pairs)
    elif pairs:
        table(pairs)
    for id in missing:
        print(f"Job <{id}> is not found", file=sys.stderr)
    if not pairs and not missing:
        print("No job found" if "-a" in given else "No unfinished job found", file=sys.stderr)
    sys.exit(0 if pairs and not missing else 255)


def columns(format: str, no_header: bool, pairs: list[tuple[dict, dict]]) -> None:
    """IBM's -o "field field delimiter='|'"."""
    delimiter = re.search(r"delimiter='(.)'", format)
    names = re.sub(r"delimiter='.'", "", format).split()
    mark = delimiter[1] if delimiter else " "
    if not no_header:
        print(mark.join(name.upper() for name in names))
    for job, task in pairs:
        ended = task["phase"] == "ended" and not task["word"]
        failed = ended and task["cause"] != "completed"
        values = {
            "jobid": str(job["id"]),
            "jobindex": str(task["index"]),
            "stat": word(task),
            "job_name": full_name(job, task),
            "user": job["user"],
            "queue": job["queue"],
            "exit_code": str(task["code"] or 128 + task["signal"]) if failed else "-",
            "exit_reason": ENDING.get(task["cause"], "-") if failed else "-",
            "pend_reason": "Job's resource requirements not satisfied: 1 host;" if word(task) == "PEND" else "-",
        }
        if is_openlava():  # which has an id of a job, but none of its index
            for name in ("jobindex", "exit_reason", "pend_reason"):
                del values[name]
            if unknown := [name for name in names if name not in values]:
                print(f"Invalid field specs {unknown[0]}")
                sys.exit(99)
        if unknown := [name for name in names if name not in values]:
            fail(f"Unknown field name: {unknown[0]}.\nUsage: bjobs -o format_string")
        print(mark.join(values[name] for name in names))


def table(pairs: list[tuple[dict, dict]]) -> None:
    print("JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME")
    for job, task in pairs:
        host = "localhost" if task["started"] else " "
        when = time.strftime("%b %e %H:%M", time.localtime(job["submitted"]))
        row = f"{job['id']:<7} {job['user']:<7} {word(task):<5} {job['queue']:<10} login       {host:<11} "
        print(f"{row}{full_name(job, task):<10} {when}")


def numbers(pairs: list[tuple[dict, dict]]) -> list[tuple[int, int]]:
    return [(job["id"], task["index"]) for job, task in pairs]


def ending_signals() -> list[tuple[float, str]]:
    t = float(engine.switch("terminate_s"))
    return [(0, "INT"), (t, "TERM"), (2 * t, "KILL")]


def shown(job: dict, task: dict) -> str:
    return f"{job['id']}[{task['index']}]" if job["is_array"] else str(job["id"])


def bkill(words: list[str]) -> None:
    given, ids = options(words, ["-J", "-s", "-u", "-q"], ["-r"], "Usage: bkill [-h] [-J job_name] [jobId ...]")
    pairs, missing = chosen(ids, listed())
    live = [(job, task) for job, task in pairs if task["phase"] != "ended"]
    if "-s" in given:
        engine.talk(do="signal", tasks=numbers(live), name=given["-s"][0].removeprefix("SIG"))
    else:
        engine.talk(do="end", tasks=numbers(live), signals=ending_signals(), cause="cancelled")
    for id in ids:
        if id not in missing:
            print(f"Job <{id}> is being terminated")
    for id in missing:
        print(f"Job <{id}>: No matching job found", file=sys.stderr)
    if not live and not missing:
        fail("\n".join(f"Job <{id}>: Job has already finished" for id in ids))
    sys.exit(255 if missing else 0)


def change(command: str, words: list[str], said: str, refused: str, **request: object) -> None:
    """bstop, bresume, brequeue: the same words around another request."""
    _, ids = options(words, ["-J"], ["-r", "-e", "-d"], f"Usage: {command} [-h] [jobId ...]")
    pairs, missing = chosen(ids, listed())
    for id in missing:
        print(f"Job <{id}> is not found", file=sys.stderr)
    done = 0
    for job, task in pairs:
        if engine.talk(tasks=numbers([(job, task)]), **request)["done"]:
            done += 1
            print(f"Job <{shown(job, task)}> is being {said}")
        else:
            print(f"Job <{shown(job, task)}>: {refused}", file=sys.stderr)
    sys.exit(0 if done and not missing else 255)


def brequeue(words: list[str]) -> None:
    change("brequeue", words, "requeued", "Job is not running", do="requeue", signals=ending_signals())


def bstop(words: list[str]) -> None:
    change("bstop", words, "stopped", "Job is not running", do="suspend", to=True)


def bresume(words: list[str]) -> None:
    change("bresume", words, "resumed", "Job is not suspended", do="suspend", to=False)


def bhist(words: list[str]) -> None:
    usage = "Usage: bhist [-h] [-V] [-l] [-w] [-a] [-n num_logfiles] [-J job_name] [jobId ...]"
    given, ids = options(words, ["-n", "-J", "-u"], ["-l", "-w", "-a"], usage)
    everything = engine.talk(do="list")["jobs"]
    pairs = [(job, task) for job in everything for task in job["tasks"] if task["word"] != "hidden"]
    missing: list[str] = []
    if ids:
        pairs, missing = chosen(ids, pairs)
    elif "-a" not in given:
        pairs = [(job, task) for job, task in pairs if task["phase"] != "ended"]
    if "-J" in given:
        pairs = [(job, task) for job, task in pairs if given["-J"][0] in (job["name"], full_name(job, task))]
    for id in missing:
        print(f"Job <{id}> is not found", file=sys.stderr)
    if not pairs:
        fail("No matching job found")
    if "-l" in given:
        print(
            "\n------------------------------------------------------------------------------\n".join(
                map(history, pairs)
            )
        )
        return
    print("Summary of time in seconds spent in various states:")
    print("JOBID   USER    JOB_NAME  PEND    PSUSP   RUN     USUSP   SSUSP   UNKWN   TOTAL")
    for job, task in pairs:
        print(
            f"{shown(job, task):<7} {job['user']:<7} {job['name']:<9} 2       0       3       0       0       0       5"
        )


def history(pair: tuple[dict, dict]) -> str:
    """One task in full, its lines broken at 80 characters as bhist breaks them."""
    job, task = pair
    when = time.strftime("%a %b %e %H:%M:%S")
    lines = [f"Job <{shown(job, task)}>, Job Name <{full_name(job, task)}>, User <{job['user']}>, Project <default>"]
    lines += [f"{when}: Submitted from host <login>, to Queue <{job['queue']}>, CWD <$HOME>;"]
    if task["started"]:
        lines += [f"{when}: Dispatched to <localhost>;", f"{when}: Starting (Pid {task['pid']});"]
    if task["phase"] == "ended" and task["cause"] == "completed":
        lines += [f"{when}: Done successfully. The CPU time used is 0.1 seconds;"]
    elif task["phase"] == "ended":
        how = f"exit code {task['code']}" if task["code"] else f"signal {task['signal']}"
        lines += [f"{when}: Exited {'with' if task['code'] else 'by'} {how}. The CPU time used is 0.1 seconds;"]
        reason = ENDING.get(task["cause"], "") if not is_openlava() else ""
        if is_openlava() and task["cause"] in REACHED:
            lines.insert(-1, f"{when}: {REACHED[task['cause']]};")
        lines += [f"{when}: Completed <exit>{f'; {reason}' if reason else ''};"]
    elif task["starts"] and task["phase"] == "pending":
        lines += [f"{when}: Pending: Job has been requeued;"]
    broken = [
        "\n                     ".join([line[:80], *(line[at : at + 58].lstrip() for at in range(80, len(line), 58))])
        for line in lines
    ]
    return "\n" + "\n".join(broken)


def bparams(words: list[str]) -> None:
    flags = ["-l"] if is_openlava() else ["-l", "-a"]
    given, _ = options(words, [], flags, "Usage: bparams [-h] [-V] [-l]")
    if given:
        print(f"\tMaximal number of tasks of one array:\n\tMAX_JOB_ARRAY_SIZE = {engine.switch('max_array')}\n")
    else:
        print("Default Queues:  normal\nMBD_SLEEP_TIME used for calculations:  20 seconds")


COMMANDS = {command.__name__: command for command in (bsub, bjobs, bkill, bstop, bresume, brequeue, bhist, bparams)}


def main(command: str, words: list[str]) -> None:
    engine.at_the_door(command, DOWN)
    try:
        COMMANDS[command](words)
    except (ConnectionError, FileNotFoundError):
        fail("batch system daemon not responding ... still trying")
