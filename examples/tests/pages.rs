//! What the pages show is what the programs are and do.
//!
//! In `README.md` and below `docs/guide`: a block of Rust stands in an example or a test of this crate, word for word;
//! a block of TOML is a policy or an inventory file that is understood; a block below `<!-- shown by NAME -->` was printed by that example.
#![expect(
    clippy::unwrap_used,
    reason = "a page that cannot be read or checked fails its test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use patchcore::Policy;
use patchcore_linux::Inventory;

/// Stands for lines that a page leaves out of what a program printed.
const LEFT_OUT: &str = "…";

struct Block {
    /// Page and line, for messages.
    place: String,
    language: String,
    /// The example that printed it.
    shown_by: Option<String>,
    lines: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    found.sort();
    found
}

fn pages() -> Vec<Block> {
    let mut pages = files("docs/guide", "md");
    pages.push(root().join("README.md"));
    let mut blocks = Vec::new();
    for page in pages {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        blocks.extend(blocks_of(&name, &fs::read_to_string(&page).unwrap()));
    }
    assert!(!blocks.is_empty(), "the pages have no blocks");
    blocks
}

fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut shown_by = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block {
                    place: format!("{page}:{}", number + 1),
                    language: language.to_owned(),
                    shown_by: shown_by.take(),
                    lines: Vec::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, None) => {
                let mark = line
                    .strip_prefix("<!-- shown by ")
                    .and_then(|l| l.strip_suffix(" -->"));
                shown_by = mark
                    .map(str::to_owned)
                    .or(shown_by.filter(|_| line.is_empty()));
            }
        }
    }
    assert!(open.is_none(), "{page}: a block is not closed");
    blocks
}

/// Whether the block stands in the source, each line by the same number of blanks further to the right.
fn stands_in(source: &str, block: &[String]) -> bool {
    let source: Vec<&str> = source.lines().collect();
    source.windows(block.len()).any(|window| {
        let indent = window[0].len() - window[0].trim_start().len();
        let further = " ".repeat(indent);
        window.iter().zip(block).all(|(theirs, ours)| {
            if ours.is_empty() {
                theirs.is_empty()
            } else {
                **theirs == format!("{further}{ours}")
            }
        })
    })
}

/// The first line that was not printed where the block says.
fn not_printed<'b>(printed: &str, block: &'b [String]) -> Option<&'b str> {
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let parts: Vec<&[String]> = block.split(|line| line.trim() == LEFT_OUT).collect();
    let mut from = 0;
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let Some(at) = (from..printed.len()).find(|at| {
            printed[*at..].iter().zip(part).all(|(p, b)| *p == b)
                && printed.len() - at >= part.len()
        }) else {
            let missing = part
                .iter()
                .find(|line| !printed[from..].contains(&line.as_str()));
            return Some(missing.unwrap_or(&part[0]));
        };
        from = at + part.len();
    }
    None
}

#[test]
fn rust_stands_in_a_program_that_is_run() {
    let folders = fs::read_dir(root().join("examples/examples")).unwrap();
    let folders = folders.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let sources: Vec<String> = folders
        .map(|name| format!("examples/examples/{name}"))
        .filter(|folder| root().join(folder).is_dir())
        .flat_map(|folder| files(&folder, "rs"))
        .chain(files("examples/examples", "rs"))
        .chain(files("examples/tests", "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for block in pages().iter().filter(|b| b.language.starts_with("rust")) {
        assert!(
            sources.iter().any(|source| stands_in(source, &block.lines)),
            "{}: these lines stand in no example as they are; copy them from one",
            block.place
        );
    }
}

#[test]
fn toml_is_a_policy_or_an_inventory() {
    // The files that an inventory names must be there.
    let folder = tempfile::tempdir().unwrap();
    for name in ["known_hosts", "id_ed25519"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    for block in pages().iter().filter(|b| b.language == "toml") {
        let text = block.lines.join("\n");
        if text.contains("[[host]]") {
            let file = format!("{}.toml", block.place);
            if let Err(mistakes) = Inventory::check(&text, &file, folder.path()) {
                panic!("{mistakes}");
            }
            continue;
        }
        if let Err(error) = Policy::from_toml(&text, &block.place) {
            panic!("{}: {error:?}", block.place);
        }
    }
}

#[test]
fn what_an_example_showed_it_shows() {
    for block in pages() {
        let Some(name) = &block.shown_by else {
            continue;
        };
        // A test of its own holds this file against what the example prints.
        let kept = root().join(format!("examples/tests/golden/{name}.txt"));
        let printed = fs::read_to_string(&kept)
            .unwrap_or_else(|e| panic!("{}: the output of {name} is not kept: {e}", block.place));
        if let Some(line) = not_printed(&printed, &block.lines) {
            panic!(
                "{}: {name} prints nothing like this here; copy it from tests/golden/{name}.txt:\n{line}",
                block.place
            );
        }
    }
}

#[test]
fn planted_differences_are_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let source = "fn a() {\n    let b = 1;\n\n    let c = 2;\n}\n";
    assert!(stands_in(source, &lines("let b = 1;\n\nlet c = 2;")));
    assert!(!stands_in(source, &lines("let b = 1;\nlet c = 2;")));
    assert!(!stands_in(source, &lines("let b = 1;\n\nlet c = 3;")));

    let printed = "one\ntwo  \nthree\nfour\n";
    assert_eq!(not_printed(printed, &lines("one\ntwo\n…\nfour")), None);
    assert_eq!(not_printed(printed, &lines("one\nthree")), Some("one"));
    assert_eq!(not_printed(printed, &lines("three\n…\none")), Some("one"));
    assert_eq!(not_printed(printed, &lines("four\nfive")), Some("five"));

    let blocks = blocks_of(
        "p",
        "<!-- shown by x -->\n```text\na\n```\n\n```toml\nb\n```\n",
    );
    let seen: Vec<_> = blocks
        .iter()
        .map(|b| (b.place.as_str(), b.shown_by.as_deref()))
        .collect();
    assert_eq!(seen, [("p:2", Some("x")), ("p:6", None)]);
}
