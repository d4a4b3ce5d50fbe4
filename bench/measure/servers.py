"""RabbitMQ, Redis and the load generator of a run."""

import base64
import json
import socket
import subprocess
import time

from processes import Failed, Process, http, run

TOKEN = "bench-token"
AES_KEY = "kefuBenchKeyOf43Characters0123456789ABCDEFG"
APPID = "wx0000000000000000"
# Those of 0.1; later versions have fewer.
PARTITIONS = [f"kefu.in.p{partition:02}" for partition in range(64)]


class Servers:
    """One RabbitMQ and one Redis for the run, with a fresh virtual host and an empty Redis for each round."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.rounds = programs, folder, 0
        starts = {name: self._start(name) for name in ("rabbitmq", "redis")}
        self.rabbitmq, self.redis = starts["rabbitmq"], starts["redis"]
        broker = json.loads(self.rabbitmq.line())
        self.amqp = f"amqp://guest:guest@127.0.0.1:{broker['amqp_port']}"
        self.management = f"http://127.0.0.1:{broker['management_port']}/api"
        self.redis_url = self.redis.line()
        self.version = json.loads(self._ask("GET", "overview", 200))["rabbitmq_version"]
        self.vhost = None

    def _start(self, name):
        log = self.folder / f"{name}.log"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return Process(name, [self.programs / "kefu-test-servers", name], log, **pipes)

    def fresh(self):
        """Empties both servers, and waits until they are idle. Returns RabbitMQ's URL."""
        self.clear()
        self.rounds += 1
        self.vhost = f"round-{self.rounds}"
        self._ask("PUT", f"vhosts/{self.vhost}", 201)
        if self._ask_redis(b"FLUSHALL") != "+OK\r\n":
            raise Failed("Redis did not flush")
        self._await_idle()
        return self.url

    @property
    def url(self):
        return f"{self.amqp}/{self.vhost}"

    def clear(self):
        if self.vhost:
            self._ask("DELETE", f"vhosts/{self.vhost}", 204)
            self.vhost = None

    def _ask(self, method, path, expected):
        guest = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}
        status, text = http(f"{self.management}/{path}", method=method, headers=guest)
        if status != expected:
            raise Failed(f"RabbitMQ answered {status} to {method} {path}: {text}")
        return text

    def _ask_redis(self, command):
        host, port = self.redis_url.rpartition("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(command + b"\r\n")
            return connection.recv(65536).decode()

    def redis_bytes(self):
        """The memory of Redis's data."""
        return int(self._ask_redis(b"INFO memory").split("used_memory:")[1].split()[0])

    def _await_idle(self):
        """RabbitMQ still deletes the queues of the round before."""
        last, end = self.cpu(), time.monotonic() + 15
        while time.monotonic() < end:
            time.sleep(0.5)
            now = self.cpu()
            if sum(now.values()) - sum(last.values()) < 0.05:
                return
            last = now

    def cpu(self):
        return {"rabbitmq": self.rabbitmq.cpu(), "redis": self.redis.cpu()}

    def stored(self, queues):
        """How many messages the queues hold."""
        order = json.dumps({"url": self.url, "queues": queues})
        return int(run("kefu-load", [self.programs / "kefu-load", "stored", order], self.folder / "load.log"))


class Load:
    """Pushes that are prepared, and wait for the start."""

    def __init__(self, servers, address, pushes, **options):
        order = {
            "address": address,
            "token": TOKEN,
            "encoding_aes_key": AES_KEY,
            "accounts": 1,
            "users": 1000,
            "connections": 64,
            "pushes": pushes,
            "offset": 0,
            "first": time.time_ns(),
            **options,
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [servers.programs / "kefu-load", "push", json.dumps(order)]
        self.process = Process("kefu-load", command, servers.folder / "load.log", **pipes)
        if self.process.line() != "ready":
            raise Failed("kefu-load prepared nothing")

    def run(self):
        """The report: pushes, success, refused, seconds, per_second, p50_ms, p99_ms, max_ms; and load, its CPU a push in us."""
        before = self.process.cpu()
        self.process.child.stdin.write(b"\n")
        self.process.child.stdin.flush()
        report = json.loads(self.process.line())
        report["load"] = (self.process.cpu() - before) * 1_000_000 / report["pushes"]
        self.process.child.wait()
        self.process.stop()
        return report


class Api:
    """An API of WeChat that accepts every reply, and counts."""

    def __init__(self, servers):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [servers.programs / "kefu-load", "api"]
        self.process = Process("kefu-load api", command, servers.folder / "api.log", **pipes)
        self.url = self.process.line()

    def reset(self, latency_ms=0):
        http(f"{self.url}/bench/reset", {"latency_ms": latency_ms})

    def tally(self):
        return json.loads(http(f"{self.url}/bench/tally")[1])

    def times(self):
        return json.loads(http(f"{self.url}/bench/times")[1])

    def await_replies(self, count, worker, patience=30):
        """Waits until so many replies have come. Gives up when none comes for `patience` seconds."""
        seen, since = -1, time.monotonic()
        while True:
            worker.must_run()
            replies = self.tally()["replies"]
            if replies >= count:
                return replies
            if replies != seen:
                seen, since = replies, time.monotonic()
            elif time.monotonic() - since > patience:
                raise Failed(f"{worker.name} sent {replies} of {count} replies, and none for {patience} s")
            time.sleep(0.02)
