// Requests beside each other on one HTTP/2 connection, and a stream of records whose answers are read while it is written.
// Usage: node http2_many.js BASE_URL STREAM_PATH
const http2 = require('http2');
const assert = require('assert');

const [base, streamPath] = process.argv.slice(2);

function get(session, path) {
  return new Promise((resolve, reject) => {
    const request = session.request({ ':path': path });
    let status;
    let body = '';
    request.on('response', (headers) => { status = headers[':status']; });
    request.on('data', (chunk) => { body += chunk; });
    request.on('end', () => resolve({ status, body }));
    request.on('error', reject);
  });
}

async function answersWhileWriting(session) {
  const request = session.request({ ':method': 'POST', ':path': streamPath, 'content-type': 'application/json' });
  let text = '';
  let wake = () => {};
  request.on('data', (chunk) => { text += chunk; wake(); });
  for (let number = 0; number < 20; number += 1) {
    request.write(JSON.stringify({ value: { type: 'JSON', data: number } }));
    // The first record alone may be all there is to come: the answer to a stream begins with the second.
    if (number === 0) request.write('\n');
    while (number > 0 && text.split('\n').length - 1 < number) await new Promise((resolve) => { wake = resolve; });
  }
  // While it is open, others are served on the same connection.
  assert.strictEqual((await get(session, '/topics')).status, 200);
  await new Promise((resolve) => { request.on('end', resolve); request.end(); });
  const answers = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepStrictEqual(answers.map((answer) => answer.error_code), Array(20).fill(200));
}

async function main() {
  const session = http2.connect(base);
  const found = await Promise.all(Array.from({ length: 150 }, (_, number) => get(session, `/topics?${number}`)));
  assert.ok(found.every(({ status, body }) => status === 200 && Array.isArray(JSON.parse(body))));
  await answersWhileWriting(session);
  session.close();
  console.log('passed');
}

main().catch((error) => { console.error(error); process.exit(1); });
