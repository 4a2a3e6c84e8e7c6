"""Worker processes, seen from the process that starts them: jobs in, results out.

A worker that dies costs one try of its job.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection

from testbed.contract.cells import WORKER_DIED, CellResult
from testbed.errors import TestbedError
from testbed.planning.agreement import Agreement
from testbed.running.birth import begin
from testbed.running.guarded import failed
from testbed.running.jobs import Job
from testbed.running.worker import BEGUN

TRIES = 2  # a job whose worker died runs once more, in a new worker


class Worker:
    """A spawned process with a pipe, and the job that it has."""

    pipe: Connection

    def __init__(
        self,
        agreement: Agreement,
        elsewhere: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.job: Job | None = None
        self.agreement, self.environment = agreement, environment or {}
        self._elsewhere = elsewhere
        self._begun: float | None = None
        self._tries = 0
        self._retired = self._ended = False
        self._hire()

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, end = context.Pipe()
        main = threading.current_thread() is threading.main_thread()
        arguments = pickle.dumps((self.agreement, self._elsewhere))
        self._process = context.Process(target=begin, args=(end, main, arguments), daemon=True)
        with _interrupts_ignored(main), _may_have_children(), _set(self.environment):
            self._process.start()
        end.close()
        self._ended = False

    def take(self, job: Job) -> None:
        """Send a job, to a new process if the one before had to be ended."""
        self.job, self._tries = job, 0
        if self._ended:
            self._hire()
        self._send(job)

    def _send(self, job: Job) -> None:
        self._begun = None
        try:
            self.pipe.send_bytes(pickle.dumps(job))
        except OSError:
            self.pipe.close()  # the worker has died: `outcome` will say so

    def outcome(self) -> CellResult | None:
        """The result of the current job, or None while it runs. A dead worker is replaced as long
        as the job is to be tried again; OtherCodeError from a worker with other code."""
        assert self.job is not None
        answer = self._answer()
        if not isinstance(answer, str):
            if answer is not None:
                self.job = None
            return answer
        job, seconds, late = self.job, self.seconds(), self.overdue()
        self._tries += 1
        self.end()
        if not self._retired and self._tries < TRIES and not late:
            self._hire()
            self._send(job)
            return None
        self.job = None
        return failed(job, answer, seconds)

    def _answer(self) -> CellResult | str | None:
        """The result, the reason why there is none, or None while the job runs."""
        assert self.job is not None
        try:
            while self.pipe.poll():
                content = self.pipe.recv_bytes()
                if content != BEGUN:
                    answer: CellResult | TestbedError = pickle.loads(content)
                    if isinstance(answer, TestbedError):
                        raise answer
                    return answer
                self._begun = time.monotonic()
        except (EOFError, OSError):
            self._process.join(1)
            return f"{WORKER_DIED}: the worker process ended with code {self._process.exitcode}"
        if self.overdue():
            return f"TimeoutError: the cell took more than {self.job.time_limit:g} s"
        return None

    def seconds(self) -> float:
        """The seconds for which the current job has been running, without the worker's start."""
        return time.monotonic() - self._begun if self._begun is not None else 0.0

    def overdue(self) -> bool:
        """Whether the current job has exceeded its time limit."""
        limit = self.job.time_limit if self.job else None
        return limit is not None and self.seconds() > limit

    def retire(self) -> None:
        """End the process for good."""
        self._retired = True
        self.end()

    def end(self) -> None:
        """End the process."""
        self._ended = True
        self.pipe.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _interrupts_ignored(main: bool) -> Iterator[None]:
    """Processes started here never see Ctrl-C: the main process ends them."""
    if not main:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _may_have_children() -> Iterator[None]:
    """Let a daemonic process, such as a worker of dask, start processes of its own."""
    settings: dict[str, object] = getattr(multiprocessing.current_process(), "_config", {})
    daemon = settings.pop("daemon", None)
    try:
        yield
    finally:
        if daemon is not None:
            settings["daemon"] = daemon


@contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    """Environment variables of processes started here."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
