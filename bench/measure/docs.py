"""Puts the tables of a folder of results into docs/performance.md, and draws docs/images/speed.svg from them."""

import json
import re
from pathlib import Path

from picture import bars
from processes import Failed
from tables import number, table

ROOT = Path(__file__).resolve().parents[2]

# The benches whose figures are added up.
COMBINED = ["ingress", "worker"]

PICTURE = [
    ("Pushes that ingress takes in a second, each stored before its answer", "ingress", "per_second"),
    ("Messages that a worker replies to in a second", "worker", "per_second"),
    ("Workers side by side: messages a second, where WeChat takes 100 ms for a reply", "scaling", "in_all"),
]

SUMMARY = {
    "README.md": """\
* Ingress stores and answers {pushes} pushes a second: {go} times as many as a service that does only the least, in Go (with
  {go_cpu} times its CPU a push), {node} times Node, {python} times Python.
* A worker replies to {messages} messages a second: {bullmq} times BullMQ, {celery} times Celery. Four workers do {scaling} times
  the work of one.
* `kefu serve`, one process with nothing else, stores and answers {serve} pushes a second in {memory} MB.
""",
    "README.zh-CN.md": """\
* ingress 每秒存下并应答 {pushes} 条推送：是只做最少工作的 Go 服务的 {go} 倍（每条推送的 CPU 是其 {go_cpu} 倍）、Node 的 {node} 倍、Python 的 {python} 倍。
* 一个 worker 每秒回复 {messages} 条消息：是 BullMQ 的 {bullmq} 倍、Celery 的 {celery} 倍；四个 worker 的处理量是一个的 {scaling} 倍。
* `kefu serve` 单进程、无需其他服务，每秒存下并应答 {serve} 条推送，占用 {memory} MB 内存。
""",
}


def write(results):
    tables = {file.stem: file.read_text() for file in results.glob("*.md")}
    if not tables:
        raise Failed(f"there are no results in {results}")
    found = {name: json.loads((results / f"{name}.json").read_text()) for name in tables}
    commits = sorted({found[name]["commit"] for name in COMBINED if name in found})
    if len(commits) > 1:
        raise Failed(f"the results of {', '.join(COMBINED)} are of several commits of kefu: {', '.join(commits)}")
    if {"ingress", "worker"} <= found.keys():
        tables["sizing"] = _sizing(found["ingress"]["medians"]["kefu"], found["worker"]["medians"]["kefu"])
    _fill(ROOT / "docs/performance.md", tables)
    try:
        summary = _summary(found)
    except KeyError as missing:
        print(f"the READMEs keep their lines: there is no figure of {missing}")
    else:
        for page, words in SUMMARY.items():
            _fill(ROOT / page, {"summary": words.format(**summary)})
    bars_of = [(title, _peers(found[name], key)) for title, name, key in PICTURE if name in found]
    if bars_of:
        (ROOT / "docs/images/speed.svg").write_text(bars(bars_of))


def _fill(page, contents):
    """Replaces what is between the page's markers of each name."""
    text = page.read_text()
    for name, content in contents.items():
        markers = re.compile(f"(<!-- bench:{name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, times = markers.subn(lambda match: match[1] + content + match[2], text)
        if times != 1:
            raise Failed(f"{page} has {times} places for {name}, not one")
    page.write_text(text)


def _peers(content, key):
    """The medians of kefu as it is, and of its peers; not those of other commits and settings."""
    left_out = (*content["others"], "kefu, ")
    medians = [(name, of[key]) for name, of in content["medians"].items() if not name.startswith(left_out)]
    return [(f"kefu, {name}" if "worker" in name else name, value) for name, value in medians]


def _summary(found):
    """The figures of SUMMARY."""
    ratio = lambda bench, peer, key="per_second": number(found[bench]["ratios"][peer][key], 1)
    median = lambda bench, of, key: number(found[bench]["medians"][of][key], -1)
    return {
        "pushes": median("ingress", "kefu", "per_second"),
        "go": ratio("ingress", "Go"),
        "go_cpu": ratio("ingress", "Go", "program"),
        "node": ratio("ingress", "Node"),
        "python": ratio("ingress", "Python"),
        "messages": median("worker", "kefu", "per_second"),
        "bullmq": ratio("worker", "BullMQ (Node), concurrency 256"),
        "celery": ratio("worker", "Celery (Python), prefork 8"),
        "scaling": ratio("scaling", "4 workers", "in_all"),
        "serve": median("embedded", "kefu", "per_second"),
        "memory": median("embedded", "kefu", "memory"),
    }


def _sizing(push, message):
    """What one core carries, from the costs of a push and of its reply."""
    costs = {
        "ingress": push["program"],
        "worker": message["program"],
        "RabbitMQ": push["rabbitmq"] + message["rabbitmq"],
        "Redis": push["redis"] + message["redis"],
    }
    costs["all of it"] = sum(costs.values())
    rows = [[part, number(us, 0), number(1_000_000 / us, -2)] for part, us in costs.items()]
    return "\n".join(table(["", "CPU for a push and its reply, us", "messages a second that one core carries"], rows)) + "\n"
