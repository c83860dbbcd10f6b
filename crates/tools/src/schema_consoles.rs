//! `kafka-{avro,json-schema,protobuf}-console-{producer,consumer}`: the plain consoles with a reader or formatter that
//! knows schemas.

use crate::options::Args;
use crate::terminal::Terminal;
use crate::{Outcome, console_consumer, console_producer};

pub(crate) fn avro_producer(args: Args, terminal: &mut Terminal) -> Outcome {
    console_producer::run(with(args, "--line-reader", "io.confluent.kafka.formatter.AvroMessageReader"), terminal)
}

pub(crate) fn json_schema_producer(args: Args, terminal: &mut Terminal) -> Outcome {
    let class = "io.confluent.kafka.formatter.json.JsonSchemaMessageReader";
    console_producer::run(with(args, "--line-reader", class), terminal)
}

pub(crate) fn protobuf_producer(args: Args, terminal: &mut Terminal) -> Outcome {
    let class = "io.confluent.kafka.formatter.protobuf.ProtobufMessageReader";
    console_producer::run(with(args, "--line-reader", class), terminal)
}

pub(crate) fn avro_consumer(args: Args, terminal: &mut Terminal) -> Outcome {
    console_consumer::run(with(args, "--formatter", "io.confluent.kafka.formatter.AvroMessageFormatter"), terminal)
}

pub(crate) fn json_schema_consumer(args: Args, terminal: &mut Terminal) -> Outcome {
    let class = "io.confluent.kafka.formatter.json.JsonSchemaMessageFormatter";
    console_consumer::run(with(args, "--formatter", class), terminal)
}

pub(crate) fn protobuf_consumer(args: Args, terminal: &mut Terminal) -> Outcome {
    let class = "io.confluent.kafka.formatter.protobuf.ProtobufMessageFormatter";
    console_consumer::run(with(args, "--formatter", class), terminal)
}

fn with(mut args: Args, option: &str, class: &str) -> Args {
    args.words.splice(..0, [option.to_owned(), class.to_owned()]);
    args
}
