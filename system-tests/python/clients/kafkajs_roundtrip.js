// Everything the tests ask of kafkajs. Usage: node kafkajs_roundtrip.js BOOTSTRAP TOPIC
'use strict'
const assert = require('node:assert')
const { CompressionTypes, Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'system-test', brokers: [bootstrap], logLevel: logLevel.ERROR })

async function consume(groupId, count) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 500 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const seen = []
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`only ${seen.length} of ${count}`)), 40000).unref()
    consumer.run({
      eachMessage: async ({ partition, message }) => {
        seen.push({ partition, offset: message.offset, key: message.key, value: message.value.toString(), headers: message.headers })
        if (seen.length === count) resolve()
      },
    }).catch(reject)
  })
  await consumer.commitOffsets([])
  await consumer.disconnect()
  return seen
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  assert(await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] }))
  assert(!(await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] })), 'exists already')
  assert((await admin.listTopics()).includes(topic))

  for (const [acks, compression, idempotent] of [
    [-1, CompressionTypes.None, false], [1, CompressionTypes.GZIP, false], [0, CompressionTypes.None, false], [-1, CompressionTypes.GZIP, true],
  ]) {
    const producer = kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : undefined })
    await producer.connect()
    const messages = Array.from({ length: 30 }, (_, n) => ({ key: `k${n}`, value: `v${n}`, partition: n % 3, headers: { h: 'x' } }))
    await producer.send({ topic, acks, compression, messages })
    await producer.disconnect()
  }

  const groupId = `group-${topic}`
  const seen = await consume(groupId, 120)
  assert.strictEqual(new Set(seen.map((m) => `${m.partition}/${m.offset}`)).size, 120)
  assert(seen.every((m) => m.headers.h.toString() === 'x'))

  const offsets = await admin.fetchTopicOffsets(topic)
  assert.deepStrictEqual(offsets.map((o) => o.high), ['40', '40', '40'])
  const { groups } = await admin.listGroups()
  assert(groups.some((g) => g.groupId === groupId))
  const described = await admin.describeGroups([groupId])
  assert.strictEqual(described.groups[0].state, 'Empty')
  const committed = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.deepStrictEqual(committed[0].partitions.map((p) => p.offset).sort(), ['40', '40', '40'])

  await admin.alterConfigs({ resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '99999' }] }], validateOnly: false })
  const configs = await admin.describeConfigs({ resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }], includeSynonyms: false })
  assert.strictEqual(configs.resources[0].configEntries[0].configValue, '99999')

  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '10' }] })
  assert.strictEqual((await admin.fetchTopicOffsets(topic)).find((o) => o.partition === 0).low, '10')
  await admin.deleteGroups([groupId])
  await admin.deleteTopics({ topics: [topic] })
  assert(!(await admin.listTopics()).includes(topic))
  await admin.disconnect()
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
