// kafkajs over SASL: address, mechanism, user, password, topic.
const { Kafka, logLevel } = require('kafkajs');

const [address, mechanism, username, password, topic] = process.argv.slice(2);

async function main() {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.ERROR, sasl: { mechanism, username, password } });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: [{ value: 'a' }, { value: 'b' }] });
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: `g-${topic}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const read = [];
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`read ${read}`)), 30000).unref();
    consumer.run({ eachMessage: async ({ message }) => { if (read.push(message.value.toString()) === 2) resolve(); } });
  });
  await consumer.disconnect();
  if (read.join() !== 'a,b') throw new Error(`read ${read}`);
}

main().catch((error) => { console.error(error); process.exit(1); });
