// A webhook for kefu, with nothing but Node's standard library (18 or later).
//
//     KEFU_WEBHOOK_SECRET='the secret of kefu.toml' node webhook.mjs [PORT]
//
// It checks the signature, answers texts and pictures, and says nothing to everything else. See docs/webhook.md.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const SECRET = process.env.KEFU_WEBHOOK_SECRET;
if (!SECRET) throw new Error('KEFU_WEBHOOK_SECRET is not set');
const MAX_AGE_SECONDS = 300;
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** Whether kefu made this call, a moment ago. */
function isAuthentic(headers, body) {
  const timestamp = headers['kefu-timestamp'] ?? '';
  if (!/^[0-9]+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > MAX_AGE_SECONDS) return false;
  const digest = createHmac('sha256', SECRET).update(`${timestamp}.`).update(body).digest('hex');
  const expected = Buffer.from(`v1=${digest}`);
  const given = Buffer.from(headers['kefu-signature'] ?? '');
  // In constant time: how long a comparison takes must not tell how much of a guess is right.
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The envelope, and the picture if there is one. */
function read(headers, body) {
  const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(headers['content-type'] ?? '')?.[1];
  if (!boundary) return { envelope: JSON.parse(body) };
  const parts = {};
  let start = body.indexOf(`--${boundary}\r\n`);
  while (start >= 0) {
    const head = body.indexOf('\r\n\r\n', start);
    const end = body.indexOf(`\r\n--${boundary}`, head);
    const name = /name="(\w+)"/.exec(body.toString('latin1', start, head))?.[1];
    parts[name] = body.subarray(head + 4, end);
    start = body.indexOf(`--${boundary}\r\n`, end);
  }
  return { envelope: JSON.parse(parts.envelope), picture: parts.media };
}

/** Your own logic: a list of replies, shaped as in kefu's rules. */
function repliesTo({ envelope, picture }) {
  const content = envelope.push.content;
  if (content.type === 'text') return [{ text: `You wrote: ${content.content}` }];
  if (content.type === 'image' && picture) return [{ text: `A picture of ${picture.length} bytes, thank you.` }];
  return [];
}

// The last answers: kefu may ask again after a crash, and gets the same answer then.
const answers = new Map();

function answerOnce(message, make) {
  if (!answers.has(message)) {
    answers.set(message, make());
    if (answers.size > 10_000) answers.delete(answers.keys().next().value);
  }
  return answers.get(message);
}

const server = createServer(async (request, response) => {
  try {
    const chunks = [];
    let length = 0;
    for await (const chunk of request) {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) return response.writeHead(413, { connection: 'close' }).end();
      chunks.push(chunk);
    }
    const body = Buffer.concat(chunks);
    if (!isAuthentic(request.headers, body)) return response.writeHead(401).end();
    const replies = answerOnce(request.headers['kefu-message'], () => repliesTo(read(request.headers, body)));
    if (replies.length === 0) return response.writeHead(204).end();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ replies }));
  } catch {
    // kefu asks again. What users write belongs in no log.
    response.writeHead(500).end();
  }
});

server.listen(Number(process.argv[2] ?? 8000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});
