// Confluent's own Java client of the schema registry, as Apache Flink brings it (with its packages renamed), and Flink's code for the
// bytes of a record: registers, produces, consumes, evolves, and tells what is refused.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.entities.Config;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumReader;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumWriter;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.io.DecoderFactory;
import org.apache.flink.avro.shaded.org.apache.avro.io.EncoderFactory;
import org.apache.flink.formats.avro.registry.confluent.ConfluentSchemaRegistryCoder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class JavaSchemaRegistry {
    static final String ORDER = "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":["
        + "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"item\",\"type\":\"string\"}%s]}";

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0], url = arguments[1], topic = arguments[2], subject = topic + "-value";
        CachedSchemaRegistryClient client = new CachedSchemaRegistryClient(url, 100);

        Schema first = new Schema.Parser().parse(String.format(ORDER, ""));
        GenericRecord order = new GenericData.Record(first);
        order.put("id", 7L);
        order.put("item", "tea");
        ConfluentSchemaRegistryCoder coder = new ConfluentSchemaRegistryCoder(subject, client);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        coder.writeSchema(first, bytes);
        var encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
        new GenericDatumWriter<GenericRecord>(first).write(order, encoder);
        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", (Object) bootstrap),
                new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(topic, bytes.toByteArray())).get();
        }
        int id = client.getId(subject, new AvroSchema(first));
        check(ByteBuffer.wrap(bytes.toByteArray()).getInt(1) == id, "the record names the schema");
        // Another client, which knows nothing yet.
        ConfluentSchemaRegistryCoder other = new ConfluentSchemaRegistryCoder(new CachedSchemaRegistryClient(url, 100));
        ByteArrayInputStream read = new ByteArrayInputStream(consume(bootstrap, topic));
        Schema written = other.readSchema(read);
        var decoder = DecoderFactory.get().directBinaryDecoder(read, null);
        GenericRecord found = new GenericDatumReader<GenericRecord>(written).read(null, decoder);
        check(found.toString().equals("{\"id\": 7, \"item\": \"tea\"}"), "the record comes back: " + found);

        AvroSchema second = new AvroSchema(String.format(ORDER, ",{\"name\":\"note\",\"type\":\"string\",\"default\":\"\"}"));
        AvroSchema wrong = new AvroSchema(String.format(ORDER, ",{\"name\":\"price\",\"type\":\"double\"}"));
        check(client.testCompatibility(subject, second), "a field with a default is compatible");
        check(!client.testCompatibility(subject, wrong), "one without is not");
        List<String> messages = client.testCompatibilityVerbose(subject, wrong);
        check(messages.toString().contains("READER_FIELD_MISSING_DEFAULT_VALUE"), "the finding is told: " + messages);
        refused(() -> client.register(subject, wrong), error -> error.getStatus() == 409);
        int next = client.register(subject, second);
        check(next > id && client.getVersion(subject, second) == 2, "the second version");
        check(client.getAllVersions(subject).equals(List.of(1, 2)), "both versions");
        check(client.getLatestSchemaMetadata(subject).getId() == next, "the latest");
        check(client.getSchemaById(next).equals(second), "by id");
        check(client.getAllSubjectsById(next).contains(subject), "subjects of the id");

        client.updateConfig(subject, new Config("NONE"));
        check(client.getConfig(subject).getCompatibilityLevel().equals("NONE"), "the configuration");
        check(client.register(subject, wrong) > next, "now it is taken");
        client.deleteConfig(subject);
        client.setMode("READONLY", subject);
        AvroSchema third = new AvroSchema("\"int\"");
        refused(() -> client.register(subject, third), error -> error.getErrorCode() == 42205);
        client.deleteMode(subject);
        check(client.deleteSubject(Map.of(), subject, false).equals(List.of(1, 2, 3)), "soft deletion");
        check(client.deleteSubject(Map.of(), subject, true).equals(List.of(1, 2, 3)), "hard deletion");
        refused(() -> client.getAllVersions(subject), error -> error.getErrorCode() == 40401);
        System.out.println("passed");
    }

    static byte[] consume(String bootstrap, String topic) {
        try (var consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", (Object) bootstrap),
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            for (int attempt = 0; attempt < 60; attempt++) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    return record.value();
                }
            }
        }
        throw new IllegalStateException("no record");
    }

    interface Request {
        void send() throws Exception;
    }

    static void refused(Request request, Predicate<RestClientException> expected) throws Exception {
        try {
            request.send();
        } catch (RestClientException error) {
            check(expected.test(error), "refused with " + error.getStatus() + " " + error.getErrorCode() + " " + error.getMessage());
            return;
        }
        throw new IllegalStateException("not refused");
    }

    static void check(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }
}
