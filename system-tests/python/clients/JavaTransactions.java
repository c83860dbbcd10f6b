import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/** Transactions of Apache Kafka's Java clients. Usage: java JavaTransactions.java BOOTSTRAP TOPIC */
public class JavaTransactions {
    static String bootstrap;
    static String topic;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        topic = args[1];
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1), new NewTopic(topic + "-out", 2, (short) 1))).all().get();
            commitsAndAborts(admin);
            offsetsGoWithTheTransaction(admin);
            newerProducersFenceOlderOnes();
            openTransactionsAreSeenAndEnded(admin);
        }
        System.out.println("passed");
    }

    static void check(boolean held, String what) {
        if (!held) throw new AssertionError(what);
    }

    static KafkaProducer<String, String> producer(String id) {
        var options = new HashMap<String, Object>(Map.of("bootstrap.servers", bootstrap, "transactional.id", id, "linger.ms", 1));
        var producer = new KafkaProducer<>(options, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    static List<String> read(String topic, String isolation, int count) {
        Map<String, Object> options = Map.of("bootstrap.servers", bootstrap, "isolation.level", isolation, "auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new StringDeserializer())) {
            var partitions = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
            consumer.assign(partitions);
            var ends = consumer.endOffsets(partitions);
            consumer.seekToBeginning(partitions);
            List<String> seen = new ArrayList<>();
            long deadline = System.currentTimeMillis() + 30_000;
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                check(System.currentTimeMillis() < deadline, isolation + ": " + seen.size() + " of " + count);
                consumer.poll(Duration.ofMillis(200)).forEach(record -> seen.add(record.value()));
            }
            check(seen.size() == count, isolation + ": " + seen.size() + " instead of " + count);
            return seen;
        }
    }

    static void commitsAndAborts(Admin admin) throws Exception {
        String id = "commits-" + topic;
        try (var producer = producer(id)) {
            for (int n = 0; n < 20; n++) {
                producer.beginTransaction();
                for (int partition = 0; partition < 2; partition++) {
                    for (int k = 0; k < 5; k++) producer.send(new ProducerRecord<>(topic, partition, null, (n % 2 == 0 ? "good-" : "bad-") + n));
                }
                // An abort throws away what has not been sent yet.
                producer.flush();
                if (n % 2 == 0) producer.commitTransaction();
                else producer.abortTransaction();
            }
        }
        check(read(topic, "read_committed", 100).stream().allMatch(value -> value.startsWith("good-")), "only committed records");
        read(topic, "read_uncommitted", 200);
        var described = admin.describeTransactions(List.of(id)).description(id).get();
        check(described.state() == TransactionState.COMPLETE_ABORT, "state " + described.state());
        check(described.producerEpoch() >= 20, "transactions v2: the epoch grows with every transaction, it is " + described.producerEpoch());
    }

    static long committed(Admin admin, String group, TopicPartition partition) throws Exception {
        var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        return offsets.containsKey(partition) ? offsets.get(partition).offset() : -1;
    }

    static void offsetsGoWithTheTransaction(Admin admin) throws Exception {
        String group = "group-" + topic;
        Map<String, Object> options = Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed", "group.id", group,
            "auto.offset.reset", "earliest", "enable.auto.commit", false);
        var first = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new StringDeserializer());
             var producer = producer("copy-" + topic)) {
            consumer.subscribe(List.of(topic));
            int copied = 0;
            long deadline = System.currentTimeMillis() + 60_000;
            while (copied < 100) {
                check(System.currentTimeMillis() < deadline, "copied " + copied);
                var records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) continue;
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (var record : records) {
                    producer.send(new ProducerRecord<>(topic + "-out", record.partition(), record.key(), record.value()));
                    offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                producer.commitTransaction();
                copied += records.count();
            }
            long before = committed(admin, group, first);
            check(before > 0, "an offset is committed");
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic + "-out", 0, "k", "aborted"));
            producer.sendOffsetsToTransaction(Map.of(first, new OffsetAndMetadata(0)), consumer.groupMetadata());
            producer.abortTransaction();
            check(committed(admin, group, first) == before, "offsets of an aborted transaction vanish");
        }
        check(!read(topic + "-out", "read_committed", 100).contains("aborted"), "the aborted record is hidden");
    }

    static void newerProducersFenceOlderOnes() {
        var old = producer("fenced-" + topic);
        old.beginTransaction();
        old.send(new ProducerRecord<>(topic, 0, "k", "bad-zombie"));
        old.flush();
        try (var young = producer("fenced-" + topic)) {
            try {
                old.commitTransaction();
                check(false, "a fenced producer may not commit");
            } catch (ProducerFencedException | InvalidProducerEpochException expected) {
                // The younger one has taken over.
            }
            young.beginTransaction();
            young.send(new ProducerRecord<>(topic, 0, "k", "good-young"));
            young.commitTransaction();
        }
        old.close(Duration.ZERO);
    }

    static void openTransactionsAreSeenAndEnded(Admin admin) throws Exception {
        String id = "open-" + topic;
        var partition = new TopicPartition(topic, 1);
        var producer = producer(id);
        producer.beginTransaction();
        long offset = producer.send(new ProducerRecord<>(topic, 1, "k", "bad-open")).get().offset();
        var ongoing = admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING))).all().get();
        check(ongoing.stream().anyMatch(listing -> listing.transactionalId().equals(id)), "the open transaction is listed");
        var described = admin.describeTransactions(List.of(id)).description(id).get();
        check(described.topicPartitions().equals(Set.of(partition)), "partitions " + described.topicPartitions());
        check(described.transactionStartTimeMs().isPresent(), "it has a start");
        var producers = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
        check(producers.stream().anyMatch(state -> state.currentTransactionStartOffset().orElse(-1) == offset), "its first offset is told");
        check(end(admin, partition, IsolationLevel.READ_COMMITTED) == offset, "the last stable offset stands before it");
        check(end(admin, partition, IsolationLevel.READ_UNCOMMITTED) > offset, "the high watermark does not");
        admin.fenceProducers(List.of(id)).all().get();
        check(end(admin, partition, IsolationLevel.READ_COMMITTED) > offset, "fencing the producer ends it");
        try {
            producer.commitTransaction();
            check(false, "a fenced producer may not commit");
        } catch (ProducerFencedException | InvalidProducerEpochException expected) {
            // As it must be.
        }
        producer.close(Duration.ZERO);
        try {
            admin.describeTransactions(List.of("nobody")).description("nobody").get();
            check(false, "nobody has no transactions");
        } catch (ExecutionException expected) {
            check(expected.getCause() instanceof TransactionalIdNotFoundException, "" + expected.getCause());
        }
    }

    static long end(Admin admin, TopicPartition partition, IsolationLevel isolation) throws Exception {
        var found = admin.listOffsets(Map.of(partition, OffsetSpec.latest()), new ListOffsetsOptions(isolation));
        return found.partitionResult(partition).get().offset();
    }
}
