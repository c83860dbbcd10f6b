// Adds to each case of a file of JSON lines what Apache Kafka's own classes make of it:
//
//     java -cp '<kafka>/libs/*' Golden.java < cases.jsonl > golden.jsonl
//
// Kinds of cases: `json` (bytes through JsonConverter and back), `literal` (text through Values), `date` (a moment
// through SimpleDateFormat), `transform` (a record through a transformation).

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TimeZone;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Values;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;

public class Golden {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Locale.setDefault(Locale.US);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ObjectNode one = (ObjectNode) JSON.readTree(line);
            one.remove("outcome");
            one.remove("error");
            try {
                one.set("outcome", outcome(one));
            } catch (Throwable error) {
                one.put("error", String.valueOf(error.getMessage()));
            }
            out.println(JSON.writeValueAsString(one));
        }
    }

    static JsonNode outcome(ObjectNode one) throws Exception {
        switch (one.get("kind").asText()) {
            case "json": return json(one);
            case "literal": return literal(one.get("input").asText());
            case "date": return date(one);
            default: return transform(one);
        }
    }

    static Map<String, String> config(JsonNode one) {
        Map<String, String> config = new HashMap<>();
        if (one.has("config")) one.get("config").fields().forEachRemaining(e -> config.put(e.getKey(), e.getValue().asText()));
        return config;
    }

    static JsonNode json(ObjectNode one) {
        JsonConverter converter = new JsonConverter();
        converter.configure(config(one), false);
        SchemaAndValue read = converter.toConnectData("t", one.get("input").asText().getBytes(StandardCharsets.UTF_8));
        byte[] bytes = converter.fromConnectData("t", read.schema(), read.value());
        ArrayNode outcome = JSON.createArrayNode();
        outcome.add(bytes == null ? null : new String(bytes, StandardCharsets.UTF_8));
        Object value = read.value();
        outcome.add(value instanceof byte[] || value instanceof java.nio.ByteBuffer ? null : String.valueOf(value));
        return outcome;
    }

    static JsonNode literal(String text) {
        SchemaAndValue read = Values.parseString(text);
        ArrayNode outcome = JSON.createArrayNode();
        if (read == null || read.schema() == null) {
            outcome.add((String) null);
            outcome.add((String) null);
            return outcome;
        }
        JsonConverter converter = new JsonConverter();
        converter.configure(new HashMap<>(), false);
        String schema;
        try {
            schema = converter.asJsonSchema(read.schema()).toString();
        } catch (RuntimeException e) {
            schema = null;
        }
        outcome.add(schema);
        outcome.add(Values.convertToString(read.schema(), read.value()));
        return outcome;
    }

    static JsonNode date(ObjectNode one) throws Exception {
        SimpleDateFormat format = new SimpleDateFormat(one.get("pattern").asText(), Locale.US);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        if (one.has("millis")) return JSON.getNodeFactory().textNode(format.format(new Date(one.get("millis").asLong())));
        return JSON.getNodeFactory().numberNode(format.parse(one.get("text").asText()).getTime());
    }

    static SchemaAndValue read(JsonNode text) {
        if (text == null || text.isNull()) return SchemaAndValue.NULL;
        return converter(text.asText().startsWith("{\"schema\"")).toConnectData("t", text.asText().getBytes(StandardCharsets.UTF_8));
    }

    static JsonConverter converter(boolean enveloped) {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", String.valueOf(enveloped), "replace.null.with.default", "false"), false);
        return converter;
    }

    static String write(org.apache.kafka.connect.data.Schema schema, Object value) {
        byte[] bytes = converter(schema != null).fromConnectData("t", schema, value);
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static JsonNode transform(ObjectNode one) throws Exception {
        SchemaAndValue key = read(one.get("key"));
        SchemaAndValue value = read(one.get("value"));
        Long timestamp = one.has("timestamp") ? one.get("timestamp").asLong() : null;
        ConnectRecord record = one.has("offset")
            ? new SinkRecord("orders", 3, key.schema(), key.value(), value.schema(), value.value(), one.get("offset").asLong(), timestamp, TimestampType.CREATE_TIME)
            : new SourceRecord(Map.of(), Map.of(), "orders", null, key.schema(), key.value(), value.schema(), value.value(), timestamp);
        if (one.has("headers")) one.get("headers").fields().forEachRemaining(e -> record.headers().add(e.getKey(), Values.parseString(e.getValue().asText())));
        Transformation transformation = (Transformation) Class.forName(one.get("class").asText()).getDeclaredConstructor().newInstance();
        transformation.configure(config(one));
        ConnectRecord result = transformation.apply(record);
        if (result == null) return JSON.getNodeFactory().nullNode();
        ObjectNode outcome = JSON.createObjectNode();
        outcome.put("topic", result.topic());
        outcome.put("key", write(result.keySchema(), result.key()));
        outcome.put("value", write(result.valueSchema(), result.value()));
        ArrayNode headers = outcome.putArray("headers");
        for (Header header : (Iterable<Header>) result.headers())
            headers.addArray().add(header.key()).add(write(header.schema(), header.value()));
        return outcome;
    }
}
