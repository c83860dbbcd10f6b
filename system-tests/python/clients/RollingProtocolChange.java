import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * Replaces the consumers of a group one by one by consumers of the other group protocol, there and back, while a
 * producer writes. A record must not be lost, nor be read again once its offset is committed.
 *
 * Arguments: bootstrap servers, topic, group, assignor class of the classic consumers, whether they are static.
 */
public class RollingProtocolChange {
    static final int PARTITIONS = 6, CONSUMERS = 3;
    static String bootstrap, topic, group, assignor;
    static boolean fixed;
    static final AtomicBoolean producing = new AtomicBoolean(true);
    static final AtomicLongArray produced = new AtomicLongArray(PARTITIONS);
    static final AtomicLongArray committed = new AtomicLongArray(PARTITIONS);
    static final List<Set<Long>> seen = new ArrayList<>();
    static final Queue<String> violations = new ConcurrentLinkedQueue<>();
    static final AtomicInteger repeated = new AtomicInteger();

    static class Reader implements Runnable {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Thread thread;
        final String name;
        volatile boolean running = true;

        Reader(int seat, String protocol) {
            Properties p = new Properties();
            p.put("bootstrap.servers", bootstrap);
            p.put("group.id", group);
            p.put("client.id", protocol + "-" + seat);
            p.put("group.protocol", protocol);
            if (fixed) p.put("group.instance.id", "seat-" + seat);
            p.put("enable.auto.commit", "false");
            p.put("auto.offset.reset", "earliest");
            p.put("max.poll.records", "200");
            if (protocol.equals("classic")) {
                p.put("heartbeat.interval.ms", "300");
                p.put("session.timeout.ms", "10000");
                p.put("partition.assignment.strategy", assignor);
            }
            name = protocol + "-" + seat;
            consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            thread = new Thread(this, name);
            thread.start();
        }

        public void run() {
            try {
                consumer.subscribe(List.of(topic));
                while (running) step();
            } catch (Throwable error) {
                violations.add(name + " died: " + error);
                error.printStackTrace();
            } finally {
                consumer.close();
            }
        }

        void step() {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
            Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                int partition = record.partition();
                if (record.offset() < committed.get(partition))
                    violations.add(name + " read " + partition + "@" + record.offset() + " again, committed " + committed.get(partition));
                if (!seen.get(partition).add(record.offset())) repeated.incrementAndGet();
                next.put(new TopicPartition(topic, partition), new OffsetAndMetadata(record.offset() + 1));
            }
            if (next.isEmpty()) return;
            try {
                consumer.commitSync(next);
                next.forEach((partition, offset) -> committed.accumulateAndGet(partition.partition(), offset.offset(), Math::max));
            } catch (CommitFailedException | RebalanceInProgressException | org.apache.kafka.common.errors.TimeoutException error) {
                // Not committed: whoever owns the partition next reads these records again, rightly.
            }
        }

        void close() throws InterruptedException {
            running = false;
            thread.join();
        }
    }

    static void produce() {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("linger.ms", "5");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            byte[] value = new byte[100];
            for (int i = 0; producing.get(); i++) {
                int partition = i % PARTITIONS;
                producer.send(new ProducerRecord<>(topic, partition, null, value), (metadata, error) -> {
                    if (error != null) violations.add("produce: " + error);
                    else produced.accumulateAndGet(metadata.partition(), metadata.offset() + 1, Math::max);
                });
                if (i % 20 == 0) Thread.sleep(5);
            }
        } catch (InterruptedException ignored) {
            Thread.currentThread().interrupt();
        }
    }

    static void waitFor(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!condition.call()) {
            if (System.nanoTime() > deadline) throw new AssertionError("not in time: " + what + " " + state());
            Thread.sleep(50);
        }
    }

    static String state() {
        return "produced " + produced + " committed " + committed + " violations " + violations;
    }

    /** Everything that is produced now is committed soon: every partition has a reader that gets on. */
    static void waitForProgress(String what) throws Exception {
        long[] goal = new long[PARTITIONS];
        for (int i = 0; i < PARTITIONS; i++) goal[i] = Math.max(1, produced.get(i));
        waitFor(what, () -> {
            for (int i = 0; i < PARTITIONS; i++) if (committed.get(i) < goal[i]) return false;
            return true;
        });
    }

    static GroupType type(Admin admin) throws Exception {
        for (GroupListing listing : admin.listGroups().all().get())
            if (listing.groupId().equals(group)) return listing.type().orElse(GroupType.UNKNOWN);
        return GroupType.UNKNOWN;
    }

    static void roll(Reader[] readers, String protocol) throws Exception {
        for (int seat = 0; seat < CONSUMERS; seat++) {
            readers[seat].close();
            readers[seat] = new Reader(seat, protocol);
            Reader reader = readers[seat];
            waitForProgress(protocol + " consumer " + seat);
            waitForProgress(protocol + " consumer " + seat + " again");
            System.out.println(protocol + " " + seat + ": " + state());
        }
    }

    public static void main(String[] arguments) {
        try {
            run(arguments);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    static void run(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        topic = arguments[1];
        group = arguments[2];
        assignor = arguments[3];
        fixed = Boolean.parseBoolean(arguments[4]);
        for (int i = 0; i < PARTITIONS; i++) seen.add(ConcurrentHashMap.newKeySet());
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
            Thread producer = new Thread(RollingProtocolChange::produce, "producer");
            producer.start();
            Reader[] readers = new Reader[CONSUMERS];
            for (int seat = 0; seat < CONSUMERS; seat++) readers[seat] = new Reader(seat, "classic");
            waitForProgress("classic group");
            if (type(admin) != GroupType.CLASSIC) throw new AssertionError("not classic: " + type(admin));
            roll(readers, "consumer");
            if (type(admin) != GroupType.CONSUMER) throw new AssertionError("not upgraded: " + type(admin));
            ConsumerGroupDescription described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            for (MemberDescription member : described.members())
                if (!member.upgraded().orElse(false)) throw new AssertionError("classic member left: " + member);
            roll(readers, "classic");
            waitFor("downgrade", () -> type(admin) == GroupType.CLASSIC);
            producing.set(false);
            producer.join();
            waitForProgress("everything");
            for (Reader reader : readers) reader.close();
        }
        for (int i = 0; i < PARTITIONS; i++)
            if (seen.get(i).size() != produced.get(i)) violations.add("partition " + i + ": " + seen.get(i).size() + " of " + produced.get(i));
        System.out.println(state() + " read twice without commit: " + repeated);
        if (!violations.isEmpty()) System.exit(1);
        System.out.println("passed");
        System.exit(0);
    }
}
