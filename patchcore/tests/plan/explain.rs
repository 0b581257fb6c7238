//! Why this, why then, why not.

use crate::{
    golden::golden,
    rich_estate::{POLICY, planned, rich},
};

#[test]
fn a_few_lines_about_anything() {
    let plan = planned(&rich(), POLICY);
    let mut page = Vec::new();
    for name in [
        "web-01",
        "web-28",
        "app-1",
        "dns-2",
        "web-27",
        "gone-1",
        "pbx-1",
        "log-1",
        "ldap-1",
        "db-2",
        "openssl",
        "gnupg",
        "mysql-server",
    ] {
        let explanation = plan.explain(name).unwrap().to_string();
        let lines = explanation.lines().count();
        assert!((3..=8).contains(&lines), "{explanation}");
        page.push(explanation);
    }
    golden("plan_explain.txt", &page.join("\n\n"));
    assert_eq!(plan.explain("nobody"), None);
}

#[test]
fn everything_that_was_found_or_offered_can_be_explained() {
    let inventory = rich();
    let plan = planned(&inventory, POLICY);
    for component in inventory.components.keys() {
        assert!(plan.explain(component.as_str()).is_some(), "{component}");
    }
    let offers = inventory.findings.values().flatten();
    for patch in offers.flat_map(|f| &f.available.as_ref().unwrap().patches) {
        // What a blocked component would have got is explained by the component.
        assert!(plan.explain(patch.id.as_str()).is_some(), "{}", patch.id);
    }
}
