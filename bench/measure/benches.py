"""What is measured. Each bench returns a Result; each contestant of a bench has one measurement a round."""

import shutil

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
                    if name == result.reference or any(name.startswith(build.name) for build in self.builds):
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

    def push(self, process, address, pushes, warm=None, **load):
        """Warms up, pushes, and returns what the pushes cost."""
        self.load(address, self.size(2_000, 50) if warm is None else warm, **load)
        measured = Load(self.servers, address, pushes, **load)
        before = {"program": process.cpu(), **self.servers.cpu()}
        report = measured.run()
        after = {"program": process.cpu(), **self.servers.cpu()}
        if report["success"] < pushes:
            self.say(f"{process.name}: {pushes - report['success']} of {pushes} pushes were not answered success: {report['refused']}")
        if report["success"] == 0:
            raise Failed(f"{process.name} answered no push with success: {report['refused']}")
        cost = {key: (after[key] - before[key]) * US / report["success"] for key in before}
        return {**report, **cost, "cpu": sum(cost.values())}

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
            return finish(process, queues, self.push(process, address, pushes, warm, **load))

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
            figures = self.drain(kefu.worker, messages)
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
