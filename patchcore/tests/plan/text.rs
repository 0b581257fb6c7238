//! What people read of a plan.

use crate::{
    golden::golden,
    rich_estate::{POLICY, add, empty, planned, rich, twelve},
};

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
