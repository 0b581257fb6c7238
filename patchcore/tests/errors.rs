//! The page about errors is complete: every kind, in the order of the code, with cause, deed and remedy.

use patchcore::ErrorKind;

const PAGE: &str = include_str!("../../docs/errors.md");

/// What is wrong with a page, by the kinds that it must hold.
fn faults(page: &str, kinds: &[ErrorKind]) -> Vec<String> {
    let sections: Vec<(&str, &str)> = page
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .collect();
    let told: Vec<&str> = sections.iter().map(|(title, _)| *title).collect();
    let expected: Vec<String> = kinds.iter().map(|k| format!("`{}`", k.slug())).collect();
    let mut faults = Vec::new();
    if told != expected {
        faults.push(format!(
            "expected the kinds {expected:?} but found {told:?}"
        ));
    }
    for (title, text) in sections {
        for part in ["- Cause: ", "- What patchcore did: ", "- What to do: "] {
            let said = text.lines().find_map(|line| line.strip_prefix(part));
            if !said.is_some_and(|said| said.len() > 10 && said.ends_with('.')) {
                faults.push(format!("{title} has no sentence after \"{part}\""));
            }
        }
    }
    faults
}

#[test]
fn every_kind_has_its_cause_its_consequence_and_its_remedy() {
    assert_eq!(faults(PAGE, ErrorKind::ALL), Vec::<String>::new());
}

#[test]
fn a_page_with_a_hole_is_found() {
    let without = PAGE.replacen("## `denied`", "## `refused`", 1);
    assert_eq!(faults(&without, ErrorKind::ALL).len(), 1);
    let silent = PAGE.replacen("- What to do: correct", "- To do: correct", 1);
    assert_eq!(
        faults(&silent, ErrorKind::ALL),
        ["`invalid_input` has no sentence after \"- What to do: \""]
    );
    assert_eq!(faults(PAGE, &ErrorKind::ALL[1..]).len(), 1);
}
