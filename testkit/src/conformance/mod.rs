//! The checks, one module per port. [`list`] is the table of contents.

mod bracket;
mod deployer;
mod drainer;
mod failure;
mod inventory;
mod list;
mod lock;
mod operations;
mod probe;
mod scan;
mod source;

use crate::check::{Check, Port};

static INVENTORY: &[Check] = crate::__checks!(inventory table []);
static SOURCE: &[Check] = crate::__checks!(source table []);
static SCAN: &[Check] = crate::__checks!(scan table []);
static DEPLOYER: &[Check] = crate::__checks!(deployer table []);
static FAILURE: &[Check] = crate::__checks!(failure table []);
static OPERATIONS: &[Check] = crate::__checks!(operations table []);
static PROBE: &[Check] = crate::__checks!(probe table []);
static LOCK: &[Check] = crate::__checks!(lock table []);
static BRACKET: &[Check] = crate::__checks!(bracket table []);
static DRAINER: &[Check] = crate::__checks!(drainer table []);

/// Every check there is, for those who run them without the macro: a table of faults, or a provider written
/// in another language.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [
        INVENTORY, SOURCE, SCAN, DEPLOYER, FAILURE, OPERATIONS, PROBE, LOCK, BRACKET, DRAINER,
    ]
    .into_iter()
    .flatten()
}
