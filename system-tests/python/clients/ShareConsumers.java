import java.time.Duration;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * Apache Kafka's share consumer against a broker whose acquisition locks last two seconds.
 * Usage: java ShareConsumers.java BOOTSTRAP TOPIC [accept|hold]
 */
public class ShareConsumers {
    static String bootstrap;
    static String topic;
    static Admin admin;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        topic = args[1];
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        if (args.length > 2) {
            if (args[2].equals("hold")) holdWhatComes();
            acceptUntilStopped();
        }
        membersOfOnePartitionGetDifferentRecords();
        releaseRejectAndAccept();
        locksRunOutAndAreRenewed();
        abortedRecordsAreNotSeen();
        System.out.println("passed");
        System.exit(0);
    }

    static void check(boolean held, String what) {
        if (!held) throw new AssertionError(what);
    }

    static String fresh(String name, int records) throws Exception {
        String made = topic + "-" + name;
        admin.createTopics(List.of(new NewTopic(made, 1, (short) 1))).all().get();
        fill(made, records);
        return made;
    }

    static void fill(String into, int records) {
        try (Producer<String, String> producer = producer(Map.of())) {
            for (int i = 0; i < records; i++) producer.send(new ProducerRecord<>(into, "" + i));
        }
    }

    static Producer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", bootstrap);
        // Small batches, so that members share a partition fairly.
        config.put("batch.size", "100");
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    static void configure(String group, String... pairs) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        for (int i = 0; i < pairs.length; i += 2)
            ops.add(new AlterConfigOp(new ConfigEntry(pairs[i], pairs[i + 1]), AlterConfigOp.OpType.SET));
        ops.add(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), ops)).all().get();
    }

    static KafkaShareConsumer<String, String> member(String group, String from, int maxRecords) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", group);
        config.put("max.poll.records", maxRecords);
        config.put("share.acknowledgement.mode", "explicit");
        config.put("share.acquire.mode", "record_limit");
        KafkaShareConsumer<String, String> consumer =
            new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(from));
        return consumer;
    }

    /** Polls until records come, at most ten seconds. */
    static List<ConsumerRecord<String, String>> some(KafkaShareConsumer<String, String> consumer) {
        long deadline = System.nanoTime() + 15_000_000_000L;
        while (System.nanoTime() < deadline) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(300));
            if (!records.isEmpty()) {
                List<ConsumerRecord<String, String>> list = new ArrayList<>();
                records.forEach(list::add);
                return list;
            }
        }
        return List.of();
    }

    static void membersOfOnePartitionGetDifferentRecords() throws Exception {
        String from = fresh("shared", 0), group = "g-" + from;
        configure(group);
        Map<String, Integer> seen = new TreeMap<>();
        Set<Integer> served = new HashSet<>();
        List<KafkaShareConsumer<String, String>> members =
            List.of(member(group, from, 10), member(group, from, 10), member(group, from, 10));
        long deadline = System.nanoTime() + 60_000_000_000L;
        // Everybody is there before the first record is.
        for (boolean joined = false; !joined && System.nanoTime() < deadline; ) {
            for (KafkaShareConsumer<String, String> member : members) member.poll(Duration.ofMillis(100));
            Collection<ShareMemberDescription> there =
                admin.describeShareGroups(List.of(group)).all().get().get(group).members();
            joined = there.size() == 3 && there.stream().noneMatch(m -> m.assignment().topicPartitions().isEmpty());
        }
        fill(from, 100);
        while (seen.size() < 100 && System.nanoTime() < deadline) {
            for (int i = 0; i < members.size(); i++) {
                for (ConsumerRecord<String, String> record : members.get(i).poll(Duration.ofMillis(100))) {
                    seen.merge(record.value(), 1, Integer::sum);
                    served.add(i);
                    members.get(i).acknowledge(record, AcknowledgeType.ACCEPT);
                }
            }
        }
        for (KafkaShareConsumer<String, String> member : members) {
            member.commitSync();
            member.close();
        }
        check(seen.size() == 100, "all records: " + seen.size());
        check(seen.values().stream().allMatch(count -> count == 1), "each once: " + seen);
        check(served.size() > 1, "more than one member was served");
        long lag = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
            .partitionsToOffsetInfo(group).get().values().iterator().next().lag().get();
        check(lag == 0, "lag " + lag);
    }

    static void releaseRejectAndAccept() throws Exception {
        String from = fresh("acks", 3), group = "g-" + from;
        configure(group, "share.delivery.count.limit", "3");
        try (KafkaShareConsumer<String, String> consumer = member(group, from, 10)) {
            List<String> story = new ArrayList<>();
            for (int round = 0; round < 4; round++) {
                List<ConsumerRecord<String, String>> records = round < 3 ? some(consumer) : toList(consumer);
                for (ConsumerRecord<String, String> record : records) {
                    story.add(record.value() + "/" + record.deliveryCount().get());
                    consumer.acknowledge(record, switch (record.value()) {
                        case "0" -> AcknowledgeType.ACCEPT;
                        case "1" -> AcknowledgeType.REJECT;
                        default -> AcknowledgeType.RELEASE;
                    });
                }
                Map<?, Optional<org.apache.kafka.common.KafkaException>> outcome = consumer.commitSync();
                check(outcome.values().stream().noneMatch(Optional::isPresent), "commit " + outcome);
            }
            check(story.equals(List.of("0/1", "1/1", "2/1", "2/2", "2/3")), "deliveries " + story);
        }
    }

    static List<ConsumerRecord<String, String>> toList(KafkaShareConsumer<String, String> consumer) {
        List<ConsumerRecord<String, String>> list = new ArrayList<>();
        consumer.poll(Duration.ofSeconds(1)).forEach(list::add);
        return list;
    }

    static void locksRunOutAndAreRenewed() throws Exception {
        String from = fresh("locks", 2), group = "g-" + from;
        configure(group);
        try (KafkaShareConsumer<String, String> slow = member(group, from, 10);
             KafkaShareConsumer<String, String> quick = member(group, from, 10)) {
            List<ConsumerRecord<String, String>> held = some(slow);
            check(held.size() == 2, "both records: " + held.size());
            slow.acknowledge(held.get(1), AcknowledgeType.RENEW);
            slow.commitSync();
            Set<String> stolen = new TreeSet<>();
            long begin = System.nanoTime();
            while (stolen.isEmpty() && System.nanoTime() - begin < 15_000_000_000L) {
                for (ConsumerRecord<String, String> record : quick.poll(Duration.ofMillis(200))) {
                    stolen.add(record.value() + "/" + record.deliveryCount().get());
                    quick.acknowledge(record, AcknowledgeType.ACCEPT);
                }
            }
            quick.commitSync();
            check(stolen.contains("0/2"), "the lock of the first record ran out: " + stolen);
        }
    }

    static void abortedRecordsAreNotSeen() throws Exception {
        String from = fresh("committed", 1), group = "g-" + from;
        configure(group, "share.isolation.level", "read_committed");
        try (Producer<String, String> producer = producer(Map.of("transactional.id", "tx-" + from))) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(from, "aborted"));
            producer.flush();
            producer.abortTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(from, "committed"));
            producer.commitTransaction();
        } catch (org.apache.kafka.common.errors.UnsupportedVersionException | org.apache.kafka.common.errors.TimeoutException e) {
            System.out.println("transactions are not served: " + e.getMessage());
            return;
        }
        try (KafkaShareConsumer<String, String> consumer = member(group, from, 10)) {
            List<String> values = new ArrayList<>();
            while (values.size() < 2) {
                List<ConsumerRecord<String, String>> records = some(consumer);
                if (records.isEmpty()) break;
                for (ConsumerRecord<String, String> record : records) {
                    values.add(record.value());
                    consumer.acknowledge(record, AcknowledgeType.ACCEPT);
                }
                consumer.commitSync();
            }
            check(values.equals(List.of("0", "committed")), "read_committed " + values);
        }
    }

    /** Takes records and says nothing about them. */
    static void holdWhatComes() throws Exception {
        String group = "g-" + topic;
        configure(group, "share.record.lock.duration.ms", "60000");
        some(member(group, topic, 10)).forEach(record -> System.out.println("got " + record.value()));
        System.out.flush();
        Thread.sleep(600_000);
    }

    /** Accepts in small steps and says what was accepted, over any number of restarts of the broker. */
    static void acceptUntilStopped() throws Exception {
        String group = "g-" + topic;
        configure(group, "share.delivery.count.limit", "10");
        KafkaShareConsumer<String, String> consumer = member(group, topic, 25);
        System.out.println("ready");
        while (true) {
            List<String> handed = new ArrayList<>();
            try {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    System.out.println("got " + record.value());
                    handed.add(record.value());
                    consumer.acknowledge(record, AcknowledgeType.ACCEPT);
                }
                if (handed.isEmpty()) continue;
                Map<?, Optional<org.apache.kafka.common.KafkaException>> outcome = consumer.commitSync();
                boolean stored = !outcome.isEmpty() && outcome.values().stream().noneMatch(Optional::isPresent);
                if (stored) handed.forEach(value -> System.out.println("accepted " + value));
            } catch (RuntimeException e) {
                System.err.println(e);
            }
            System.out.flush();
        }
    }
}
