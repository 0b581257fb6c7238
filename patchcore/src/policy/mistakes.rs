//! What a policy's mistakes are answered with.

use super::Policy;

#[test]
fn every_mistake_has_its_answer() {
    let cases: Vec<&str> = include_str!("mistakes.txt").split("\n\n").skip(1).collect();
    assert!(cases.len() > 60, "the cases are not read");
    let mut differing = String::new();
    for case in cases {
        let (text, answers) = case.trim_end().split_once("\n=> ").unwrap();
        let count = answers.matches("\n=> ").count() + 1;
        let expected = format!(
            "policy.toml:{}\n{count} mistake{}; nothing was done",
            answers.replace("\n=> ", "\npolicy.toml:"),
            if count == 1 { "" } else { "s" }
        );
        let found = match Policy::check_toml(text, "policy.toml") {
            Ok(_) => "no mistake".to_owned(),
            Err(mistakes) => mistakes.to_string(),
        };
        if found != expected {
            differing.push_str(&format!(
                "{text}\n  expected {expected}\n  found    {found}\n\n"
            ));
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[test]
fn json_mistakes_are_pointed_at() {
    for (text, answer) in [
        (
            r#"{"ring":[{"name":"a","select":"*","at_onec":1}]}"#,
            "#/ring/0/at_onec: unknown key \"at_onec\" in [[ring]] \"a\"",
        ),
        (
            r#"{"on_fail":{"tolerate":0}}"#,
            "#/on_fail/tolerate: [on_fail]: tolerate = 0 is a bare number",
        ),
        (
            r#"{"name":"a","name":"b"}"#,
            "#/name: key \"name\" is given twice",
        ),
        (
            r#"{"owner":null}"#,
            "#/owner: owner = null is not text in quotes",
        ),
        (r#"{"a/b~":1}"#, "#/a~1b~0: unknown key \"a/b~\""),
        (r#"[]"#, "#: a policy is a table of keys, not a list"),
        (
            r#"{"policy":1.0}"#,
            "#/policy: policy = 1.0 is not a version",
        ),
        ("{\n\"name\": }", ":2:9: this is not JSON: expected value"),
        ("", ":1:1: this is not JSON: EOF while parsing a value"),
    ] {
        let mistakes = Policy::check_json(text, "policy.json").unwrap_err();
        assert!(
            mistakes
                .to_string()
                .starts_with(&format!("policy.json{answer}")),
            "{text}: {mistakes}"
        );
        assert_eq!(mistakes.as_slice().len(), 1, "{mistakes}");
    }
}

#[test]
fn a_deep_document_is_refused_and_not_followed() {
    let deep = format!("name = {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(Policy::check_toml(&deep, "p").is_err());
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(Policy::check_json(&deep, "p").is_err());
}
