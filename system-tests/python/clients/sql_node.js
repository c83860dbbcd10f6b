// ksqldb-client, the client of ksqlDB for Node: node sql_node.js PORT PREFIX.

const assert = require('assert');
const KsqldbClient = require('ksqldb-client');

const earliest = { properties: { 'auto.offset.reset': 'earliest' }, streamsProperties: { 'auto.offset.reset': 'earliest' } };

async function main(port, prefix) {
  const client = new KsqldbClient({ host: 'http://127.0.0.1', port });
  await client.connect();
  const stream = `${prefix}_NODE`;
  const created = await client.executeStatement(
    `CREATE STREAM ${stream} (id STRING KEY, n INT) WITH (kafka_topic='${stream}', partitions=1, value_format='JSON');`);
  assert.strictEqual(created.status, 200, JSON.stringify(created));
  const listed = await client.listStreams();
  assert(listed.some((one) => one.name === stream && one.type === 'STREAM'), JSON.stringify(listed));
  for (const what of ['listTables', 'listTopics', 'listQueries']) {
    assert(Array.isArray(await client[what]()), what);
  }
  const described = await client.describeSource(stream);
  assert.deepStrictEqual(described.fields.map((field) => field.name), ['ID', 'N']);

  for (const n of [1, 2, 3]) {
    const inserted = await client.insertInto(stream, { id: `k${n}`, n });
    assert.deepStrictEqual(inserted.data.rows, [{ status: 'ok', seq: 0 }]);
  }
  const refused = await client.insertInto(stream, { id: 'x', n: 'no number' });
  assert.strictEqual(refused.error.status, 'error', JSON.stringify(refused));

  const pulled = await client.query(`SELECT * FROM ${stream} WHERE n > 1;`);
  assert.deepStrictEqual(pulled.data.rows, [{ ID: 'k2', N: 2 }, { ID: 'k3', N: 3 }]);

  const rows = [];
  const pushed = await client.streamQuery(`SELECT n FROM ${stream} EMIT CHANGES;`, (data) => {
    rows.push(...(data.rows || []));
    if (rows.length === 3) {
      client.terminatePushQuery(data.metadata.queryId).then((closed) => assert.strictEqual(closed.status, 200));
    }
  }, earliest);
  assert.deepStrictEqual(rows, [{ N: 1 }, { N: 2 }, { N: 3 }]);
  assert.deepStrictEqual(pushed.data.metadata.columnTypes, ['INTEGER']);

  const wrong = await client.streamQuery('SELECT * FROM nowhere EMIT CHANGES;', () => {});
  assert.strictEqual(wrong.status, 400);
  assert.strictEqual(wrong.error.error_code, 40001, JSON.stringify(wrong));
  const unknown = await client.terminatePushQuery('nothing');
  assert.strictEqual(unknown.status, 400);
  const dropped = await client.executeStatement(`DROP STREAM ${stream} DELETE TOPIC;`);
  assert.strictEqual(dropped.status, 200, JSON.stringify(dropped));
  await client.disconnect();
  console.log('ok');
}

main(Number(process.argv[2]), process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
