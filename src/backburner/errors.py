"""Every error Backburner raises: one root, the message names the thing, the value and the remedy.

The facts of an error are attributes as well, so that code can act on them without reading the text.
"""

from __future__ import annotations

_SHOWN = 80


def shown(value: object) -> str:
    """A short `repr` of a value for an error message, at most 80 characters."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - the repr is the caller's code; the error at hand matters more
        text = f"<{type(value).__name__}, its repr raised {type(error).__name__}>"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


class BackburnerError(Exception):
    """The root of all errors raised by Backburner."""


class SettingsError(BackburnerError):
    """A setting is unknown, has a wrong value, or contradicts another one."""

    def __init__(self, setting: str, value: object, problem: str, remedy: str, source: str = "argument") -> None:
        self.setting, self.value, self.problem, self.remedy, self.source = setting, value, problem, remedy, source
        super().__init__(f"setting {setting!r} = {shown(value)} (from {source}): {problem}. {remedy}")


class InvalidUrl(SettingsError):
    """The database URL cannot be used."""

    def __init__(self, url: str, problem: str, remedy: str, source: str = "argument") -> None:
        super().__init__("url", url, problem, remedy, source)


class MissingExtra(BackburnerError, ImportError):
    """An optional package that this feature needs is not installed."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{needed_for} needs the package {package!r}. Run: pip install 'backburner[{extra}]'")


class UnknownTask(BackburnerError, LookupError):
    """No task of that name is registered here."""

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        self.name = name
        listed = ", ".join(sorted(known)[:10]) or "none"
        super().__init__(
            f"task {shown(name)} is not registered. Known tasks: {listed}. "
            "Import the module that declares it, or add the old name to its aliases."
        )


class DuplicateTask(BackburnerError):
    """Two functions were registered under one task name."""

    def __init__(self, name: str, first: str, second: str) -> None:
        self.name = name
        super().__init__(f"task name {name!r} is taken by {first}; {second} needs another: @jobs.task(name=...)")


class InvalidTask(BackburnerError, TypeError):
    """A function cannot be made a task."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        self.name = name
        super().__init__(f"task {name!r}: {problem}. {remedy}")


class InvalidArgument(BackburnerError, TypeError):
    """An argument does not fit the task's signature."""

    def __init__(self, task: str, parameter: str, value: object, problem: str, remedy: str = "") -> None:
        self.task, self.parameter, self.value = task, parameter, value
        super().__init__(f"task {task!r}, parameter {parameter!r} = {shown(value)}: {problem}. {remedy}".rstrip())


class NotSerializable(BackburnerError, TypeError):
    """A value cannot be stored and read back as the same value."""

    def __init__(self, what: str, value: object, problem: str, remedy: str) -> None:
        self.what, self.value = what, value
        super().__init__(f"{what} = {shown(value)} cannot be stored: {problem}. {remedy}")


class TooLarge(BackburnerError, ValueError):
    """A value is larger than its limit, in bytes of its stored form."""

    def __init__(self, what: str, size: int, limit: int, remedy: str) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(f"{what} has {size:,} bytes, the limit is {limit:,}. {remedy}")


class DecodeError(BackburnerError, ValueError):
    """A stored value cannot be read back."""

    def __init__(self, what: str, problem: str) -> None:
        self.what, self.problem = what, problem
        super().__init__(f"stored {what} cannot be read: {problem}")


class SignatureChanged(DecodeError):
    """A stored call does not fit its task any more, which has other parameters now."""


class InvalidOption(BackburnerError, ValueError):
    """An option of a task or of an enqueue has a wrong value."""

    def __init__(self, option: str, value: object, problem: str, remedy: str) -> None:
        self.option, self.value, self.problem, self.remedy = option, value, problem, remedy
        super().__init__(f"option {option!r} = {shown(value)}: {problem}. {remedy}")


class UnknownParent(InvalidOption):
    """A job is to come after one that is not there, or that is somebody else's: neither is told apart."""

    def __init__(self, parent: str) -> None:
        self.parent = parent
        super().__init__(
            "after", parent, "there is no such job, or it has another owner",
            "Enqueue that one first, and commit it, or enqueue both in one transaction",
        )  # fmt: skip


class NeverFires(InvalidOption):
    """A cron expression names a time that never comes, such as the 30th of February."""

    def __init__(self, expression: str) -> None:
        super().__init__("cron", expression, "names a time that never comes", "Correct its day, month and day of week")


class StoreError(BackburnerError):
    """The root of errors about the database."""


class StoreUnavailable(StoreError):
    """The database does not answer, or the connection was lost; the operation may be repeated."""


class SchemaMissing(StoreError):
    """The tables are not there, or are older than this version needs."""

    def __init__(self, url: str, found: str | None, needed: str) -> None:
        self.found, self.needed = found, needed
        state = "has no Backburner tables" if found is None else f"has tables of version {found}"
        super().__init__(
            f"the database {url} {state}, version {needed} is needed. Run: backburner migrate "
            "(or pass auto_migrate=True; `backburner migrate --sql` prints the statements)"
        )


class SchemaTooNew(StoreError):
    """The tables were made by a newer version that this one cannot work with."""

    def __init__(self, url: str, found: str, needed: str) -> None:
        self.found, self.needed = found, needed
        super().__init__(
            f"the database {url} has tables of version {found}, this Backburner knows {needed}. "
            "Install the newer Backburner here too"
        )


class TransactionMustRetry(StoreError):
    """The caller's own transaction was ended by the database (deadlock, serialisation): run it again."""


class ForeignTransaction(StoreError):
    """The connection handed over does not lead to the database that holds the jobs."""


class WaitInsideTransaction(StoreError):
    """Waiting for a job inside the transaction that enqueued it would never end."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id} was enqueued in a transaction that is still open. Commit first, then wait")


class KeyBusy(StoreError):
    """Another transaction that wants the same key is still open; the operation may be repeated."""

    def __init__(self, keys: tuple[str, ...], seconds: float) -> None:
        self.keys = keys
        named = shown(keys[0]) if len(keys) == 1 else f"one of {len(keys)} keys, {shown(keys[0])} among them,"
        super().__init__(
            f"key {named} is wanted by a transaction that was still open after {seconds:g} s. Nothing was stored. "
            "Ask again; enqueue at the end of long transactions"
        )


class JobBusy(StoreError):
    """A transaction of an app that is still open holds the job; nothing was changed, and it may be asked again."""

    def __init__(self, job_id: str, seconds: float) -> None:
        self.job_id = job_id
        remedy = "Ask again when it has ended; enqueue what replaces jobs at the end of long transactions"
        super().__init__(f"job {job_id} is held by a transaction that was still open after {seconds:g} s. {remedy}")


class DuplicateJob(BackburnerError):
    """An equal job has the key that this one needs."""

    def __init__(self, key: str, job_id: str) -> None:
        self.key, self.job_id = key, job_id
        super().__init__(
            f"job {job_id} has the key {shown(key)}, there may not be another. "
            "Look at that job, wait for its end, or cancel it"
        )


class IdempotencyMismatch(BackburnerError, ValueError):
    """An idempotency key came again, with other arguments."""

    def __init__(self, key: str, job_id: str) -> None:
        self.key, self.job_id = key, job_id
        super().__init__(
            f"the idempotency key {shown(key)} was used with other arguments, for job {job_id}. "
            "A new request needs a new key"
        )


class LeaseLost(BackburnerError):
    """This attempt no longer owns its job: it was taken over; nothing was written."""

    def __init__(self, job_id: str, attempt: int) -> None:
        self.job_id, self.attempt = job_id, attempt
        super().__init__(f"job {job_id}: attempt {attempt} no longer owns it, nothing was written")


class JobNotFound(BackburnerError, LookupError):
    """There is no job of that id: unknown, or cleaned away."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"there is no job {shown(job_id)}: the id is unknown or the job was cleaned away")


class ScheduleNotFound(BackburnerError, LookupError):
    """There is no schedule of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is no schedule {shown(name)}. List them: backburner schedules list")


class WrongState(BackburnerError):
    """The job's state does not allow this."""

    def __init__(self, job_id: str, state: str, verb: str, allowed: str) -> None:
        self.job_id, self.state, self.verb = job_id, state, verb
        super().__init__(f"job {job_id} is {state}; {verb} needs {allowed}")


class MilestoneMissed(BackburnerError):
    """A job waits for a milestone of another one that has ended without it, or is gone."""

    def __init__(self, job_id: str, milestone: str, state: str | None) -> None:
        self.job_id, self.milestone, self.state = job_id, milestone, state
        ended = f"is {state}" if state is not None else "is gone"
        super().__init__(f"job {job_id} {ended} and has not reached {milestone!r}")


class CircularWait(BackburnerError):
    """A job is to wait for one that waits for it. `jobs` are the ids on the way, from that one to this one."""

    def __init__(self, job_id: str, jobs: tuple[str, ...]) -> None:
        self.job_id, self.jobs = job_id, jobs
        first, *others = jobs
        way = " waits for ".join(jobs) if others else "it is the same job"
        super().__init__(f"job {job_id} cannot wait for job {first}: {way}. Let one of them go on without the other")


class JobFailed(BackburnerError):
    """The result of a job was asked for that ended without one."""

    def __init__(self, job_id: str, state: str, reason: str | None) -> None:
        self.job_id, self.state, self.reason = job_id, state, reason
        super().__init__(f"job {job_id} is {state}" + (f": {reason}" if reason else ""))


class NotFinished(BackburnerError):
    """The result of a job was asked for that has not ended yet."""

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id, self.state = job_id, state
        super().__init__(f"job {job_id} is {state}, it has no result yet. Wait with job.wait(seconds) first")


class LaunchFailed(BackburnerError):
    """No process could be started for a job; nothing was stored."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"no process could be started for the job: {problem}. Nothing was stored; enqueue it instead")


class TooManyLaunched(BackburnerError):
    """As many launched processes as may run at the same time run on this machine; nothing was stored."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"{most} launched jobs run on this machine, the setting max_launched allows no more. Nothing was stored. "
            "Enqueue the job for a worker, try later, or raise max_launched"
        )


class SecretMissing(BackburnerError, KeyError):
    """This process has no secret of that name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        super().__init__(
            f"there is no secret {shown(name)} in this process, known: {', '.join(known) or 'none'}. "
            "Only the process that task.options(secrets=...).launch(...) starts has them"
        )

    def __str__(self) -> str:
        """The message; a KeyError would show its repr."""
        return str(self.args[0])


class LockLost(BackburnerError):
    """A named lock is not held any more: the database was away for too long, or somebody else has it."""

    def __init__(self, name: str, holder: str | None) -> None:
        self.name, self.holder = name, holder
        whose = f"{holder} has it" if holder is not None else "it could not be prolonged in time"
        super().__init__(f"lock {name!r} was lost: {whose}. Stop what it protects")


class AlreadyRunning(BackburnerError):
    """What may run only once at a time is running elsewhere."""

    def __init__(self, name: str, holder: str) -> None:
        self.name, self.holder = name, holder
        super().__init__(f"{name!r} is running already: {holder}")


class FilterError(BackburnerError, ValueError):
    """A filter of jobs cannot be read. `position` is where in its text, counted from 0."""

    def __init__(self, word: str, position: int, problem: str, remedy: str) -> None:
        self.word, self.position, self.problem, self.remedy = word, position, problem, remedy
        super().__init__(f"filter, at character {position + 1}: {shown(word)} {problem}. {remedy}")
