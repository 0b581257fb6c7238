//! Policies, as people write them.

use patchcore::policy::{Policy, Selector};

use crate::rules;

const FILE: &str = "policy";

pub(crate) fn policy(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    // No TOML begins with a brace.
    let read = if text.trim_start().starts_with('{') {
        Policy::check_json(&text, FILE)
    } else {
        Policy::check_toml(&text, FILE)
    };
    match read {
        Ok(policy) => {
            rules::bounded(rules::written(&policy).len(), text.len());
            // What is taken from a file is taken from memory too, and is the same policy.
            match policy.check() {
                Ok(again) => assert_eq!(rules::written(&again), rules::written(&policy)),
                Err(mistakes) => panic!("taken once, and then refused: {mistakes}"),
            }
            let _ = (policy.lacks(), policy.effective_rings());
            true
        }
        Err(mistakes) => {
            rules::mistakes(&mistakes, FILE);
            false
        }
    }
}

pub(crate) fn selector(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    match Selector::parse(&text) {
        Ok(selector) => {
            let shown = selector.to_string();
            match Selector::parse(&shown) {
                Ok(again) => assert_eq!(again, selector, "shown as {shown}"),
                Err(error) => panic!("{text:?} is shown as {shown:?}, which is refused: {error}"),
            }
            let facts = |key: &str| (key.len().is_multiple_of(2)).then(|| key.to_owned());
            assert_eq!(selector.matches(&facts), selector.matches(&facts));
            assert!(!selector.is_all() || selector.matches(&|_| None));
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
