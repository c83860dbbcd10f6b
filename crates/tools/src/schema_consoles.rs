//! `kafka-{avro,json-schema,protobuf}-console-{producer,consumer}`: the plain consoles with a reader or formatter that
//! knows schemas.

use crate::options::Args;
use crate::terminal::Terminal;
use crate::{Outcome, console_consumer, console_producer};

const READER: [&str; 2] = ["--line-reader", "--reader-property"];
const FORMATTER: [&str; 2] = ["--formatter", "--formatter-property"];

pub(crate) fn avro_producer(args: Args, terminal: &mut Terminal) -> Outcome {
    console_producer::run(with(args, READER, "io.confluent.kafka.formatter.AvroMessageReader"), terminal)
}

pub(crate) fn json_schema_producer(args: Args, terminal: &mut Terminal) -> Outcome {
    console_producer::run(with(args, READER, "io.confluent.kafka.formatter.json.JsonSchemaMessageReader"), terminal)
}

pub(crate) fn protobuf_producer(args: Args, terminal: &mut Terminal) -> Outcome {
    console_producer::run(with(args, READER, "io.confluent.kafka.formatter.protobuf.ProtobufMessageReader"), terminal)
}

pub(crate) fn avro_consumer(args: Args, terminal: &mut Terminal) -> Outcome {
    console_consumer::run(with(args, FORMATTER, "io.confluent.kafka.formatter.AvroMessageFormatter"), terminal)
}

pub(crate) fn json_schema_consumer(args: Args, terminal: &mut Terminal) -> Outcome {
    let class = "io.confluent.kafka.formatter.json.JsonSchemaMessageFormatter";
    console_consumer::run(with(args, FORMATTER, class), terminal)
}

pub(crate) fn protobuf_consumer(args: Args, terminal: &mut Terminal) -> Outcome {
    let class = "io.confluent.kafka.formatter.protobuf.ProtobufMessageFormatter";
    console_consumer::run(with(args, FORMATTER, class), terminal)
}

/// Names the class. `--property`, which is how these commands are documented everywhere, is no old name here: it must
/// not bring the notice of the plain consoles into the output.
fn with(mut args: Args, [class_option, property_option]: [&str; 2], class: &str) -> Args {
    for word in &mut args.words {
        if word == "--property" {
            *word = property_option.to_owned();
        } else if let Some(property) = word.strip_prefix("--property=") {
            *word = format!("{property_option}={property}");
        }
    }
    args.words.splice(..0, [class_option.to_owned(), class.to_owned()]);
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_named_and_properties_go_to_it() {
        let words = ["--topic", "t", "--property", "a=--property", "--property=b=c"].map(str::to_owned).to_vec();
        let args = with(Args { tool: "x".to_owned(), words }, FORMATTER, "Mine");
        let expected = ["--formatter", "Mine", "--topic", "t", "--formatter-property", "a=--property"];
        assert_eq!(args.words[..6], expected);
        assert_eq!(args.words[6], "--formatter-property=b=c");
    }
}
