//! The tools of an MCP server (Model Context Protocol, `tools/list`) as offers.
//!
//! A tool's annotations are the server's own word (the specification calls them untrusted hints), so they only ever make
//! a draft stricter: a tool is taken to change something unless it says that it only reads, and what it returns is
//! untrusted unless it says that its world is closed.

use super::{NotDescribed, Offer, bound, slug, tree};
use identity::{Audience, Name};
use policy::contract::Constraint;
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads the result of `tools/list`: the answer, its `result`, or the list alone.
pub fn tools(text: &str, service: &Audience) -> Result<Vec<Offer>, NotDescribed> {
    let tree = tree(text)?;
    let tools = [tree.pointer("/result/tools"), tree.get("tools"), Some(&tree)]
        .into_iter()
        .flatten()
        .find_map(Value::as_array)
        .ok_or(NotDescribed::OtherKind("list of MCP tools"))?;
    let offers: Vec<Offer> = tools.iter().filter_map(|tool| offer(tool, service)).collect();
    if offers.is_empty() {
        return Err(NotDescribed::Empty);
    }
    Ok(offers)
}

fn offer(tool: &Value, service: &Audience) -> Option<Offer> {
    let hint = |name: &str| tool.get("annotations")?.get(name)?.as_bool();
    let schema = tool.get("inputSchema");
    let required: BTreeSet<&str> = schema
        .and_then(|schema| schema.get("required")?.as_array())
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    let (mut bounds, mut free): (Vec<(Name, Constraint)>, Vec<Name>) = (Vec::new(), Vec::new());
    for (name, schema) in properties.into_iter().flatten() {
        let Some(argument) = slug(name) else { continue };
        match bound(schema).filter(|_| required.contains(name.as_str())) {
            Some(bound) => bounds.push((argument, bound)),
            None => free.push(argument),
        }
    }
    Some(Offer {
        service: service.clone(),
        action: slug(tool.get("name")?.as_str()?)?,
        writes: hint("readOnlyHint") != Some(true),
        untrusted: hint("openWorldHint") != Some(false),
        said: tool.get("description").and_then(Value::as_str).map(str::to_owned),
        bounds,
        free,
        source: Some("the server's list of tools"),
    })
}
