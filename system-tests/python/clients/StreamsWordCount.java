import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.KeyValueStore;

/** The word count of every Kafka Streams tutorial, exactly once. Usage: java StreamsWordCount.java BOOTSTRAP TOPIC STATE_DIR */
public class StreamsWordCount {
    static final int LINES = 2000;

    public static void main(String[] args) throws Exception {
        String bootstrap = args[0];
        String input = args[1];
        String output = input + "-counts";
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(input, 2, (short) 1), new NewTopic(output, 1, (short) 1))).all().get();
        }
        write(bootstrap, input);
        Properties properties = new Properties();
        properties.put("application.id", "count-" + input);
        properties.put("bootstrap.servers", bootstrap);
        properties.put("state.dir", args[2]);
        properties.put("processing.guarantee", "exactly_once_v2");
        properties.put("commit.interval.ms", 100);
        properties.put("default.key.serde", Serdes.StringSerde.class);
        properties.put("default.value.serde", Serdes.StringSerde.class);
        // Two lives: what the first one counted must not be counted again by the second.
        for (int life = 0; life < 2; life++) {
            try (var streams = new KafkaStreams(topology(input, output), properties)) {
                streams.start();
                long wanted = (long) LINES * (life + 1);
                Map<String, Long> counts = readUntil(bootstrap, output, wanted);
                if (!counts.equals(Map.of("alpha", wanted, "beta", wanted, "gamma", wanted))) throw new AssertionError("" + counts);
                if (!streams.close(Duration.ofSeconds(30))) throw new AssertionError("the application does not stop");
            }
            if (life == 0) write(bootstrap, input);
        }
        System.out.println("passed");
    }

    static Topology topology(String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input)
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"))
            .toStream()
            .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    static void write(String bootstrap, String topic) {
        Map<String, Object> options = Map.of("bootstrap.servers", bootstrap, "enable.idempotence", true);
        try (var producer = new KafkaProducer<>(options, new StringSerializer(), new StringSerializer())) {
            for (int n = 0; n < LINES; n++) producer.send(new ProducerRecord<>(topic, n % 2, "k" + n, "alpha beta gamma"));
        }
    }

    /** The last count of each word; returns when every word has reached `wanted`, and fails when one goes beyond. */
    static Map<String, Long> readUntil(String bootstrap, String topic, long wanted) {
        Map<String, Object> options = Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed");
        try (var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new LongDeserializer())) {
            var partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            Map<String, Long> counts = new HashMap<>();
            long deadline = System.currentTimeMillis() + 90_000;
            while (counts.size() < 3 || counts.values().stream().anyMatch(count -> count < wanted)) {
                if (System.currentTimeMillis() > deadline) throw new AssertionError("counts so far: " + counts);
                consumer.poll(Duration.ofMillis(200)).forEach(record -> counts.put(record.key(), record.value()));
            }
            return counts;
        }
    }
}
