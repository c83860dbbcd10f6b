// Inserts over HTTP/2 where every line waits for the acknowledgement of the line before: node sql_inserts_http2.js URL
// TARGET LINES. Then a line that is no JSON, which ends the stream while the request is still open.

const assert = require('assert');
const http2 = require('http2');

const [url, target, count] = process.argv.slice(2);
const session = http2.connect(url);
const request = session.request({ ':method': 'POST', ':path': '/inserts-stream' }, { endStream: false });
const answers = [];
let text = '';

request.setEncoding('utf8');
request.on('response', (headers) => {
  assert.strictEqual(headers[':status'], 200);
  request.write(`${JSON.stringify({ id: 'k0', n: 0 })}\n`);
});
request.on('data', (chunk) => {
  text += chunk;
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
    answers.push(JSON.parse(text.slice(0, end)));
    text = text.slice(end + 1);
    const n = answers.length;
    if (n < Number(count)) {
      request.write(`${JSON.stringify({ id: `k${n}`, n })}\n`);
    } else if (n === Number(count)) {
      request.write('{"id": no JSON}\n');
    }
  }
});
request.on('end', () => {
  assert.strictEqual(answers.length, Number(count) + 1);
  answers.slice(0, -1).forEach((answer, n) => assert.deepStrictEqual(answer, { status: 'ok', seq: n }));
  const last = answers[answers.length - 1];
  assert.strictEqual(last.status, 'error');
  assert.strictEqual(last.error_code, 40000);
  console.log('ok');
  session.destroy();
});
request.on('error', (error) => { console.error(error); process.exit(1); });
request.write(`${JSON.stringify({ target })}\n`);
setTimeout(() => { console.error('no end', answers); process.exit(1); }, 30000).unref();
