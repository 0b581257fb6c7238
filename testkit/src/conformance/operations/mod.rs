//! Checks of [`Operations`](patchcore::provider::Operations), on the verbs of a deployer.

mod key;
mod prepare;
mod settle;
mod undo;

pub(super) use key::*;
pub(super) use prepare::*;
pub(super) use settle::*;
pub(super) use undo::*;

use patchcore::{
    ErrorKind,
    provider::{Change, DeployRequest, Op},
};

use crate::{
    bench::{Bench, Connection},
    check::Checked,
};

/// An apply of several subjects as one operation; none where the provider takes one at a time.
async fn prepared_apply_of_many(
    bench: &Bench,
    on: &Connection,
    changes: Vec<Change>,
) -> Checked<Option<Op<DeployRequest>>> {
    let first = bench.change()?.component;
    let asked = DeployRequest::Apply {
        changes: changes.clone(),
        staged: bench.key(&first, "stage"),
    };
    let key = bench.key(&first, "apply");
    let answer = on
        .deployer()?
        .prepare(&bench.working(on, &key), &asked)
        .await;
    if answer.is_err_and(|e| e.kind() == ErrorKind::Unsupported) {
        return Ok(None);
    }
    let request = bench.apply_request(on, changes).await?;
    match bench.prepare(on, key, request).await {
        Ok(op) => Ok(Some(op)),
        Err(outcome) => outcome.settled().map(|(op, _)| Some(op)),
    }
}
