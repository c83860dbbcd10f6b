import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;

/**
 * The queries of bench/ksql.py as programs for Kafka Streams: filter and project, windowed count by key, stream-table join.
 *
 * <p>Arguments: filter|count|join, json|avro, bootstrap servers, application id, topic of orders, topic of people, topic of
 * results, directory for state, id of the Avro schema of orders, id of that of people, bytes of the record cache. JSON is
 * read into and written from objects by Jackson, Avro as generic records behind five bytes with the id of the schema. Runs
 * until it is killed.
 */
public final class StreamsBench {
  /** An order as it is read. */
  public static final class Order {
    public long id;
    public String city;
    public String title;
    public double amount;
    public boolean active;
    public String note;
  }

  /** A person as it is read. */
  public static final class Person {
    public String name;
    public long since;
  }

  /** What remains of an order. */
  public record Projected(long ID, String CITY, double TWICE) {}

  /** How many there were. */
  public record Counted(long N) {}

  /** An order with its person. */
  public record Joined2(long ID, double AMOUNT, String NAME) {}

  private StreamsBench() {}

  public static void main(String[] arguments) {
    String topology = arguments[0];
    String format = arguments[1];
    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[2]);
    properties.put("application.id", arguments[3]);
    properties.put("state.dir", arguments[7]);
    properties.put("statestore.cache.max.bytes", arguments[10]);
    properties.put("num.stream.threads", "1");
    properties.put("auto.offset.reset", "earliest");
    properties.put("commit.interval.ms", "2000");
    StreamsBuilder builder = new StreamsBuilder();
    if (format.equals("json")) {
      json(builder, topology, arguments[4], arguments[5], arguments[6]);
    } else {
      avro(builder, topology, arguments);
    }
    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.start();
  }

  private static void json(StreamsBuilder builder, String topology, String orders, String people, String results) {
    Serde<String> text = Serdes.String();
    KStream<String, Order> stream = builder.stream(orders, Consumed.with(text, json(Order.class)));
    switch (topology) {
      case "filter" -> stream
          .filter((person, order) -> order.amount > 100)
          .mapValues(order -> new Projected(order.id, order.city.toUpperCase(), order.amount * 2))
          .to(results, Produced.with(text, json(Projected.class)));
      case "count" -> stream
          .groupByKey(Grouped.with(text, json(Order.class)))
          .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofDays(1)))
          .count(Materialized.with(text, Serdes.Long()))
          .toStream()
          .mapValues(Counted::new)
          .to(results, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 60_000), json(Counted.class)));
      default -> stream
          .join(
              builder.table(people, Consumed.with(text, json(Person.class)), Materialized.with(text, json(Person.class))),
              (order, person) -> new Joined2(order.id, order.amount, person.name),
              Joined.with(text, json(Order.class), json(Person.class)))
          .to(results, Produced.with(text, json(Joined2.class)));
    }
  }

  private static void avro(StreamsBuilder builder, String topology, String[] arguments) {
    Serde<String> text = Serdes.String();
    var fields = SchemaBuilder.record("KsqlDataSourceSchema").namespace("io.confluent.ksql.avro_schemas").fields();
    Schema order = fields.optionalLong("ID").optionalString("CITY").optionalString("TITLE").optionalDouble("AMOUNT")
        .optionalBoolean("ACTIVE").optionalString("NOTE").endRecord();
    Schema person = SchemaBuilder.record("KsqlDataSourceSchema").fields().optionalString("NAME").optionalLong("SINCE").endRecord();
    Schema projected = SchemaBuilder.record("Projected").fields().optionalLong("ID").optionalString("CITY").optionalDouble("TWICE").endRecord();
    Schema counted = SchemaBuilder.record("Counted").fields().optionalLong("N").endRecord();
    Schema joined = SchemaBuilder.record("Joined").fields().optionalLong("ID").optionalDouble("AMOUNT").optionalString("NAME").endRecord();
    Serde<GenericRecord> orders = avro(order, Integer.parseInt(arguments[8]));
    Serde<GenericRecord> people = avro(person, Integer.parseInt(arguments[9]));
    KStream<String, GenericRecord> stream = builder.stream(arguments[4], Consumed.with(text, orders));
    switch (topology) {
      case "filter" -> stream
          .filter((key, value) -> (double) value.get("AMOUNT") > 100)
          .mapValues(value -> {
            GenericRecord result = new GenericData.Record(projected);
            result.put("ID", value.get("ID"));
            result.put("CITY", value.get("CITY").toString().toUpperCase());
            result.put("TWICE", (double) value.get("AMOUNT") * 2);
            return result;
          })
          .to(arguments[6], Produced.with(text, avro(projected, 1001)));
      case "count" -> stream
          .groupByKey(Grouped.with(text, orders))
          .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofDays(1)))
          .count(Materialized.with(text, Serdes.Long()))
          .toStream()
          .mapValues(count -> {
            GenericRecord result = new GenericData.Record(counted);
            result.put("N", count);
            return result;
          })
          .to(arguments[6], Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 60_000), avro(counted, 1002)));
      default -> stream
          .join(
              builder.table(arguments[5], Consumed.with(text, people), Materialized.with(text, people)),
              (value, other) -> {
                GenericRecord result = new GenericData.Record(joined);
                result.put("ID", value.get("ID"));
                result.put("AMOUNT", value.get("AMOUNT"));
                result.put("NAME", other.get("NAME"));
                return result;
              },
              Joined.with(text, orders, people))
          .to(arguments[6], Produced.with(text, avro(joined, 1003)));
    }
  }

  private static <T> Serde<T> json(Class<T> type) {
    ObjectMapper mapper = new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    var reader = mapper.readerFor(type);
    var writer = mapper.writerFor(type);
    Serializer<T> serializer = (topic, value) -> {
      try {
        return value == null ? null : writer.writeValueAsBytes(value);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    };
    Deserializer<T> deserializer = (topic, bytes) -> {
      try {
        return bytes == null ? null : reader.readValue(bytes);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    };
    return Serdes.serdeFrom(serializer, deserializer);
  }

  private static Serde<GenericRecord> avro(Schema schema, int id) {
    GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema);
    GenericDatumWriter<GenericRecord> writer = new GenericDatumWriter<>(schema);
    Serializer<GenericRecord> serializer = new Serializer<>() {
      private BinaryEncoder encoder;

      @Override
      public byte[] serialize(String topic, GenericRecord value) {
        if (value == null) {
          return null;
        }
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        output.writeBytes(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
        encoder = EncoderFactory.get().directBinaryEncoder(output, encoder);
        try {
          writer.write(value, encoder);
          encoder.flush();
        } catch (IOException error) {
          throw new UncheckedIOException(error);
        }
        return output.toByteArray();
      }
    };
    Deserializer<GenericRecord> deserializer = new Deserializer<>() {
      private BinaryDecoder decoder;

      @Override
      public GenericRecord deserialize(String topic, byte[] bytes) {
        if (bytes == null) {
          return null;
        }
        decoder = DecoderFactory.get().binaryDecoder(bytes, 5, bytes.length - 5, decoder);
        try {
          return reader.read(null, decoder);
        } catch (IOException error) {
          throw new UncheckedIOException(error);
        }
      }
    };
    return Serdes.serdeFrom(serializer, deserializer);
  }
}
