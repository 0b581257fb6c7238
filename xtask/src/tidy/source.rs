//! Reading Rust source as text: tokens without comments, strings and test modules, and two rules on attributes.

use super::{Finding, Tree};

/// One token: an identifier, a number, `::`, or a single sign. Strings become an empty pair of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// Splits source into tokens; comments vanish, since a link in a comment depends on nothing.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &source[at..];
        let end = at
            + if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                block_comment(rest)
            } else if let Some(length) = string(rest) {
                found.push(Token { text: "\"\"", line });
                length
            } else if rest.starts_with("::") {
                found.push(Token {
                    text: &rest[..2],
                    line,
                });
                2
            } else {
                let length = word(rest);
                let text = &rest[..length];
                if !text.trim().is_empty() {
                    found.push(Token { text, line });
                }
                length
            };
        line += source[at..end].matches('\n').count();
        at = end;
    }
    found
}

/// The length of a word, or of one character that is none.
fn word(rest: &str) -> usize {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    match rest.find(|c| !is_word(c)) {
        Some(0) => rest.chars().next().map_or(1, char::len_utf8),
        Some(length) => length,
        None => rest.len(),
    }
}

/// Block comments nest in Rust.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a string or character literal that begins here. A lifetime such as `'a` is none.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| {
            after.trim_start_matches('#').starts_with('"') || after.starts_with('\'')
        })
    });
    let prefix = prefix.unwrap_or_default();
    let body = &rest[prefix.len()..];
    if prefix.contains('r') {
        let fences = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(fences));
        let inner = body.get(fences + 1..)?;
        return Some(
            prefix.len()
                + fences
                + 1
                + inner
                    .find(&close)
                    .map_or(inner.len(), |at| at + close.len()),
        );
    }
    let quote = body.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    if quote == '\'' {
        let mut after = body[1..].chars();
        let (first, second) = (after.next()?, after.next()?);
        if first != '\\' && second != '\'' {
            return None;
        }
    }
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix.len() + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Leaves out every item under `#[cfg(test)]` and `#[test]`: tests may use what the code itself may not.
pub(super) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if starts(&tokens[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = after_item(tokens, at + 7);
        } else if starts(&tokens[at..], &["#", "[", "test", "]"]) {
            at = after_item(tokens, at + 4);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// The place after the item that begins here: after its closing brace, or after its semicolon.
fn after_item(tokens: &[Token<'_>], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                // `use a::{b};` ends at its semicolon, everything else at its brace.
                if depth == 0 && tokens.get(at).is_none_or(|next| next.text != ";") {
                    return at;
                }
            }
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    at
}

fn starts(tokens: &[Token<'_>], texts: &[&str]) -> bool {
    tokens.len() >= texts.len()
        && tokens
            .iter()
            .zip(texts)
            .all(|(token, text)| token.text == *text)
}

/// Finds `#[allow(…)]`, also inside `cfg_attr`, and `#[ignore]` without a reason.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let tokens = tokens(text);
        let mut at = 0;
        while at < tokens.len() {
            let is_attribute =
                starts(&tokens[at..], &["#", "["]) || starts(&tokens[at..], &["#", "!", "["]);
            if !is_attribute {
                at += 1;
                continue;
            }
            let open = if tokens[at + 1].text == "[" {
                at + 1
            } else {
                at + 2
            };
            let end = closing(&tokens, open);
            let inside = &tokens[open + 1..end];
            if let Some(allow) = inside
                .windows(2)
                .find(|pair| pair[0].text == "allow" && pair[1].text == "(")
            {
                findings.push(Finding::new(
                    path,
                    allow[0].line,
                    "a lint is allowed; write #[expect(lint, reason = \"…\")]",
                ));
            }
            if let Some(ignore) = inside
                .first()
                .filter(|first| first.text == "ignore" && inside.len() == 1)
            {
                findings.push(Finding::new(
                    path,
                    ignore.line,
                    "a test is ignored without a reason; write #[ignore = \"…\"]",
                ));
            }
            at = end.max(at + 1);
        }
    }
    findings
}

/// The place of the bracket that closes the one at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "[" => depth += 1,
            "]" => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    fn check_tokens(source: &str, expect: &str) {
        let texts: Vec<&str> = tokens(source).iter().map(|token| token.text).collect();
        assert_eq!(texts.join(" "), expect, "{source}");
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        check_tokens("use crate::plan; // crate::sim", "use crate :: plan ;");
        check_tokens("/* a /* b */ crate::sim */ x", "x");
        check_tokens(r#"let a = "crate::sim \" {"; b"#, "let a = \"\" ; b");
        check_tokens(r##"r#"say "crate::sim" {"# x"##, "\"\" x");
        check_tokens(
            "b\"x\" br\"y\" '{' '\\'' 'a: loop",
            "\"\" \"\" \"\" \"\" ' a : loop",
        );
        check_tokens("break r; bar::c", "break r ; bar :: c");
        check_tokens("\"ü{\" ä", "\"\" ä");
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let found = tokens("/* \n\n */ a\n\"\n\" b\n// c\nd");
        let lines: Vec<usize> = found.iter().map(|token| token.line).collect();
        assert_eq!(lines, [3, 4, 5, 7]);
    }

    #[test]
    fn items_of_tests_are_left_out() {
        let source = "a; #[cfg(test)] mod tests { fn x() { crate::sim } } b; #[cfg(test)] use c::{d}; e; \
                      #[cfg(test)] #[derive(X)] struct S; #[cfg(not(test))] f;";
        let all = tokens(source);
        let kept: Vec<&str> = without_tests(&all).iter().map(|token| token.text).collect();
        assert_eq!(kept.join(" "), "a ; b ; e ; # [ cfg ( not ( test ) ) ] f ;");
    }

    #[test]
    fn attributes_without_reason_are_found() {
        expect(
            check,
            &[
                ("a.rs", "#[allow(dead_code)]\nfn a() {}\n"),
                ("b.rs", "//! x\n#![allow(unused)]\n"),
                ("c.rs", "#[cfg_attr(unix, allow(unused))]\nfn c() {}\n"),
                ("d.rs", "#[test]\n#[ignore]\nfn d() {}\n"),
                (
                    "e.rs",
                    "// #[allow(x)]\n#[expect(x, reason = \"#[allow(\")]\n#[ignore = \"needs a guest\"]\nfn allow() {}\n",
                ),
            ],
            &["a.rs:1", "b.rs:2", "c.rs:1", "d.rs:2"],
        );
    }
}
