//! What people read of a plan, against the texts in `golden/`.

use std::{env, fs, path::PathBuf};

mod rich_estate;

use rich_estate::{POLICY, add, empty, planned, rich, twelve};

/// Compares with a file, or writes it where `PATCHCORE_BLESS` is set.
fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let text = format!("{text}\n");
    if env::var_os("PATCHCORE_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{name} differs; PATCHCORE_BLESS=1 writes it anew. Now it is:\n{text}"
    );
}

#[test]
fn a_rich_estate() {
    let plan = planned(&rich(), POLICY);
    golden("plan_rich.txt", &plan.to_string());
    golden("plan_rich_full.txt", &plan.to_text_full());
}

#[test]
fn nothing_to_do() {
    let mut inventory = empty();
    for n in 1..=35 {
        add(&mut inventory, &format!("web-{n}"), &[], Vec::new());
    }
    golden("plan_empty.txt", &planned(&inventory, POLICY).to_string());
}

#[test]
fn an_empty_policy_says_what_it_needs() {
    let mut inventory = empty();
    add(&mut inventory, "web-1", &[], twelve());
    golden("plan_bare_policy.txt", &planned(&inventory, "").to_string());
}
