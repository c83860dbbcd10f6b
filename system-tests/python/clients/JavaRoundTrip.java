import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/** Everything the tests ask of Apache Kafka's Java clients. Usage: java JavaRoundTrip.java BOOTSTRAP TOPIC */
public class JavaRoundTrip {
    static String bootstrap;
    static String topic;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        topic = args[1];
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all().get();
            produceWithEveryCodec();
            consume("classic", "g-classic-" + topic, 500);
            consume("consumer", "g-consumer-" + topic, 500);
            positions();
            administer(admin);
        }
        System.out.println("passed");
    }

    static void check(boolean held, String what) {
        if (!held) throw new AssertionError(what);
    }

    static void produceWithEveryCodec() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Map<String, Object> options = Map.of("bootstrap.servers", bootstrap, "compression.type", codec, "enable.idempotence", true,
                "acks", "all", "linger.ms", 5);
            try (var producer = new KafkaProducer<>(options, new StringSerializer(), new StringSerializer())) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int n = 0; n < 100; n++) {
                    var record = new ProducerRecord<>(topic, n % 3, 1_000L + n, codec, "value-" + n);
                    record.headers().add(new RecordHeader("h", "v".getBytes(StandardCharsets.UTF_8)));
                    sent.add(producer.send(record));
                }
                producer.flush();
                for (var future : sent) check(future.get().hasOffset(), "an offset");
            }
        }
    }

    static Map<String, Object> consumerOptions(String protocol, String group) {
        Map<String, Object> options = new HashMap<>();
        options.put("bootstrap.servers", bootstrap);
        options.put("group.id", group);
        options.put("group.protocol", protocol);
        options.put("auto.offset.reset", "earliest");
        options.put("enable.auto.commit", false);
        options.put("isolation.level", "read_committed");
        return options;
    }

    static void consume(String protocol, String group, int expected) {
        Set<String> seen = new HashSet<>();
        try (var consumer = new KafkaConsumer<>(consumerOptions(protocol, group), new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            while (seen.size() < expected && System.nanoTime() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    check(seen.add(record.partition() + "/" + record.offset()), "read twice");
                    check(new String(record.headers().lastHeader("h").value()).equals("v"), "header");
                    check(record.timestamp() >= 1_000 && record.timestamp() < 1_100, "timestamp");
                }
            }
            check(seen.size() == expected, protocol + ": " + seen.size() + " of " + expected);
            consumer.commitSync();
            long committed = consumer.committed(Set.of(new TopicPartition(topic, 0))).get(new TopicPartition(topic, 0)).offset();
            check(committed == 170, "committed " + committed);
        }
    }

    static void positions() {
        var partition = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<>(consumerOptions("classic", "positions-" + topic), new StringDeserializer(), new StringDeserializer())) {
            check(consumer.beginningOffsets(List.of(partition)).get(partition) == 0, "beginning");
            check(consumer.endOffsets(List.of(partition)).get(partition) == 170, "end");
            check(consumer.offsetsForTimes(Map.of(partition, 1_003L)).get(partition).offset() == 1, "offset for time");
            consumer.assign(List.of(partition));
            consumer.seek(partition, 169);
            List<Long> offsets = new ArrayList<>();
            long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
            while (offsets.isEmpty() && System.nanoTime() < deadline)
                consumer.poll(Duration.ofMillis(200)).forEach(record -> offsets.add(record.offset()));
            check(offsets.equals(List.of(169L)), "seek: " + offsets);
        }
    }

    interface Call {
        void run() throws Exception;
    }

    static void fails(Class<? extends Exception> with, Call call) throws Exception {
        try {
            call.run();
        } catch (ExecutionException error) {
            check(with.isInstance(error.getCause()), "expected " + with + ", got " + error.getCause());
            return;
        }
        throw new AssertionError("expected " + with);
    }

    static void administer(Admin admin) throws Exception {
        var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        check(described.partitions().size() == 3, "three partitions");
        check(admin.describeCluster().clusterId().get().length() == 22, "cluster id");
        var byId = admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(described.topicId()))).allTopicIds().get();
        check(byId.get(described.topicId()).name().equals(topic), "by topic id");

        fails(TopicExistsException.class, () -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get());
        fails(InvalidReplicationFactorException.class, () -> admin.createTopics(List.of(new NewTopic(topic + "r", 1, (short) 3))).all().get());
        fails(UnknownTopicOrPartitionException.class, () -> admin.describeTopics(List.of(topic + "nope")).allTopicNames().get());
        fails(InvalidConfigurationException.class, () -> admin.createTopics(
            List.of(new NewTopic(topic + "c", 1, (short) 1).configs(Map.of("nope", "1")))).all().get());

        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", "12345678"), AlterConfigOp.OpType.SET)))).all().get();
        var entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
        check(entry.value().equals("12345678") && entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "config " + entry);

        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        var zero = new TopicPartition(topic, 0);
        for (var spec : Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 170L).entrySet())
            check(admin.listOffsets(Map.of(zero, spec.getKey())).all().get().get(zero).offset() == spec.getValue(), "list offsets");
        check(admin.listOffsets(Map.of(zero, OffsetSpec.maxTimestamp())).all().get().get(zero).offset() >= 0, "max timestamp");
        check(admin.listOffsets(Map.of(zero, OffsetSpec.earliestLocal())).all().get().get(zero).offset() == 0, "earliest local");
        check(admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(10))).lowWatermarks().get(zero).get().lowWatermark() == 10, "low watermark");

        String classic = "g-classic-" + topic;
        String consumer = "g-consumer-" + topic;
        check(admin.listGroups().all().get().stream().map(GroupListing::groupId).toList().containsAll(List.of(classic, consumer)), "groups");
        check(admin.describeConsumerGroups(List.of(consumer)).all().get().get(consumer).type().toString().equals("Consumer"), "type");
        check(admin.describeConsumerGroups(List.of(classic)).all().get().get(classic).type().toString().equals("Classic"), "type");
        check(admin.listConsumerGroupOffsets(classic).partitionsToOffsetAndMetadata().get().get(zero).offset() == 170, "group offsets");
        admin.alterConsumerGroupOffsets(classic, Map.of(zero, new OffsetAndMetadata(3))).all().get();
        check(admin.listConsumerGroupOffsets(classic).partitionsToOffsetAndMetadata().get().get(zero).offset() == 3, "altered");
        admin.deleteConsumerGroupOffsets(classic, Set.of(zero)).all().get();
        check(!admin.listConsumerGroupOffsets(classic).partitionsToOffsetAndMetadata().get().containsKey(zero), "deleted offset");
        admin.deleteConsumerGroups(List.of(classic, consumer)).all().get();

        var directories = admin.describeLogDirs(List.of(admin.describeCluster().nodes().get().iterator().next().id())).allDescriptions().get();
        check(directories.values().iterator().next().values().iterator().next().replicaInfos().containsKey(zero), "log dirs");
        admin.deleteTopics(List.of(topic)).all().get();
    }
}
