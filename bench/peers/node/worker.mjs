// What a team that writes Node would put in kefu-worker's place: BullMQ on Redis, undici with keep-alive.
//   node worker.mjs fill MESSAGES USERS    puts messages on the queue
//   node worker.mjs work                   replies to them
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Agent, request } from 'undici';

const { API, REDIS_URL, APPID } = process.env;
const { hostname: host, port } = new URL(REDIS_URL);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const [, , what, messages, users] = process.argv;

if (what === 'fill') {
  const queue = new Queue('peer', { connection });
  for (let first = 0; first < Number(messages); first += 500) {
    await queue.addBulk(Array.from({ length: Math.min(500, messages - first) }, (_, index) => {
      const number = first + index;
      const text = `第 ${Math.floor(number / users) + 1} 条：请问订单 ${number} 的物流到哪里了？`;
      const data = { openid: `oUser${number % users}`, msgid: String(number), text };
      return { name: 'message', data, opts: { removeOnComplete: true, attempts: 3 } };
    }));
  }
  await queue.close();
} else {
  const redis = new Redis(connection);
  const dispatcher = new Agent({ connections: 100 });
  const call = async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await request(API + path, { method: 'POST', dispatcher, headers, body: JSON.stringify(body) });
    return answer.body.json();
  };
  // All workers share the token in Redis; a process asks Redis again after 2 s, as kefu does.
  let known;
  const token = async () => {
    if (known && known.until > Date.now()) return known.token;
    let token = await redis.get('peer:token');
    if (!token) {
      const wanted = { grant_type: 'client_credential', appid: APPID, secret: 'any' };
      token = (await call('/cgi-bin/stable_token', wanted)).access_token;
      await redis.set('peer:token', token, 'EX', 7000);
    }
    known = { token, until: Date.now() + 2000 };
    return token;
  };
  const reply = async ({ data: { openid, msgid, text } }) => {
    if (!await redis.set(`peer:done:${msgid}`, 1, 'EX', 86400, 'NX')) return;
    const message = { touser: openid, msgtype: 'text', text: { content: text } };
    const answer = await call(`/cgi-bin/message/custom/send?access_token=${await token()}`, message);
    if (answer.errcode !== 0) throw new Error(JSON.stringify(answer));
  };
  const worker = new Worker('peer', reply, { connection, concurrency: 256 });
  worker.on('failed', (_, error) => console.error('failed', error.message));
  process.on('SIGTERM', () => process.exit(0));
}
