"""Computing one block of points, in whatever thread or process it lands, straight into the store."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from .cache import Cached
from .codec import encode_result
from .errors import GridrunError, UnstorableResult, UsageError
from .keying import keying_of
from .messages import drift
from .outcome import Failed
from .provenance import peak_memory_mb
from .record import EXTERNAL
from .segments import FAILURE, RESULT, STARTED, NewRecord
from .session import CURRENT, Session
from .store import Store, open_store

FLUSH_S = 1.0


class _SaverError(Exception):
    """Internal: a saver or checker of the user's raised."""


class _Here(threading.local):
    """What this thread is computing: the blocks around it, and the points whose functions are being called."""

    def __init__(self) -> None:
        self.blocks: list[set[bytes]] = []
        self.running: list[bytes] = []


HERE = _Here()
STOPPING = threading.Event()  # this process was asked to end: what its points raise from now on is no failure of theirs


class Job(NamedTuple):
    """One point to compute."""

    key: bytes
    mark: bytes  # of the key under the present code: what is claimed
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    generation: int = 0
    session: str = ""
    dependencies: Any = None


class Outcome(NamedTuple):
    """What became of a job: its value (where it was computed), or the exception and its text."""

    key: bytes
    value: Any = None
    failed: Failed | None = None
    exception: BaseException | None = None
    stored: bool = False


def compute_plain(function: Callable[..., Any], calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[Outcome]:
    """Call a function whose results nobody keeps."""
    outcomes = []
    for args, kwargs in calls:
        try:
            outcomes.append(Outcome(b"", function(*args, **kwargs)))
        except (Exception, SystemExit) as error:
            outcomes.append(_failure(b"", error))
    return outcomes


def compute_block(
    cached: Cached, jobs: list[Job], cache_dir: str, context: bytes, keep: bool
) -> tuple[list[Outcome], str]:
    """Compute `jobs` and store their results; give the outcomes and the segment they went to.

    A result is on disk before its outcome is given. `keep` leaves the values in the outcomes (else they are read
    from the store by whoever needs them).
    """
    store = open_store(cache_dir)
    outcomes: list[Outcome] = []
    flushed = time.monotonic()
    HERE.blocks.append({job.mark for job in jobs})
    try:
        for job in jobs:
            outcomes.append(_compute(cached, job, store, context, keep))
            if time.monotonic() - flushed > FLUSH_S:
                store.flush()
                flushed = time.monotonic()
    finally:
        HERE.blocks.pop()
        segment = store.flush()
    return outcomes, segment


def _compute(cached: Cached, job: Job, store: Store, context: bytes, keep: bool) -> Outcome:
    session = Session(job.session, cached.table, str(store.path))
    outcome, start, seconds = _call(cached, job, session)
    if outcome.failed is None:
        try:
            stored = _save(cached, job, store, context, outcome.value, start, seconds)
            return Outcome(job.key, outcome.value if keep else None, stored=stored)
        except UnstorableResult as error:
            outcome = _failure(job.key, error)
        except _SaverError as error:
            outcome = _failure(job.key, error.__cause__ or error)
    assert outcome.failed is not None
    put_failure(job, store, context, outcome.failed, start, seconds)
    return outcome


def _call(cached: Cached, job: Job, session: Session | None) -> tuple[Outcome, float, float]:
    start, clock = time.time(), time.perf_counter()
    token = CURRENT.set(session)
    HERE.running.append(job.mark)
    try:
        _check_key(cached, job)
        outcome = Outcome(job.key, cached.function(*job.args, **job.kwargs))
    except (Exception, SystemExit) as error:
        if STOPPING.is_set():
            raise
        outcome = _failure(job.key, error)
    finally:
        CURRENT.reset(token)
        HERE.running.pop()
    return outcome, start, time.perf_counter() - clock


def _check_key(cached: Cached, job: Job) -> None:
    """Raise UsageError for a point that means something else here than where its key was made: its templates are
    filled anew by the function, perhaps with files of another machine, or files that were added meanwhile."""
    keying = keying_of(cached, len(job.args), tuple(job.kwargs))
    if keying.parts and isinstance(job.dependencies, dict):
        changes = keying.drifted([*job.args, *job.kwargs.values()], job.dependencies)
        if changes:
            raise UsageError(drift(changes))


def _failure(key: bytes, error: BaseException) -> Outcome:
    message = f"the function called exit({error.code})" if isinstance(error, SystemExit) else _text_of(error)
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Outcome(key, failed=Failed(type(error).__name__, message, text), exception=_sendable(error))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:
        return f"(its text cannot be made: {type(worse).__name__})"


def _sendable(error: BaseException) -> BaseException | None:
    """The exception without its frames (they hold every local alive), if it can travel between processes."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error


def _save(cached: Cached, job: Job, store: Store, context: bytes, value: Any, start: float, seconds: float) -> bool:
    """Keep a result; False if the function keeps its own files and they are not whole yet."""
    if cached.is_custom:
        where = str(store.path)
        session = cached.id_text(job.session)
        if not _saved_by_user(cached, session, where, value):
            _put(job, store, context, STARTED, b"", [], start, seconds)  # it may be whole later
            return False
        payload, blobs = EXTERNAL, []
    else:
        encoded = encode_result(value, f"the result of {cached.table}")
        payload, blobs = encoded.data, encoded.blobs
    _put(job, store, context, RESULT, payload, blobs, start, seconds)
    return True


def _saved_by_user(cached: Cached, session: str, where: str, value: Any) -> bool:
    """Call the function's own saver and checker; an error of theirs is a failure of the point, not of the run."""
    try:
        if cached.saver is not None:
            cached.saver(session, cached.table, where, value)
        return cached.checker is None or bool(cached.checker(session, cached.table, where))
    except GridrunError:
        raise
    except Exception as error:
        raise _SaverError from error


def put_failure(
    job: Job, store: Store, context: bytes, failed: Failed, start: float | None = None, seconds: float = 0.0
) -> None:
    """Keep why a point failed; the next run tries it again."""
    payload = json.dumps(failed._asdict()).encode()
    _put(job, store, context, FAILURE, payload, [], time.time() if start is None else start, seconds)


def _put(
    job: Job, store: Store, context: bytes, kind: int, payload: bytes, blobs: list[Any], start: float, seconds: float
) -> None:
    dependencies = json.dumps(job.dependencies)
    meta = (
        f'{{"start":{start:.3f},"seconds":{seconds:.6f},"peak_mb":{peak_memory_mb():.1f},'
        f'"dependencies":{dependencies}}}'
    )
    store.put(NewRecord(job.key, context, job.generation, kind, payload, meta.encode(), start + seconds), blobs)
