//! How a command lies in the inbox of a journal.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    journal::{CommandRow, NewCommand},
    kernel::Command,
};
use crate::id::{PersonId, RunId};

/// What stands beside the command's own fields.
const REASON: &str = "reason";
const VERB: &str = "verb";

/// A command as it is posted. One that concerns the journal as a whole, and no single run, is for whichever run is
/// driven next.
pub(crate) fn posted(
    run: Option<RunId>,
    at: Timestamp,
    by: &PersonId,
    reason: &str,
    command: &Command,
) -> NewCommand {
    let mut args = serde_json::to_value(command).unwrap_or(Value::Null);
    if let Some(args) = args.as_object_mut() {
        args.remove(VERB);
        args.insert(REASON.to_owned(), reason.into());
    }
    NewCommand {
        run,
        at,
        by: by.clone(),
        verb: command.verb().to_owned(),
        args,
    }
}

/// The command and its reason, or why it cannot be read.
pub(crate) fn read(row: &CommandRow) -> Result<(Command, String), String> {
    let mut args = row.args.clone();
    let mut reason = String::new();
    if let Some(args) = args.as_object_mut() {
        if let Some(Value::String(said)) = args.remove(REASON) {
            reason = said;
        }
        args.insert(VERB.to_owned(), row.verb.clone().into());
    }
    match Command::deserialize(&args) {
        Ok(command) => Ok((command, reason)),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}
