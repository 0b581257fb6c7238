//! Answers that came from anywhere, read as those of calls are.

use patchcore::Result;
use reqwest::StatusCode;
use serde_json::Value;

use super::{ApiFault, Found, Rest, Task, properties, rest, soap, unreadable};

const WHAT: &str = "an answer";

/// A SOAP answer as a tree; whatever its root is.
pub(crate) fn tree_of(text: &str) -> Result<Value> {
    let tree = soap::tree(text).map_err(|broken| unreadable(WHAT, broken))?;
    serde_json::to_value(tree).map_err(|error| rest::broken(WHAT, error))
}

/// The objects of a page of properties; the server's fault, and what cannot be read, are errors. Tasks are read too.
pub(crate) fn objects_of(text: &str) -> Result<Vec<Found>> {
    let broken = |broken| unreadable(WHAT, broken);
    let answer = soap::answer(text).map_err(broken)?;
    let page = answer.map_err(|fault| fault.into_error(WHAT))?;
    let page = page.children.into_iter().next();
    let mut objects = Vec::new();
    let take = |object| {
        objects.push(object);
        Ok(())
    };
    properties::token_of(page, take).map_err(broken)?;
    for info in objects.iter().filter_map(|found: &Found| found.get("info")) {
        Task::of(info).map_err(broken)?;
    }
    Ok(objects)
}

/// An answer of the REST API with its status, as [`rest`](super::VCenter::rest) reads it.
pub(crate) fn value_of(status: u16, body: &[u8]) -> Result<std::result::Result<Value, ApiFault>> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    rest::answer(&Rest::get(["esx"]), status, body)
}
