import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.List;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData.*;
import org.apache.kafka.common.message.StreamsGroupHeartbeatResponseData;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * StreamsGroupHeartbeat requests no application would send, and their answers, one a line.
 * Usage: java StreamsHeartbeats.java HOST:PORT TOPIC (all|join)
 */
public class StreamsHeartbeats {
    static final short KEY = 88, VERSION = 0;
    static final List<Errors> WAIT = List.of(Errors.COORDINATOR_LOAD_IN_PROGRESS, Errors.COORDINATOR_NOT_AVAILABLE, Errors.NOT_COORDINATOR);
    static DataInputStream in;
    static DataOutputStream out;
    static String topic;

    public static void main(String[] args) throws Exception {
        String[] address = args[0].split(":");
        topic = args[1];
        try (Socket socket = new Socket(address[0], Integer.parseInt(address[1]))) {
            socket.setSoTimeout(20_000);
            in = new DataInputStream(socket.getInputStream());
            out = new DataOutputStream(socket.getOutputStream());
            if (args[2].equals("join")) {
                say("join", ask(join("joined", "one", topology(0, topic, true))));
                return;
            }
            all();
        }
    }

    static void all() throws Exception {
        say("no group", ask(join("", "one", topology(0, topic, true))));
        say("no member", ask(join("refused", "", topology(0, topic, true))));
        say("no topology", ask(join("refused", "one", null)));
        say("static", ask(join("refused", "one", topology(0, topic, true)).setInstanceId("fixed")));
        say("unknown member", ask(beat("refused", "nobody", 3)));
        say("negative", ask(beat("refused", "one", -5)));
        say("internal", ask(join("refused", "one", topology(0, "__consumer_offsets", true))));
        say("invalid name", ask(join("refused", "one", topology(0, "not a name", true))));
        say("warm-up", ask(join("refused", "one", topology(0, topic, true)).setWarmupTasks(List.of(new TaskIds().setSubtopologyId("0").setPartitions(List.of(0))))));
        say("missing source", ask(join("waiting", "one", topology(0, "absent", false))));
        StreamsGroupHeartbeatResponseData answer = ask(join("working", "one", topology(0, topic, true)));
        say("missing internal", answer);
        for (int i = 0; i < 200 && (answer.activeTasks() == null || answer.activeTasks().isEmpty()); i++) {
            Thread.sleep(50);
            answer = ask(beat("working", "one", answer.memberEpoch()));
        }
        say("tasks", answer);
        int epoch = answer.memberEpoch();
        TaskIds all = new TaskIds().setSubtopologyId("0").setPartitions(List.of(0, 1));
        say("owned", ask(beat("working", "one", epoch).setActiveTasks(List.of(all)).setStandbyTasks(List.of()).setWarmupTasks(List.of())));
        say("fenced", ask(beat("working", "one", epoch + 7)));
        say("another topology", ask(join("working", "two", topology(0, "absent", false))));
        say("newer topology", ask(join("working", "two", topology(1, topic, true))));
        say("leave", ask(beat("working", "one", -1)));
        say("left", ask(beat("working", "one", epoch)));
    }

    static StreamsGroupHeartbeatRequestData beat(String group, String member, int epoch) {
        return new StreamsGroupHeartbeatRequestData().setGroupId(group).setMemberId(member).setMemberEpoch(epoch);
    }

    static StreamsGroupHeartbeatRequestData join(String group, String member, Topology topology) {
        return beat(group, member, 0).setRebalanceTimeoutMs(60_000).setTopology(topology).setProcessId("process-of-" + member)
            .setActiveTasks(List.of()).setStandbyTasks(List.of()).setWarmupTasks(List.of()).setClientTags(List.of());
    }

    static Topology topology(int epoch, String source, boolean stateful) {
        Subtopology only = new Subtopology().setSubtopologyId("0").setSourceTopics(List.of(source));
        if (stateful) only.setStateChangelogTopics(List.of(new TopicInfo().setName(topic + "-store-changelog")));
        return new Topology().setEpoch(epoch).setSubtopologies(List.of(only));
    }

    /** Asks again while the coordinator loads, as every client does. */
    static StreamsGroupHeartbeatResponseData ask(StreamsGroupHeartbeatRequestData request) throws Exception {
        StreamsGroupHeartbeatResponseData answer = askOnce(request);
        for (int i = 0; i < 400 && WAIT.contains(Errors.forCode(answer.errorCode())); i++) {
            Thread.sleep(50);
            answer = askOnce(request);
        }
        return answer;
    }

    static StreamsGroupHeartbeatResponseData askOnce(StreamsGroupHeartbeatRequestData request) throws Exception {
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(KEY).setRequestApiVersion(VERSION).setCorrelationId(1).setClientId("raw");
        ObjectSerializationCache sizes = new ObjectSerializationCache();
        int length = header.size(sizes, (short) 2) + request.size(sizes, VERSION);
        ByteBuffer frame = ByteBuffer.allocate(length);
        header.write(new ByteBufferAccessor(frame), sizes, (short) 2);
        request.write(new ByteBufferAccessor(frame), sizes, VERSION);
        out.writeInt(length);
        out.write(frame.array());
        out.flush();
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        ByteBufferAccessor reader = new ByteBufferAccessor(ByteBuffer.wrap(answer));
        new ResponseHeaderData(reader, (short) 1);
        return new StreamsGroupHeartbeatResponseData(reader, VERSION);
    }

    static void say(String what, StreamsGroupHeartbeatResponseData answer) {
        System.out.println(what + ": " + Errors.forCode(answer.errorCode()) + " " + answer);
    }
}
