"""Runs benches one after the other: bench/run starts this program once the servers are there and all is built."""

import argparse
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import docs
from benches import Bench
from peers import Peers
from processes import Failed, run, stop_all
from servers import Api, Servers

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["ingress", "open", "worker", "scaling", "embedded", "growth", "memory"]

# A kefu to measure, and the folder of its programs.
Build = namedtuple("Build", "name folder")


def say(text):
    print(f"[{time.monotonic() - say.start:4.0f} s] {text}", flush=True)


say.start = time.monotonic()


def arguments():
    # bench/run explains the options.
    parser = argparse.ArgumentParser(prog="bench/run", usage="bench/run --help says more", add_help=False)
    parser.add_argument("benches", nargs="*")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--against", action="append", default=[])
    parser.add_argument("--rate", type=float)
    parser.add_argument("--backlog-seconds", type=int)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--target", type=Path, required=True)
    options = parser.parse_args()
    unknown = [name for name in options.benches if name not in NAMES]
    if unknown:
        parser.error(f"there is no bench {unknown[0]}; there are {', '.join(NAMES)}")
    options.rounds = options.rounds or (1 if options.smoke else 5)
    options.rate = options.rate or (200 if options.smoke else 1500)
    options.backlog_seconds = options.backlog_seconds or (5 if options.smoke else 300)
    options.out = options.out or options.target / "bench" / ("smoke" if options.smoke else "results")
    return options


def builds(options):
    profile = "debug" if options.smoke else "release"
    found = [Build("kefu", options.target / profile)]
    for commit in options.against:
        folder = options.target / "bench" / "against" / commit
        source = folder / "source"
        folder.mkdir(parents=True, exist_ok=True)
        if not source.exists():
            subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
            run("git worktree", ["git", "worktree", "add", "--detach", source, commit], folder / "build.log", cwd=ROOT)
        say(f"building {commit}, in {folder}")
        command = ["cargo", "build", "--locked", "-p", "kefu-ingress", "-p", "kefu-worker", "-p", "kefu-cli"]
        command += [] if options.smoke else ["--release"]
        target = {"CARGO_TARGET_DIR": str(folder / "target")}
        run("cargo build", command, folder / "build.log", cwd=source, env=target)
        found.append(Build(commit, folder / "target" / profile))
    return found


def version(command, pattern=r"[\d.]+\d"):
    if not shutil.which(command[0]):
        return None
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(pattern, printed)
    return found and found.group()


def about(options, servers):
    """When and where the figures were measured, for people and for programs."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    versions = {
        "RabbitMQ": servers.version,
        "Redis": version([os.environ.get("KEFU_TEST_REDIS_SERVER", "redis-server"), "--version"]),
        "Go": version(["go", "version"], r"\d[\d.]+"),
        "Node": version(["node", "--version"]),
        "Python": platform.python_version(),
    }
    found = {
        "when": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "build": "debug" if options.smoke else "release",
        "others": options.against,
        "machine": f"{os.cpu_count()} cores of {model.group(1) if model else platform.machine()}",
        "versions": {name: found for name, found in versions.items() if found},
    }
    beside = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    found["words"] = (
        f"kefu {found['commit']} ({found['build']}), {found['when']}, {found['machine']}, with {beside}. "
    )
    found["words"] += "One round." if options.rounds == 1 else (
        f"Median of {options.rounds} alternating rounds, with the smallest and the largest value."
    )
    return found


def main():
    options = arguments()
    if options.docs:
        docs.write(options.out)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-"))
    try:
        found = builds(options)
        say("starting RabbitMQ and Redis")
        servers = Servers(options.target / ("debug" if options.smoke else "release"), folder)
        peers = Peers(options.target / "bench" / "peers", 60 if options.smoke else 600, say)
        bench = Bench(servers, Api(servers), found, peers, options, say)
        for name in options.benches or NAMES:
            say(f"bench {name}")
            result = getattr(bench, name)()
            print(f"\n## {name}\n\n{result.write(options.out, about(options, servers))}", flush=True)
        say(f"the tables are in {options.out}")
    finally:
        stop_all()
        shutil.rmtree(folder, ignore_errors=True)


try:
    main()
except Failed as failure:
    sys.exit(f"bench/run: {failure}")
except KeyboardInterrupt:
    sys.exit(130)
