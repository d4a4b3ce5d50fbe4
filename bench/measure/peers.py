"""The peers: what a team would write in kefu's place, in Go, Node and Python. bench/peers has their sources."""

import filecmp
import shutil
import sys
from pathlib import Path

from processes import Failed, Process, free_port, listens, run, wait_for
from servers import AES_KEY, APPID, TOKEN

SOURCES = Path(__file__).resolve().parent.parent / "peers"


class Peers:
    """Builds each peer below `folder`, once; a peer that this machine cannot build is left out, with the reason in words."""

    def __init__(self, folder, patience, say):
        """`patience`: for how many seconds a build may fetch packages."""
        self.folder, self.patience, self.say, self.known = folder, patience, say, {}
        folder.mkdir(parents=True, exist_ok=True)

    def folder_of(self, language):
        """The folder with the built peers of a language; None where there are none."""
        if language not in self.known:
            build = {"go": self._go, "node": self._node, "python": self._python}[language]
            try:
                self.known[language] = build(self.folder / language)
            except Failed as failure:
                self.say(f"without the peers in {language}: {failure}")
                self.known[language] = None
        return self.known[language]

    def _go(self, folder):
        if not shutil.which("go"):
            raise Failed("there is no go on the PATH (Debian and Ubuntu: apt-get install golang-go)")
        folder.mkdir(exist_ok=True)
        # The libraries are folders of Debian's packages, so that no proxy and no checksum database is needed.
        settings = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(folder / "cache")}
        command = ["go", "build", "-o", folder / "ingress", "."]
        run("go build", command, folder / "build.log", self.patience, cwd=SOURCES / "go", env=settings)
        return folder

    def _node(self, folder):
        if not shutil.which("node") or not shutil.which("npm"):
            raise Failed("there is no node with npm on the PATH (Debian and Ubuntu: apt-get install nodejs npm)")
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        return self._installed(folder, "node", "package-lock.json", [command])

    def _python(self, folder):
        pip = [folder / "venv/bin/pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"]
        return self._installed(folder, "python", "requirements.txt", [[sys.executable, "-m", "venv", "venv"], pip])

    def _installed(self, folder, language, lock, commands):
        """A copy of the sources with the packages of the lock file. The stamp is written last."""
        stamp, log = folder / "installed", folder / "install.log"
        if not (stamp.exists() and filecmp.cmp(SOURCES / language / lock, stamp, shallow=False)):
            self.say(f"installing the packages of the peers in {language}, into {folder}")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(SOURCES / language, folder)
            for command in commands:
                run(" ".join(map(str, command[:2])), command, log, self.patience, cwd=folder)
            shutil.copy(SOURCES / language / lock, stamp)
        shutil.copytree(SOURCES / language, folder, dirs_exist_ok=True)
        return folder


def environment(servers, **more):
    return {"AMQP_URL": servers.url, "REDIS_URL": servers.redis_url, "APPID": APPID, "TOKEN": TOKEN, "AES_KEY": AES_KEY, **more}


INGRESSES = {
    "Go": ("go", ["./ingress"]),
    "Node": ("node", ["node", "ingress.js"]),
    "Python": ("python", ["venv/bin/uvicorn", "peer_ingress:app", "--no-access-log", "--host", "127.0.0.1", "--port"]),
}


def start_ingress(name, folder, servers):
    """A peer of kefu-ingress; its process and address."""
    language, command = INGRESSES[name]
    address = f"127.0.0.1:{free_port()}"
    if name == "Python":
        command = command + [address.split(":")[1]]
    settings = environment(servers, LISTEN=address)
    process = Process(f"the peer in {name}", command, servers.folder / f"peer-{language}.log", cwd=folder, env=settings)
    wait_for(f"the start of {process.name}", lambda: listens(address), process)
    return process, address


WORKERS = {
    "BullMQ (Node), concurrency 256": ("node", ["node", "worker.mjs", "fill"], ["node", "worker.mjs", "work"]),
    "Celery (Python), prefork 8": (
        "python",
        ["venv/bin/python", "peer_worker.py"],
        ["venv/bin/celery", "-A", "peer_worker", "worker", "-P", "prefork", "-c", "8", "-l", "warning"]
        + ["--without-gossip", "--without-mingle", "--without-heartbeat"],
    ),
}


def fill_worker(name, folder, servers, api, messages, users):
    language, fill, _ = WORKERS[name]
    log = servers.folder / f"peer-{language}.log"
    run(f"the queue of {name}", [*fill, messages, users], log, cwd=folder, env=environment(servers, API=api.url))


def start_worker(name, folder, servers, api):
    language, _, work = WORKERS[name]
    log = servers.folder / f"peer-{language}.log"
    return Process(name, work, log, cwd=folder, env=environment(servers, API=api.url))
