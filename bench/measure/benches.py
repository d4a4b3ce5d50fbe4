"""What is measured. Each bench returns a Result; each contestant of a bench has one measurement a round."""

import shutil
import time

from kefu import IGNORE, Kefu, rules
from peers import INGRESSES, WORKERS, fill_worker, start_ingress, start_worker
from processes import Failed
from servers import PARTITIONS, Load
from tables import Column, Result

US = 1_000_000


class Bench:
    """What all benches share: the servers, the builds of kefu, the peers and the sizes of loads."""

    def __init__(self, servers, api, builds, peers, options, say):
        self.servers, self.api, self.builds, self.peers = servers, api, builds, peers
        self.options, self.say = options, say
        self.folder = servers.folder

    def size(self, normal, smoke):
        return smoke if self.options.smoke else normal

    def alternate(self, result, contestants, rounds=None):
        """Every contestant in turn, in every round beginning with another one. A peer that fails is left out from then on."""
        contestants = dict(contestants)
        for turn in range(rounds or self.options.rounds):
            names = list(contestants)
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                try:
                    figures = contestants[name]()
                except Failed as failure:
                    if name not in INGRESSES and name not in WORKERS:
                        raise
                    self.say(f"{name} is left out: {failure}")
                    result.notes.append(f"{name} failed in round {turn + 1} and was left out.")
                    result.rounds.pop(name, None)
                    del contestants[name]
                    continue
                result.add(name, figures)
                words = (f"{column.title} {figures[column.key]:,.{column.digits}f}" for column in result.columns
                         if figures.get(column.key) is not None)
                self.say(f"round {turn + 1}, {name}: " + ", ".join(words))
        return result

    # ---- ingress on servers

    def kefu_on_servers(self, build, **settings):
        """A fresh queue, an empty store and kefu's configuration for them."""
        self.servers.fresh()
        return Kefu(build, self.folder, self.servers.url, self.servers.redis_url, self.api.url, **settings)

    def push(self, process, address, pushes, warm=None, idle=False, **load):
        """Warms up, pushes, and returns what the pushes cost: up to the last answer, or until the process is idle."""
        self.load(address, self.size(2_000, 50) if warm is None else warm, **load)
        measured = Load(self.servers, address, pushes, **load)
        before = {"program": process.cpu(), **self.servers.cpu()}
        report = measured.run()
        if idle:
            self.await_idle(process)
        after = {"program": process.cpu(), **self.servers.cpu()}
        if report["success"] < pushes:
            self.say(f"{process.name}: {pushes - report['success']} of {pushes} pushes were not answered success: {report['refused']}")
        if report["success"] == 0:
            raise Failed(f"{process.name} answered no push with success: {report['refused']}")
        cost = {key: (after[key] - before[key]) * US / report["success"] for key in before}
        return {**report, **cost, "cpu": sum(cost.values())}

    def await_idle(self, process, patience=60):
        last, end = process.cpu(), time.monotonic() + patience
        while time.monotonic() < end:
            time.sleep(0.3)
            now = process.cpu()
            if now - last < 0.02:
                return
            last = now

    def load(self, address, pushes, **options):
        options.pop("per_second", None)
        return Load(self.servers, address, pushes, **options).run() if pushes else {"success": 0}

    def ingresses(self, pushes, names, spool=False, **load):
        """The contestants of the benches of ingress."""
        warm = self.size(2_000, 50)

        def finish(process, queues, figures):
            process.stop()
            stored, answered = self.servers.stored(queues), figures["success"] + warm
            self.servers.clear()
            if stored < answered:
                raise Failed(f"{process.name} answered {answered} pushes with success and stored {stored}")
            return {**figures, "stored": 100 * stored / answered}

        def kefu(build, ingress=""):
            kefu = self.kefu_on_servers(build, ingress=ingress)
            process = kefu.ingress()
            return finish(process, PARTITIONS, self.push(process, kefu.address, pushes, warm, **load))

        def with_spool(build):
            folder = self.folder / "spool"
            shutil.rmtree(folder, ignore_errors=True)
            return kefu(build, f'spool = "{folder}"')

        def peer(name, folder):
            self.servers.fresh()
            process, address = start_ingress(name, folder, self.servers)
            queues = [f"peer.{INGRESSES[name][0]}"]
            # Python takes a few hundred a second: a quarter of the pushes is enough.
            fewer = pushes // 4 if name == "Python" else pushes
            return finish(process, queues, self.push(process, address, fewer, warm, **load))

        contestants = {build.name: lambda build=build: kefu(build) for build in self.builds}
        if spool:
            contestants[f"{self.builds[0].name}, spool on"] = lambda: with_spool(self.builds[0])
        for name in names:
            folder = self.peers.folder_of(INGRESSES[name][0])
            if folder:
                contestants[name] = lambda name=name, folder=folder: peer(name, folder)
        return contestants

    def ingress(self):
        columns = [
            Column("per_second", "pushes/s", compared=True),
            Column("p50_ms", "p50 ms", 1, compared=True),
            Column("p99_ms", "p99 ms", 1, compared=True),
            Column("program", "CPU a push: ingress us", compared=True),
            Column("rabbitmq", "RabbitMQ us", compared=True),
            Column("redis", "Redis us", compared=True),
            Column("cpu", "together us", compared=True),
            Column("stored", "stored of answered %", 1),
        ]
        pushes = self.size(20_000, 500)
        title = f"{pushes:,} pushes (safe mode, XML, 1,000 users) over 64 connections, each with the next push after an answer"
        result = Result("ingress", title, columns, self.builds[0].name)
        return self.alternate(result, self.ingresses(pushes, INGRESSES, spool=True))

    def open(self):
        rate = self.options.rate
        columns = [
            Column("per_second", "pushes/s"),
            Column("p50_ms", "p50 ms", 2, compared=True),
            Column("p99_ms", "p99 ms", 1, compared=True),
            Column("program", "CPU a push: ingress us", compared=True),
            Column("cpu", "with the servers us", compared=True),
        ]
        title = f"{rate:,.0f} pushes a second, due at their times whether or not answers come, over 64 connections"
        result = Result("open", title, columns, self.builds[0].name)
        pushes = int(rate * self.size(10, 1))
        return self.alternate(result, self.ingresses(pushes, ["Go"], per_second=rate))

    # ---- worker on servers

    def fill(self, kefu, messages, **load):
        """A backlog, pushed through ingress."""
        process = kefu.ingress()
        report = self.load(kefu.address, messages, **load)
        process.stop()
        if report["success"] < messages:
            raise Failed(f"{messages - report['success']} of {messages} pushes of the backlog were refused: {report['refused']}")

    def drain(self, start, messages, latency_ms=0, count=1):
        """Starts workers on a backlog and follows it to its end. What the drain costs counts from 10 % on."""
        self.api.reset(latency_ms)
        workers = [start() for _ in range(count)]
        begun = self.api.await_replies(messages // 10, workers[0])
        before = {"program": sum(worker.cpu() for worker in workers), **self.servers.cpu()}
        self.api.await_replies(messages, workers[0])
        after = {"program": sum(worker.cpu() for worker in workers), **self.servers.cpu()}
        memory = sum(worker.memory("VmHWM") for worker in workers)
        tally, at = self.api.tally(), self.api.times()
        for worker in workers:
            worker.stop()
        cost = {key: (after[key] - before[key]) * US / (messages - begun) for key in before}
        return {
            "per_second": messages * 0.9 / (at[100] - at[10]),
            "in_all": messages / (at[100] - at[0]),
            "steady": messages * 0.5 / (at[75] - at[25]),
            **cost,
            "cpu": sum(cost.values()),
            "memory": memory,
            **tally,
        }

    def drain_by(self, kefu, messages, **how):
        """The same by kefu, which keeps its promises also when it is in a hurry."""
        figures = self.drain(kefu.worker, messages, **how)
        if figures["doubled"] + figures["out_of_order"]:
            raise Failed(f"of {messages} replies {figures['doubled']} were doubled and {figures['out_of_order']} out of order")
        return figures

    def worker(self):
        messages, fewer, users = self.size(20_000, 200), self.size(3_000, 50), self.size(1_000, 50)
        columns = [
            Column("per_second", "messages/s", compared=True),
            Column("program", "CPU a message: worker us", compared=True),
            Column("rabbitmq", "RabbitMQ us"),
            Column("redis", "Redis us"),
            Column("cpu", "together us", compared=True),
            Column("memory", "memory MB"),
            Column("doubled", "doubled"),
            Column("out_of_order", "out of order"),
        ]
        title = (
            f"A backlog of {messages:,} messages ({fewer:,} for Celery) of {users:,} users, one reply each, an API without latency. "
            "Rate and CPU count from the first tenth of the replies to the last reply, without the start of the programs"
        )
        result = Result("worker", title, columns, self.builds[0].name)

        def kefu(build):
            kefu = self.kefu_on_servers(build)
            self.fill(kefu, messages, users=users)
            figures = self.drain_by(kefu, messages)
            self.servers.clear()
            return figures

        def peer(name, folder, messages):
            self.servers.fresh()
            fill_worker(name, folder, self.servers, self.api, messages, users)
            figures = self.drain(lambda: start_worker(name, folder, self.servers, self.api), messages)
            self.servers.clear()
            return figures

        contestants = {build.name: lambda build=build: kefu(build) for build in self.builds}
        for name, (language, *_) in WORKERS.items():
            folder, count = self.peers.folder_of(language), fewer if language == "python" else messages
            if folder:
                contestants[name] = lambda name=name, folder=folder, count=count: peer(name, folder, count)
        return self.alternate(result, contestants)

    def scaling(self):
        messages, users, latency_ms = self.size(20_000, 200), self.size(2_000, 50), 100
        columns = [
            Column("in_all", "messages/s in all", compared=True),
            Column("steady", "in the middle half", compared=True),
            Column("program", "CPU a message: workers us", compared=True),
            Column("doubled", "doubled"),
            Column("out_of_order", "out of order"),
        ]
        title = (
            f"A backlog of {messages:,} messages of {users:,} users, {latency_ms} ms for each reply, `[worker] concurrency = 40`. "
            "All workers start together; rates count from the first reply"
        )
        result = Result("scaling", title, columns, "1 worker", growth=True)

        def workers(build, count):
            kefu = self.kefu_on_servers(build, worker="concurrency = 40")
            self.fill(kefu, messages, users=users)
            figures = self.drain_by(kefu, messages, latency_ms=latency_ms, count=count)
            self.servers.clear()
            return figures

        first, *others = self.builds
        contestants = {plural(count): lambda count=count: workers(first, count) for count in (1, 2, 4)}
        for build in others:
            for count in (1, 4):
                contestants[f"{build.name}, {plural(count)}"] = lambda build=build, count=count: workers(build, count)
        return self.alternate(result, contestants)

    # ---- one process

    def embedded(self):
        pushes = self.size(20_000, 300)
        columns = [
            Column("per_second", "pushes/s", compared=True),
            Column("p50_ms", "p50 ms", 1, compared=True),
            Column("p99_ms", "p99 ms", 1, compared=True),
            Column("program", "CPU a push us", compared=True),
            Column("memory", "memory MB"),
        ]
        title = f"`kefu serve` with all data in one file, {pushes:,} pushes over 64 connections, each ignored by a rule"
        result = Result("embedded", title, columns, self.builds[0].name)

        def serve(build):
            data = self.folder / "data"
            shutil.rmtree(data, ignore_errors=True)
            url = f"embedded:{data}"
            kefu = Kefu(build, self.folder, url, url, self.api.url, rule=IGNORE)
            process = kefu.serve()
            figures = self.push(process, kefu.address, pushes, idle=True)
            figures["memory"] = process.memory("VmHWM")
            process.stop()
            return figures

        return self.alternate(result, {build.name: lambda build=build: serve(build) for build in self.builds})

    # ---- what grows, and what does not

    def growth(self):
        pushes, many, million = self.size(20_000, 200), self.size(1_000, 100), self.size(1_000_000, 10_000)
        backlog = self.size(1_000_000, 1_000)
        columns = [
            Column("per_second", "pushes/s"),
            Column("program", "CPU a push: ingress us", compared=True),
            Column("rabbitmq", "RabbitMQ us", compared=True),
            Column("redis", "Redis us", compared=True),
            Column("worker", "worker us", compared=True),
        ]
        base = "1 account, 1 rule, 1,000 users"
        title = f"{pushes:,} pushes over 64 connections, then their replies, as one thing grows at a time"
        result = Result("growth", title, columns, base, growth=True)

        def grown(users=1_000, accounts=1, rule=rules(1)):
            kefu = self.kefu_on_servers(self.builds[0], accounts=accounts, rule=rule)
            ingress = kefu.ingress()
            figures = self.push(ingress, kefu.address, pushes, warm=0, users=users, accounts=accounts)
            ingress.stop()
            drained = self.drain_by(kefu, pushes)
            self.servers.clear()
            return {**figures, "worker": drained["program"]}

        contestants = {
            base: grown,
            f"{many:,} accounts": lambda: grown(accounts=many),
            f"{many:,} rules, the last of which matches": lambda: grown(rule=rules(many)),
            f"{million:,} users": lambda: grown(users=million),
        }
        self.alternate(result, contestants)
        self.backlog(result, backlog, pushes)
        return result

    def backlog(self, result, wanted, pushes):
        """One round only, since filling the queues takes minutes."""
        step, end = min(wanted, 50_000), time.monotonic() + self.options.backlog_seconds
        kefu = self.kefu_on_servers(self.builds[0])
        ingress = kefu.ingress()
        load = {"users": wanted, "first": time.time_ns()}
        stored = 0
        while stored < wanted and time.monotonic() < end:
            self.load(kefu.address, step, offset=stored, **load)
            stored += step
        figures = self.push(ingress, kefu.address, pushes, warm=0, offset=stored, **load)
        ingress.stop()
        self.servers.clear()
        result.add(f"{stored:,} messages of as many users wait", figures)
        result.notes.append(f"The last row is one round; its backlog is what was stored within {self.options.backlog_seconds} s.")

    def memory(self):
        messages = self.size(20_000, 200)
        columns = [
            Column("ingress_idle", "ingress idle MB"),
            Column("ingress_full", "at full load MB"),
            Column("worker_idle", "worker idle MB"),
            Column("worker_full", "at full load MB"),
            Column("redis_kb", "Redis KB a message", 1),
        ]
        title = (
            f"Resident memory. Idle: ready, and nothing to do. At full load: the most during {messages:,} pushes over 64 "
            "connections, and while a worker with `concurrency = 256` replies to them. Redis: what it keeps of each message after the reply"
        )
        result = Result("memory", title, columns, self.builds[0].name)

        def measure(build):
            kefu = self.kefu_on_servers(build)
            ingress, worker = kefu.ingress(), kefu.only_worker()
            self.await_idle(ingress)
            self.await_idle(worker)
            empty = self.servers.redis_bytes()
            figures = {"ingress_idle": ingress.memory("VmRSS"), "worker_idle": worker.memory("VmRSS")}
            worker.stop()
            self.load(kefu.address, messages)
            figures["ingress_full"] = ingress.memory("VmHWM")
            ingress.stop()
            figures["worker_full"] = self.drain_by(kefu, messages)["memory"]
            figures["redis_kb"] = (self.servers.redis_bytes() - empty) / messages / 1000
            self.servers.clear()
            return figures

        return self.alternate(result, {build.name: lambda build=build: measure(build) for build in self.builds})


def plural(count):
    return f"{count} worker" + ("s" if count > 1 else "")
