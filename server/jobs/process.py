"""The process of a job on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from server.jobs.order import Order
from server.settings import Settings

COMMAND = (sys.executable, "-P", "-m", "server.jobs")
"""What runs a job. -P keeps the folder in which the service was started off the module path: a file ``dis.py`` there
would be imported in place of the standard module."""


class JobProcess:
    """A process on this machine, which leads a group of its own, to be killed with all that it starts itself.

    It stays in the session of the service: where Linux weighs sessions against each other before it looks at niceness
    (autogroups, sched(7)), a job in a session of its own would take as much of the machine as all answers together.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], order: Order) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, process_group=0)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which is noticed in a moment
            self._process.stdin.write(order.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    @property
    def ended(self) -> bool:
        """Whether the process of the job has ended."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def kill(self) -> None:
        """End it with all that it started, and leave no zombie."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def exit_description(self) -> str:
        """How the process of the job ended, as a sentence."""
        return exit_description(self._process.wait())


def start_process(order: Order, command: Sequence[str] = COMMAND) -> JobProcess:
    """Start a process on this machine that works on a job.

    Args:
        command: what is run, with the order as a line on its standard input.

    Raises:
        OSError: it cannot be started.
    """
    threads = Settings.model_validate(order.settings).job_cpu_threads
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),  # it imports what can be imported here
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    return JobProcess(command, environment, order)


def exit_description(code: int) -> str:
    """How a process ended, as a sentence."""
    if code == -signal.SIGKILL:
        return "The job's process was killed, as happens when the machine runs out of memory."
    if code < 0:
        return f"The job's process was ended by {signal.Signals(-code).name}."
    return f"The job's process ended by itself with code {code}; the log of the service says more."
