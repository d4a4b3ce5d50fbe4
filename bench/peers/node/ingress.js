// What a team that writes Node would put in kefu-ingress's place: wechat-crypto, xml2js, ioredis, amqplib. Each push is one
// SET NX and one confirmed publish to one quorum queue.
const http = require('http');
const amqp = require('amqplib');
const Redis = require('ioredis').default;
const WXCrypto = require('wechat-crypto');
const xml2js = require('xml2js');

const { TOKEN, AES_KEY, APPID, REDIS_URL, AMQP_URL, LISTEN } = process.env;
const QUEUE = 'peer.node';
const crypto = new WXCrypto(TOKEN, AES_KEY, APPID);
const parse = (text) => xml2js.parseStringPromise(text, { trim: true, explicitArray: false });

async function main() {
  const redis = new Redis(REDIS_URL);
  const channel = await (await amqp.connect(AMQP_URL)).createConfirmChannel();
  await channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  const publish = (body) => new Promise((resolve, reject) => {
    channel.sendToQueue(QUEUE, body, { persistent: true }, (error) => (error ? reject(error) : resolve()));
  });
  const receive = async (url, body) => {
    const query = new URL(url, 'http://callback').searchParams;
    const encrypted = (await parse(body)).xml.Encrypt;
    if (crypto.getSignature(query.get('timestamp'), query.get('nonce'), encrypted) !== query.get('msg_signature')) return 401;
    const { message } = crypto.decrypt(encrypted);
    const { MsgId } = (await parse(message)).xml;
    if (await redis.set(`dedup:${APPID}:${MsgId}`, 1, 'EX', 60, 'NX')) await publish(Buffer.from(message));
    return 200;
  };
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      response.statusCode = await receive(request.url, Buffer.concat(chunks).toString()).catch(() => 503);
      response.end(response.statusCode === 200 ? 'success' : '');
    });
  });
  const [host, port] = LISTEN.split(':');
  server.listen(Number(port), host);
}

main();
