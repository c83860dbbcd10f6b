//! `kafka-transactions`: lists and describes transactions, finds those that hang, and ends them.

mod find_hanging;

use milena_client::{Cluster, CoordinatorKind, Error, TopicPartition};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest,
    WriteTxnMarkersRequest, describe_producers_request, describe_producers_response, describe_transactions_response,
    list_transactions_response, write_txn_markers_request,
};

use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, java_format, session};

const USAGE: &str =
    "usage: kafka-transactions [-h] [-v] --bootstrap-server host:port [--command-config file] COMMAND ...";
const COMMANDS: &str = "list, describe, describe-producers, abort, find-hanging, forceTerminateTransaction";

const SYNTAX: Syntax = Syntax {
    purpose: "Looks at transactions: list, describe, describe-producers, abort, find-hanging or forceTerminateTransaction, followed by options.",
    options: &[
        Opt::one("duration-filter", "ms", "list: only transactions that have been running for longer."),
        Opt::one("transactional-id-pattern", "regex", "list: only transactional ids that match from end to end."),
        Opt::one("transactional-id", "id", "describe: the transactional id."),
        Opt::one("transactionalId", "id", "forceTerminateTransaction: the transactional id."),
        Opt::one("topic", "topic", "describe-producers, abort, find-hanging: the topic."),
        Opt::one("partition", "number", "describe-producers, abort, find-hanging: the partition."),
        Opt::one(
            "broker-id",
            "id",
            "describe-producers: the broker to ask; find-hanging: the leader of the partitions.",
        ),
        Opt::one("start-offset", "offset", "abort: the first offset of the transaction."),
        Opt::one("producer-id", "id", "abort: the producer, instead of --start-offset."),
        Opt::one("producer-epoch", "epoch", "abort: its epoch."),
        Opt::one("coordinator-epoch", "epoch", "abort: the epoch of its transaction coordinator."),
        Opt::one("max-transaction-timeout", "minutes", "find-hanging: transactions younger than this are left alone."),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let command = options.words.first().cloned().ok_or_else(|| wrong("too few arguments"))?;
    session::runtime()?.block_on(async {
        let cluster = session::connect_admin(&options).await?;
        let rows = match command.as_str() {
            "list" => list(&cluster, &options).await,
            "describe" => describe(&cluster, &options).await,
            "describe-producers" => describe_producers(&cluster, &options).await,
            "find-hanging" => find_hanging::run(&cluster, &options).await,
            "abort" => return abort(&cluster, &options).await,
            "forceTerminateTransaction" => return force_terminate(&cluster, &options).await,
            other => return Err(wrong(&format!("invalid choice: '{other}' (choose from {COMMANDS})"))),
        };
        print_table(&rows?, terminal);
        Ok(0)
    })
}

fn wrong(message: &str) -> Failure {
    Failure::ArgumentError { usage: USAGE.to_owned(), message: message.to_owned() }
}

fn failed(what: String, error: &Error) -> Failure {
    let error = error.to_string();
    Failure::Words(format!("{what}: {}. Enable debug logging for additional detail.", error.trim_end_matches('.')))
}

/// Heading and rows; every cell is padded to its column's width and followed by a tab.
fn print_table(rows: &[Vec<String>], terminal: &mut Terminal) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}\t"));
        terminal.line(&cells.collect::<String>());
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// A transaction as some broker lists it.
struct Listed {
    coordinator: i32,
    state: list_transactions_response::TransactionState,
}

async fn list_all(cluster: &Cluster, request: &ListTransactionsRequest) -> Result<Vec<Listed>, Error> {
    let mut found = Vec::new();
    for node in cluster.nodes() {
        let response = cluster.node(node.id).await?.send(request).await?;
        Error::check(response.error_code, None)?;
        found.extend(response.transaction_states.into_iter().map(|state| Listed { coordinator: node.id, state }));
    }
    Ok(found)
}

async fn list(cluster: &Cluster, options: &Parsed) -> Result<Vec<Vec<String>>, Failure> {
    let request = ListTransactionsRequest {
        duration_filter: options.number("duration-filter")?.unwrap_or(-1),
        transactional_id_pattern: options.value("transactional-id-pattern").map(str::to_owned),
        ..Default::default()
    };
    let found = list_all(cluster, &request).await;
    let found = found.map_err(|error| failed("Failed to list transactions".to_owned(), &error))?;
    let mut rows = vec![row(["TransactionalId", "Coordinator", "ProducerId", "TransactionState"])];
    rows.extend(found.into_iter().map(|Listed { coordinator, state }| {
        vec![state.transactional_id, coordinator.to_string(), state.producer_id.to_string(), state.transaction_state]
    }));
    Ok(rows)
}

async fn describe_one(
    cluster: &Cluster,
    transactional_id: &str,
) -> Result<(i32, describe_transactions_response::TransactionState), Error> {
    let coordinator = cluster.coordinator(CoordinatorKind::Transaction, transactional_id).await?;
    let request = DescribeTransactionsRequest { transactional_ids: vec![transactional_id.to_owned()] };
    let response = coordinator.send(&request).await?;
    let state = response.transaction_states.into_iter().next();
    let state = state.ok_or_else(|| Error::api(ErrorCode::UnknownServerError, None))?;
    if ErrorCode::from_code(state.error_code) == ErrorCode::TransactionalIdNotFound {
        let message = format!(
            "DescribeTransactions request for transactionalId `{transactional_id}` failed because the ID could not be found"
        );
        return Err(Error::api(ErrorCode::TransactionalIdNotFound, Some(message)));
    }
    Error::check(state.error_code, None)?;
    let node = cluster.cached_coordinator(CoordinatorKind::Transaction, transactional_id);
    Ok((node.map_or(-1, |node| node.id), state))
}

async fn describe(cluster: &Cluster, options: &Parsed) -> Result<Vec<Vec<String>>, Failure> {
    let id = options.required("transactional-id")?;
    let described = describe_one(cluster, id).await;
    let what = || format!("Failed to describe transaction state of transactional-id `{id}`");
    let (coordinator, state) = described.map_err(|error| failed(what(), &error))?;
    let heading = row([
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ]);
    Ok(vec![heading, description(coordinator, state, java_format::now_ms())])
}

fn description(coordinator: i32, state: describe_transactions_response::TransactionState, now_ms: i64) -> Vec<String> {
    let started = (state.transaction_start_time_ms >= 0).then_some(state.transaction_start_time_ms);
    let or_none = |value: Option<i64>| value.map_or("None".to_owned(), |value| value.to_string());
    let partitions = state
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| format!("{}-{partition}", topic.topic)));
    vec![
        coordinator.to_string(),
        state.transactional_id,
        state.producer_id.to_string(),
        state.producer_epoch.to_string(),
        state.transaction_state,
        state.transaction_timeout_ms.to_string(),
        or_none(started),
        or_none(started.map(|started| now_ms - started)),
        partitions.collect::<Vec<_>>().join(","),
    ]
}

fn partition_of(options: &Parsed) -> Result<TopicPartition, Failure> {
    let topic = options.required("topic")?;
    let partition = options.number("partition")?.ok_or_else(|| wrong("argument --partition is required"))?;
    Ok(TopicPartition::new(topic, partition))
}

/// The producers of one partition, asked of its leader or of `broker`.
async fn producers_of(
    cluster: &Cluster,
    tp: &TopicPartition,
    broker: Option<i32>,
) -> Result<Vec<describe_producers_response::ActiveProducer>, Error> {
    let node = match broker {
        Some(id) => id,
        None => cluster.leader(tp, cluster.config().api_timeout).await?,
    };
    let topic = describe_producers_request::Topic { name: tp.topic.to_string(), partition_indexes: vec![tp.partition] };
    let response = cluster.node(node).await?.send(&DescribeProducersRequest { topics: vec![topic] }).await?;
    let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let partition = partition.ok_or_else(|| Error::api(ErrorCode::UnknownServerError, None))?;
    Error::check(partition.error_code, partition.error_message.as_ref())?;
    Ok(partition.active_producers)
}

async fn describe_producers(cluster: &Cluster, options: &Parsed) -> Result<Vec<Vec<String>>, Failure> {
    let tp = partition_of(options)?;
    let broker = options.number("broker-id")?;
    let producers = producers_of(cluster, &tp, broker).await.map_err(|error| {
        let on = broker.map(|id| format!(" on broker {id}")).unwrap_or_default();
        failed(format!("Failed to describe producers for partition {tp}{on}"), &error)
    })?;
    let mut rows = vec![row([
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ])];
    rows.extend(producers.into_iter().map(|producer| {
        let start = Some(producer.current_txn_start_offset).filter(|offset| *offset >= 0);
        vec![
            producer.producer_id.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.to_string(),
            producer.last_sequence.to_string(),
            producer.last_timestamp.to_string(),
            start.map_or("None".to_owned(), |offset| offset.to_string()),
        ]
    }));
    Ok(rows)
}

async fn abort(cluster: &Cluster, options: &Parsed) -> Outcome {
    let tp = partition_of(options)?;
    let marker = match options.number::<i64>("start-offset")? {
        Some(start_offset) => marker_at(cluster, &tp, start_offset).await?,
        None => {
            let needs = |name: &str| {
                wrong(&format!(
                    "The transaction to abort must be identified either with --start-offset or with --producer-id, --producer-epoch, and --coordinator-epoch; {name} is missing"
                ))
            };
            (
                options.number("producer-id")?.ok_or_else(|| needs("--producer-id"))?,
                options.number("producer-epoch")?.ok_or_else(|| needs("--producer-epoch"))?,
                options.number("coordinator-epoch")?.ok_or_else(|| needs("--coordinator-epoch"))?,
            )
        }
    };
    let written = write_abort_marker(cluster, &tp, marker).await;
    written.map_err(|error| failed(format!("Failed to abort transaction of producer {} on {tp}", marker.0), &error))?;
    Ok(0)
}

/// Producer id, producer epoch and coordinator epoch of the transaction that starts at `start_offset`.
async fn marker_at(cluster: &Cluster, tp: &TopicPartition, start_offset: i64) -> Result<(i64, i16, i32), Failure> {
    let producers = producers_of(cluster, tp, None).await;
    let producers =
        producers.map_err(|error| failed(format!("Failed to validate open transactions on {tp}"), &error))?;
    let found = producers.into_iter().find(|producer| producer.current_txn_start_offset == start_offset);
    let found = found.ok_or_else(|| {
        Failure::Words(format!(
            "Could not find any open transactions starting at offset {start_offset} on partition {tp}"
        ))
    })?;
    let epoch = i16::try_from(found.producer_epoch).unwrap_or(i16::MAX);
    // A first transaction has not met a coordinator's epoch yet.
    Ok((found.producer_id, epoch, found.coordinator_epoch.max(0)))
}

async fn write_abort_marker(
    cluster: &Cluster,
    tp: &TopicPartition,
    (producer_id, producer_epoch, coordinator_epoch): (i64, i16, i32),
) -> Result<(), Error> {
    let topic = write_txn_markers_request::Topic { name: tp.topic.to_string(), partition_indexes: vec![tp.partition] };
    let marker = write_txn_markers_request::Marker {
        producer_id,
        producer_epoch,
        transaction_result: false,
        topics: vec![topic],
        coordinator_epoch,
        ..Default::default()
    };
    let leader = cluster.leader(tp, cluster.config().api_timeout).await?;
    let response = cluster.node(leader).await?.send(&WriteTxnMarkersRequest { markers: vec![marker] }).await?;
    let partitions = response.markers.into_iter().flat_map(|marker| marker.topics).flat_map(|topic| topic.partitions);
    let code = partitions.map(|partition| partition.error_code).next();
    Error::check(code.unwrap_or(ErrorCode::UnknownServerError.code()), None)
}

/// A new incarnation of the producer fences the old one, and its open transaction is aborted.
async fn force_terminate(cluster: &Cluster, options: &Parsed) -> Outcome {
    // The original spells its option differently here; whoever spells it as everywhere else is understood too.
    let id = match options.value("transactional-id") {
        Some(id) => id,
        None => options.required("transactionalId")?,
    };
    let what = || format!("Failed to force terminate transactionalId `{id}`");
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        // The transaction is never used.
        transaction_timeout_ms: 1,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let mut retries = cluster.retries();
    loop {
        let answer = match cluster.coordinator(CoordinatorKind::Transaction, id).await {
            Ok(coordinator) => coordinator.send(&request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(response) if is_passing(response.error_code) => {
                cluster.forget_coordinator(CoordinatorKind::Transaction, id);
                let error = Error::api(ErrorCode::from_code(response.error_code), None);
                retries.after(error).await.map_err(|error| failed(what(), &error))?;
            }
            Ok(response) => {
                Error::check(response.error_code, None).map_err(|error| failed(what(), &error))?;
                return Ok(0);
            }
            Err(error) => return Err(failed(what(), &error)),
        }
    }
}

fn is_passing(code: i16) -> bool {
    matches!(
        ErrorCode::from_code(code),
        ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_padded_and_followed_by_a_tab() {
        let (mut terminal, out, _) = Terminal::captured();
        print_table(&[row(["ProducerId", "X"]), row(["0", "long"])], &mut terminal);
        terminal.flush();
        assert_eq!(out.text(), "ProducerId\tX   \t\n0         \tlong\t\n");
    }

    #[test]
    fn a_transaction_that_has_not_begun_has_no_duration() {
        let state = describe_transactions_response::TransactionState {
            transactional_id: "x".to_owned(),
            transaction_state: "Empty".to_owned(),
            transaction_start_time_ms: -1,
            ..Default::default()
        };
        assert_eq!(description(1, state, 5)[6..], ["None", "None", ""]);
        let state = describe_transactions_response::TransactionState {
            transaction_start_time_ms: 2,
            topics: vec![describe_transactions_response::Topic { topic: "t".to_owned(), partitions: vec![0, 3] }],
            ..Default::default()
        };
        assert_eq!(description(1, state, 5)[6..], ["2", "3", "t-0,t-3"]);
    }
}
