//! What the API answers, for people.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::Call;

/// JSON as it came, or one line per thing with what people look for.
pub(super) fn print(call: &Call, answer: &Value) -> Result<()> {
    if call.printer.json {
        return Ok(call.printer.object(answer)?);
    }
    let rows = match answer {
        Value::Array(rows) => rows.iter().collect(),
        Value::Object(members) if members.contains_key("keys") => answer["keys"].as_array().into_iter().flatten().collect(),
        one => vec![one],
    };
    for row in &rows {
        call.printer.data(&line(row))?;
    }
    if rows.is_empty() {
        call.printer.say("none");
    }
    Ok(())
}

fn line(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let state = if row["active"] == json!(false) { "  (deactivated)" } else { "" };
    if !row["supplier_org"].is_null() {
        let scope = row["scopes"][0].as_str().unwrap_or_default();
        let line = format!("{scope}  0192:{}  may act for  0192:{}{state}", text("supplier_org"), text("consumer_org"));
        return line.replace("(deactivated)", "(withdrawn)");
    }
    if !row["issuer"].is_null() {
        return format!("{}  {}", text("name"), text("issuer"));
    }
    if !row["onbehalfof"].is_null() && !row["orgno"].is_null() {
        return format!("{}  0192:{}  {}{state}", text("onbehalfof"), text("orgno"), text("name"));
    }
    if !row["client_id"].is_null() {
        let scopes: Vec<&str> = row["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        return format!("{}  {}  {}{state}", text("client_id"), text("client_name"), scopes.join(" "));
    }
    if !row["consumer_orgno"].is_null() {
        return format!(
            "{}  0192:{}  {}  {}",
            text("scope"),
            text("consumer_orgno"),
            text("state"),
            text("consumer_organization_name")
        );
    }
    if !row["subscope"].is_null() {
        let open = if row["accessible_for_all"] == json!(true) { "  (open to all)" } else { "" };
        return format!("{}  {}{open}{state}", text("name"), text("description"));
    }
    if !row["kid"].is_null() {
        let until = row["exp"].as_i64().and_then(|exp| jiff::Timestamp::from_second(exp).ok());
        return format!("{}  until {}", text("kid"), until.map_or_else(String::new, |until| until.to_string()));
    }
    if !row["prefixes"].is_null() {
        let prefixes: Vec<&str> = row["prefixes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        return format!("0192:{}  {}  {}", text("orgno"), text("name"), prefixes.join(" "));
    }
    row.to_string()
}
