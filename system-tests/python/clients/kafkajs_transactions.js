// Transactions of kafkajs. Usage: node kafkajs_transactions.js BOOTSTRAP TOPIC
'use strict'
const assert = require('node:assert')
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'system-test', brokers: [bootstrap], logLevel: logLevel.ERROR })

async function read(count, readUncommitted) {
  const consumer = kafka.consumer({ groupId: `${topic}-${readUncommitted}`, readUncommitted, heartbeatInterval: 500 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const seen = []
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`only ${seen.length} of ${count}`)), 40000).unref()
    consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(message.value.toString())
        if (seen.length === count) resolve()
      },
    }).catch(reject)
  })
  await consumer.disconnect()
  return seen
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] })
  const producer = kafka.producer({ transactionalId: `id-${topic}`, maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  for (let n = 0; n < 10; n++) {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value: n % 2 ? `bad-${n}` : `good-${n}` }] })
    await transaction.sendOffsets({ consumerGroupId: `group-${topic}`, topics: [{ topic, partitions: [{ partition: 0, offset: String(n + 1) }] }] })
    if (n % 2) await transaction.abort()
    else await transaction.commit()
  }
  await producer.disconnect()
  assert.deepStrictEqual(await read(5, false), ['good-0', 'good-2', 'good-4', 'good-6', 'good-8'])
  assert.strictEqual((await read(10, true)).length, 10)
  const [offsets] = await admin.fetchOffsets({ groupId: `group-${topic}`, topics: [topic] })
  assert.strictEqual(offsets.partitions[0].offset, '9')
  await admin.disconnect()
  console.log('passed')
}

main().catch((error) => { console.error(error); process.exit(1) })
