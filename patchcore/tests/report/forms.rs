//! The forms of a report: text, Markdown, JSON, files.

use std::{env, fs, path::PathBuf};

use patchcore::{ErrorKind, Report, execute::Story};

use crate::{estate, fit_for_people};

fn report() -> Report {
    estate::runtime().block_on(async {
        let (journal, run) = estate::halted().await;
        let story = Story::read(&journal, run).await.unwrap();
        Report::of(&story, story.ended_at.unwrap())
    })
}

/// Compares with a file, or writes it where `PATCHCORE_BLESS` is set.
fn golden(path: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("PATCHCORE_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        text == expected,
        "{path} differs; PATCHCORE_BLESS=1 writes it anew. Now it is:\n{text}"
    );
}

#[test]
fn text_and_markdown_are_as_agreed() {
    let report = report();
    let (text, markdown) = (report.to_string(), report.to_markdown());
    fit_for_people(&text);
    fit_for_people(&markdown);
    golden("tests/golden/report.txt", &format!("{text}\n"));
    golden("tests/golden/report.md", &markdown);
    assert_eq!(report.exit_status(), 1);
}

#[test]
fn the_published_schema_is_that_of_the_code() {
    let schema = serde_json::to_string_pretty(&Report::json_schema()).unwrap();
    golden("../docs/schema/report.json", &format!("{schema}\n"));
}

#[test]
fn json_comes_back_and_nothing_else_does() {
    let report = report();
    let json = report.to_json().unwrap();
    assert_eq!(Report::from_json(&json).unwrap(), report);
    assert_eq!(Report::from_json(&json).unwrap().to_json().unwrap(), json);
    for (text, expect) in [
        ("nonsense".to_owned(), "it is not JSON"),
        ("{}".to_owned(), "it names no schema"),
        (
            json.replace("patchcore.report/1", "patchcore.report/2"),
            "it has another schema",
        ),
        (
            json.replace("\"zone\":", "\"zoone\":"),
            "a part of it cannot be read",
        ),
        (
            json.replacen("\"rolled_back\":1", "\"rolled_back\":0", 1),
            "its figures do not add up",
        ),
    ] {
        let error = Report::from_json(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(expect), "{error:?}");
    }
}

#[test]
fn a_file_says_by_its_name_what_it_is() {
    let report = report();
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    for (name, expect) in [
        ("r.txt", format!("{report}\n")),
        ("r.MD", report.to_markdown()),
        ("r.json", report.to_json().unwrap()),
    ] {
        report.save(dir.join(name)).unwrap();
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), expect);
    }
    for (name, kind) in [
        ("r.pdf", ErrorKind::InvalidInput),
        ("r", ErrorKind::InvalidInput),
        ("missing/r.md", ErrorKind::Io),
    ] {
        let error = report.save(dir.join(name)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(name), "{error:?}");
    }
    let left: Vec<_> = fs::read_dir(&dir).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
    fs::remove_dir_all(dir).unwrap();
}
