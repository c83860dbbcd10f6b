//! Data that tutorials begin with.

use serde_json::{Value, json};

/// A topic, its key, and a schema whose values are made up.
pub struct Quickstart {
    pub topic: &'static str,
    pub key: &'static str,
    pub schema: Value,
}

/// Names of what [`find`] finds.
pub const NAMES: [&str; 8] =
    ["clickstream", "clickstream_codes", "clickstream_users", "orders", "pageviews", "ratings", "users", "users_"];

fn field(name: &str, avro: &str, arguments: Value) -> Value {
    json!({ "name": name, "type": { "type": avro, "arg.properties": arguments } })
}

fn pattern(name: &str, expression: &str) -> Value {
    field(name, "string", json!({ "regex": expression }))
}

fn record(name: &str, fields: Vec<Value>) -> Value {
    json!({ "type": "record", "name": name, "fields": fields })
}

fn options(name: &str, avro: &str, values: Value) -> Value {
    field(name, avro, json!({ "options": values }))
}

fn time(name: &str) -> Value {
    field(name, "long", json!({ "range": { "min": 1_487_715_775_521_i64, "max": 1_519_273_364_600_i64 } }))
}

fn count(name: &str, avro: &str, start: i64) -> Value {
    field(name, avro, json!({ "iteration": { "start": start, "step": 1 } }))
}

/// By its name, in any case.
pub fn find(name: &str) -> Option<Quickstart> {
    let of = |topic, key, fields| Quickstart { topic, key, schema: record(topic, fields) };
    Some(match name.to_ascii_lowercase().as_str() {
        "clickstream" => of("clickstream", "ip", clicks()),
        "clickstream_codes" => Quickstart { topic: "clickstream_codes", key: "code", schema: codes() },
        "clickstream_users" => of("clickstream_users", "user_id", click_users()),
        "orders" => of("orders", "orderid", orders()),
        "pageviews" => of("pageviews", "viewtime", page_views()),
        "ratings" => of("ratings", "rating_id", ratings()),
        "users" => of("users", "userid", users()),
        "users_" => of("users", "userid", [users(), contacts()].concat()),
        _ => return None,
    })
}

fn users() -> Vec<Value> {
    vec![
        time("registertime"),
        pattern("userid", "User_[1-9]"),
        pattern("regionid", "Region_[1-9]"),
        options("gender", "string", json!(["MALE", "FEMALE", "OTHER"])),
    ]
}

fn contacts() -> Vec<Value> {
    let interests = json!([["Chess", "Music"], ["Hiking"], ["News", "Travel", "Film"], ["Cooking", "Gardens"]]);
    let contact = |phone: &str, city: &str, state: &str, zipcode: &str| json!({ "phone": phone, "city": city, "state": state, "zipcode": zipcode });
    let contacts = json!([
        contact("5550100101", "Springfield", "IL", "62701"),
        contact("5550100102", "Portland", "OR", "97201"),
        contact("5550100103", "Austin", "TX", "73301"),
    ]);
    let of = |name: &str, container: &str, inner: &str, values: Value| json!({ "name": name, "type": { "type": container, inner: "string", "arg.properties": { "options": values } } });
    vec![of("interests", "array", "items", interests), of("contactinfo", "map", "values", contacts)]
}

fn page_views() -> Vec<Value> {
    vec![
        field("viewtime", "long", json!({ "iteration": { "start": 1, "step": 10 } })),
        pattern("userid", "User_[1-9]"),
        pattern("pageid", "Page_[1-9][0-9]?"),
    ]
}

fn orders() -> Vec<Value> {
    let address = vec![
        pattern("city", "City_[1-9][0-9]?"),
        pattern("state", "State_[1-9][0-9]?"),
        field("zipcode", "long", json!({ "range": { "min": 10_000, "max": 99_999 } })),
    ];
    vec![
        time("ordertime"),
        count("orderid", "int", 0),
        pattern("itemid", "Item_[1-9][0-9]{0,2}"),
        field("orderunits", "double", json!({ "range": { "min": 0.1, "max": 10.0 } })),
        json!({ "name": "address", "type": record("address", address) }),
    ]
}

fn ratings() -> Vec<Value> {
    let messages = ["all was fine", "too late again", "friendly crew", "lost my bag", "more leg room, please"];
    vec![
        count("rating_id", "long", 1),
        field("user_id", "int", json!({ "range": { "min": 1, "max": 20 } })),
        field("stars", "int", json!({ "range": { "min": 1, "max": 5 } })),
        field("route_id", "int", json!({ "range": { "min": 1, "max": 10_000 } })),
        field("rating_time", "long", json!({ "iteration": { "start": 1, "step": 12 } })),
        options("channel", "string", json!(["web", "ios", "ios-test", "android"])),
        options("message", "string", json!(messages)),
    ]
}

fn clicks() -> Vec<Value> {
    let requests =
        ["GET /index.html HTTP/1.1", "GET /images/logo.png HTTP/1.1", "GET /login HTTP/1.1", "POST /cart HTTP/1.1"];
    let agents = ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (compatible; a bot)", "curl/8.5.0"];
    vec![
        pattern("ip", "(111|122|222)\\.(152|168|173|203|245)\\.[1-9][0-9]\\.[1-9][0-9]"),
        field("userid", "int", json!({ "range": { "min": 1, "max": 41 } })),
        options("remote_user", "string", json!(["-"])),
        field("time", "string", json!({ "iteration": { "start": 1, "step": 10 } })),
        field("_time", "long", json!({ "iteration": { "start": 1, "step": 10 } })),
        options("request", "string", json!(requests)),
        options("status", "string", json!(["200", "302", "404", "405", "406", "407"])),
        options("bytes", "string", json!(["278", "1289", "2048", "4096", "14096"])),
        options("referrer", "string", json!(["-"])),
        options("agent", "string", json!(agents)),
    ]
}

/// Whole records are chosen: each code has its own definition.
fn codes() -> Value {
    let known = [
        (200, "Successful"),
        (302, "Redirect"),
        (404, "Page not found"),
        (405, "Method not allowed"),
        (406, "Not acceptable"),
        (407, "Proxy authentication required"),
    ];
    let known: Vec<Value> =
        known.iter().map(|(code, definition)| json!({ "code": code, "definition": definition })).collect();
    json!({ "type": "record", "name": "clickstream_codes", "arg.properties": { "options": known }, "fields": [
        { "name": "code", "type": "int" }, { "name": "definition", "type": "string" }] })
}

fn click_users() -> Vec<Value> {
    let names = ["Ada", "Alan", "Barbara", "Donald", "Edsger", "Grace", "Ken", "Margaret"];
    let last_names = ["Adams", "Baker", "Clark", "Davis", "Evans", "Frank", "Ghosh", "Hills"];
    vec![
        count("user_id", "int", 1),
        pattern("username", "[a-z]{3,6}_[0-9]{2,4}"),
        time("registered_at"),
        options("first_name", "string", json!(names)),
        options("last_name", "string", json!(last_names)),
        options("city", "string", json!(["Frankfurt", "London", "New York", "Palo Alto", "Raleigh", "San Francisco"])),
        options("level", "string", json!(["Gold", "Silver", "Platinum"])),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::generator;
    use super::*;

    #[test]
    fn every_quickstart_has_a_schema_with_its_key() {
        for name in NAMES {
            let quickstart = find(name).unwrap();
            let (row, _) = generator::record(&quickstart.schema).unwrap();
            assert!(row.fields.iter().any(|field| *field.name == *quickstart.key), "{name}");
        }
        assert!(find("ORDERS").is_some() && find("clicks").is_none());
    }
}
