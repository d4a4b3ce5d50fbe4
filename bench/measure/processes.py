"""Processes of the bench: each ends with the bench, and says what processor time and memory it took."""

import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
_running = []


class Failed(Exception):
    """A measurement cannot be made. The text is for people."""


def _end_with_the_bench():
    """Runs in the new process: the kernel kills it when the bench is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A process, and those that it starts, in a process group of their own: Ctrl-C reaches the bench alone."""

    def __init__(self, name, command, log, **options):
        self.name, self.log = name, log
        options["env"] = {**os.environ, **options.get("env", {})}
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(log, "ab") as output:
            options.setdefault("stdout", output)
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_the_bench,
                **options,
            )
        _running.append(self)

    def stop(self, patience=30):
        """Asks the process to end; kills what is left of its group. What has a pipe for its input ends with the input."""
        if self not in _running:
            return
        if self.child.poll() is None:
            if self.child.stdin:
                self.child.stdin.close()
            else:
                self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()
        _running.remove(self)

    def must_run(self):
        if self.child.poll() is not None:
            raise Failed(f"{self.name} ended with {self.child.returncode}:\n{tail(self.log)}")

    def line(self):
        """The next line that the process prints."""
        line = self.child.stdout.readline().decode().strip()
        if not line:
            raise Failed(f"{self.name} ended:\n{tail(self.log)}")
        return line

    def cpu(self):
        """Seconds of processor time, with all descendants."""
        return sum(_cpu(pid) for pid in family(self.child.pid))

    def memory(self, what):
        """MB, with all descendants. `what` is VmRSS (now) or VmHWM (the most so far)."""
        return sum(_memory(pid, what) for pid in family(self.child.pid))


@atexit.register
def stop_all():
    for process in reversed(list(_running)):
        process.stop(patience=5)


def run(name, command, log, patience=3600, **options):
    """Runs a command to its end, within so many seconds, and returns what it printed."""
    process = Process(name, command, log, stdout=subprocess.PIPE, **options)
    try:
        printed, _ = process.child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} did not end within {patience} s") from None
    finally:
        process.stop()
    status = process.child.returncode
    if status != 0:
        raise Failed(f"{name} ended with {status}:\n{tail(log)}")
    return printed.decode()


def tail(log, lines=15):
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])


def _stat(pid):
    # The name, in parentheses, may hold spaces.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu(pid):
    try:
        return sum(map(int, _stat(pid)[11:15])) / TICKS
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _memory(pid, what):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1000 * 1.024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def family(pid):
    """The process and its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat(entry)[1]), []).append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
    found = [pid]
    for member in found:
        found.extend(children.get(member, []))
    return found


def free_port():
    """A port below those that Linux gives to outgoing connections, free at the moment."""
    for port in range(20000 + os.getpid() % 5000 + free_port.taken, 32000):
        free_port.taken += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failed("no port between 20000 and 32000 is free")


free_port.taken = 0


def http(url, body=None, method=None, headers=None):
    """Status and text of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def wait_for(what, ready, process=None, patience=120, pause=0.02):
    """Waits until `ready` says yes."""
    end = time.monotonic() + patience
    while True:
        if process:
            process.must_run()
        try:
            found = ready()
            if found:
                return found
        except OSError:
            pass
        if time.monotonic() > end:
            raise Failed(f"{what} did not happen within {patience} s")
        time.sleep(pause)


def listens(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=1):
        return True
