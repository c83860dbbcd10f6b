import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * One instance of a word count over the streams rebalance protocol (KIP-1071), which runs until its standard input ends.
 * Usage: java StreamsGroupWorker.java BOOTSTRAP TOPIC STATE_DIR GUARANTEE
 */
public class StreamsGroupWorker {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("application.id", "count-" + args[1]);
        properties.put("bootstrap.servers", args[0]);
        properties.put("state.dir", args[2]);
        properties.put("processing.guarantee", args[3]);
        properties.put("group.protocol", "streams");
        properties.put("application.server", "localhost:4711");
        properties.put("commit.interval.ms", 100);
        properties.put("default.key.serde", Serdes.StringSerde.class);
        properties.put("default.value.serde", Serdes.StringSerde.class);
        try (var streams = new KafkaStreams(topology(args[1]), properties)) {
            streams.start();
            while (System.in.read() >= 0) {}
            if (!streams.close(Duration.ofSeconds(30))) throw new AssertionError("the application does not stop");
        }
        System.out.println("stopped");
    }

    static Topology topology(String input) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input)
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(input + "-counts");
        return builder.build();
    }
}
