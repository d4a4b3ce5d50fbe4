"""What a team that writes Python would put in kefu-worker's place: Celery on RabbitMQ, the token in Redis, requests.

    python peer_worker.py MESSAGES USERS    puts messages on the queue
    celery -A peer_worker worker            replies to them
"""

import json
import os
import sys
import time

import redis
import requests
from celery import Celery

API, APPID = os.environ["API"], os.environ["APPID"]
app = Celery("peer_worker", broker=os.environ["AMQP_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_default_queue="peer.celery",
    task_ignore_result=True,
    worker_prefetch_multiplier=16,
)
store = redis.Redis.from_url(os.environ["REDIS_URL"])
session = requests.Session()
known = (None, 0.0)


def token():
    """All workers share the token in Redis; a process asks Redis again after 2 s, as kefu does."""
    global known
    if known[1] > time.monotonic():
        return known[0]
    found = store.get("peer:token")
    if found is None:
        wanted = {"grant_type": "client_credential", "appid": APPID, "secret": "any"}
        found = session.post(API + "/cgi-bin/stable_token", json=wanted).json()["access_token"]
        store.set("peer:token", found, ex=7000)
    else:
        found = found.decode()
    known = (found, time.monotonic() + 2)
    return found


@app.task
def reply(openid, msgid, text):
    if not store.set(f"peer:done:{msgid}", 1, nx=True, ex=86400):
        return
    message = {"touser": openid, "msgtype": "text", "text": {"content": text}}
    body = json.dumps(message, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    url = API + "/cgi-bin/message/custom/send?access_token=" + token()
    answer = session.post(url, data=body, headers=headers).json()
    if answer["errcode"] != 0:
        raise RuntimeError(answer)


if __name__ == "__main__":
    messages, users = int(sys.argv[1]), int(sys.argv[2])
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(messages):
            text = f"第 {number // users + 1} 条：请问订单 {number} 的物流到哪里了？"
            # The task's name, since here this file is the module __main__.
            app.send_task("peer_worker.reply", (f"oUser{number % users}", str(number), text), producer=producer)
