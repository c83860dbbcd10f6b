// Registers a schema of each format, produces a record with each, and reads them back.
const { Kafka, logLevel } = require('kafkajs');
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry');
const [bootstrap, url, topic] = process.argv.slice(2);
(async () => {
  const registry = new SchemaRegistry({ host: url });
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });
  const avro = JSON.stringify({ type: 'record', name: 'Order', namespace: 'node',
    fields: [{ name: 'id', type: 'int' }, { name: 'item', type: 'string' }] });
  const { id } = await registry.register({ type: SchemaType.AVRO, schema: avro },
    { subject: topic + '-value', compatibility: COMPATIBILITY.BACKWARD });
  const again = await registry.register({ type: SchemaType.AVRO, schema: avro }, { subject: topic + '-value' });
  if (again.id !== id) throw new Error('another id');
  const json = await registry.register({ type: SchemaType.JSON, schema: JSON.stringify({ type: 'object' }) },
    { subject: topic + '-json' });
  const proto = await registry.register({ type: SchemaType.PROTOBUF,
    schema: 'syntax = "proto3"; package node; message Order { int32 id = 1; string item = 2; }' },
    { subject: topic + '-proto' });
  const values = [];
  for (const schema of [id, json.id, proto.id]) values.push(await registry.encode(schema, { id: 7, item: 'tea' }));
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: 'g-' + topic });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const read = [];
  await new Promise((done) => consumer.run({ eachMessage: async ({ message }) => {
    read.push(await registry.decode(message.value));
    if (read.length === values.length) done();
  } }));
  await consumer.disconnect();
  console.log(JSON.stringify({ read, latest: await registry.getLatestSchemaId(topic + '-value'), id }));
})().catch((error) => { console.error(error); process.exit(1); });
