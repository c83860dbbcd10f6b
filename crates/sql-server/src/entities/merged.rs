//! Answers of several servers put together.

use serde_json::{Map, Value, json};

use super::source::summary;

fn is_persistent(query: &Value) -> bool {
    query["queryType"] == "PERSISTENT"
}

/// Adds what another server says of queries: how many servers have each in which state, and the queries of its clients. A
/// server that says nothing is one that does not respond.
pub fn add_queries(queries: &mut Vec<Value>, answer: Option<&Value>) {
    let others: &[Value] = answer.and_then(|answer| answer["queries"].as_array()).map_or(&[], Vec::as_slice);
    for query in queries.iter_mut().filter(|query| is_persistent(query)) {
        let other = others.iter().find(|other| other["id"] == query["id"]);
        let counts = match (other, answer) {
            (Some(other), _) => other["statusCount"].as_object().cloned().unwrap_or_default(),
            // It has not heard of the query yet.
            (None, Some(_)) => Map::new(),
            (None, None) => Map::from_iter([("UNRESPONSIVE".to_owned(), json!(1))]),
        };
        for (state, count) in counts {
            let sum = query["statusCount"][&state].as_u64().unwrap_or(0) + count.as_u64().unwrap_or(0);
            query["statusCount"][&state] = sum.into();
        }
        if let Some(counts) = query["statusCount"].as_object() {
            query["state"] = summary(counts.keys().map(String::as_str)).into();
        }
    }
    queries.extend(others.iter().filter(|other| !is_persistent(other)).cloned());
}

/// Adds how a query is on another server, and what went wrong there.
pub fn add_query_status(description: &mut Value, host: &str, other: Option<&Value>) {
    let known = other.and_then(|other| other["ksqlHostQueryStatus"].as_object()).cloned();
    let known = known.unwrap_or_else(|| Map::from_iter([(host.to_owned(), json!("UNRESPONSIVE"))]));
    for (host, state) in known {
        description["ksqlHostQueryStatus"][host] = state;
    }
    if let Some(states) = description["ksqlHostQueryStatus"].as_object() {
        description["state"] = summary(states.values().filter_map(Value::as_str)).into();
    }
    append(description, other, "queryErrors");
}

/// Adds what another server has done with the topic of a source.
pub fn add_statistics(description: &mut Value, other: Option<&Value>) {
    append(description, other, "clusterStatistics");
    append(description, other, "clusterErrorStats");
}

fn append(description: &mut Value, other: Option<&Value>, member: &str) {
    let more = other.and_then(|other| other[member].as_array()).cloned().unwrap_or_default();
    if let Some(own) = description[member].as_array_mut() {
        own.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(id: &str, state: &str) -> Value {
        json!({ "id": id, "queryType": "PERSISTENT", "statusCount": { state: 1 }, "state": state })
    }

    #[test]
    fn states_are_counted_over_all_servers() {
        let mut queries = vec![query("A", "RUNNING"), query("B", "RUNNING")];
        let push = json!({ "id": "p", "queryType": "PUSH", "statusCount": { "RUNNING": 1 }, "state": "RUNNING" });
        add_queries(&mut queries, Some(&json!({ "queries": [query("A", "ERROR"), push] })));
        assert_eq!(queries[0]["statusCount"], json!({ "RUNNING": 1, "ERROR": 1 }));
        assert_eq!((&queries[0]["state"], &queries[1]["state"]), (&json!("ERROR"), &json!("RUNNING")));
        assert_eq!(queries[1]["statusCount"], json!({ "RUNNING": 1 }));
        assert_eq!(queries[2], push);
        add_queries(&mut queries, None);
        assert_eq!(queries[1]["statusCount"], json!({ "RUNNING": 1, "UNRESPONSIVE": 1 }));
        assert_eq!(queries[1]["state"], "RUNNING");
        assert_eq!(queries[2]["statusCount"], json!({ "RUNNING": 1 }));
    }

    #[test]
    fn each_server_has_its_state_in_a_description() {
        let mut description = json!({ "ksqlHostQueryStatus": { "a:1": "RUNNING" }, "queryErrors": [] });
        let other = json!({ "ksqlHostQueryStatus": { "b:1": "ERROR" }, "queryErrors": [{ "type": "USER" }] });
        add_query_status(&mut description, "b:1", Some(&other));
        add_query_status(&mut description, "c:1", None);
        assert_eq!(
            description["ksqlHostQueryStatus"],
            json!({ "a:1": "RUNNING", "b:1": "ERROR", "c:1": "UNRESPONSIVE" })
        );
        assert_eq!(description["queryErrors"], json!([{ "type": "USER" }]));
    }
}
