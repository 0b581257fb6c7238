//! What was stored, perhaps elsewhere and by somebody else: plans, inventories, events of a journal.

use std::fmt::Debug;

use patchcore::{
    ErrorKind,
    estate::Inventory,
    execute::kernel::{ComponentEvent, RunEvent},
    plan::Plan,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::rules;

pub(crate) fn stored(input: &[u8]) -> bool {
    // Not one after the other until one takes it: what one takes must not make another fall over.
    let taken = [
        plan(&String::from_utf8_lossy(input)),
        read_alike::<Inventory>(input),
        read_alike::<ComponentEvent>(input),
        read_alike::<RunEvent>(input),
    ];
    taken.contains(&true)
}

fn plan(text: &str) -> bool {
    match Plan::from_json(text) {
        Ok(plan) => {
            let written = match plan.to_json() {
                Ok(written) => written,
                Err(error) => panic!("a plan that was read cannot be written: {error:?}"),
            };
            match Plan::from_json(&written) {
                Ok(again) => assert_eq!(again, plan),
                Err(error) => panic!("a plan that was written cannot be read: {error:?}"),
            }
            // Whoever gets a plan reads it before anything else.
            let _ = (plan.to_string(), plan.id(), plan.is_empty());
            true
        }
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::InvalidInput]);
            false
        }
    }
}

fn read_alike<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) -> bool {
    match serde_json::from_slice::<T>(input) {
        Ok(value) => {
            rules::written_alike(&value, input.len());
            true
        }
        Err(_) => false,
    }
}
