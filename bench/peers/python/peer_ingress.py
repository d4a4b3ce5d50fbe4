"""What a team that writes Python would put in kefu-ingress's place: wechatpy, redis and aio-pika behind FastAPI and uvicorn.

Each push is one SET NX and one confirmed publish to one quorum queue.
"""

import os
from contextlib import asynccontextmanager

import aio_pika
import redis.asyncio
from fastapi import FastAPI, Request, Response
from wechatpy import parse_message
from wechatpy.crypto import WeChatCrypto

QUEUE, APPID = "peer.python", os.environ["APPID"]
crypto = WeChatCrypto(os.environ["TOKEN"], os.environ["AES_KEY"], APPID)


@asynccontextmanager
async def servers(app):
    app.redis = redis.asyncio.from_url(os.environ["REDIS_URL"])
    connection = await aio_pika.connect_robust(os.environ["AMQP_URL"])
    channel = await connection.channel(publisher_confirms=True)
    await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    app.exchange = channel.default_exchange
    yield


app = FastAPI(lifespan=servers)


@app.post("/push/{appid}")
async def push(request: Request, msg_signature: str, timestamp: str, nonce: str):
    text = crypto.decrypt_message(await request.body(), msg_signature, timestamp, nonce)
    message = parse_message(text)
    if await app.redis.set(f"dedup:{APPID}:{message.id}", 1, nx=True, ex=60):
        body = text if isinstance(text, bytes) else text.encode()
        persistent = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await app.exchange.publish(persistent, routing_key=QUEUE)
    return Response("success")
