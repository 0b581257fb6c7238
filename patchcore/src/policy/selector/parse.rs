//! Reads the text of a selector: recursive descent over tokens with their columns.

use std::{error::Error as StdError, fmt};

use super::{Expr, Glob};
use crate::{Error, ErrorKind};

/// A selector is one line of a policy; what is longer is not written by hand.
const LONGEST: usize = 4096;
/// Parentheses and `not` recurse; 32 levels fit any stack and exceed any reader.
const DEEPEST: usize = 32;
const KEYWORDS: [&str; 5] = ["and", "or", "not", "in", "like"];

/// A selector that cannot be read: where, what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectorError {
    /// The column of the mistake within the selector, in characters from 1.
    pub column: usize,
    /// What could have stood there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "column {}: expected {} but found {}",
            self.column, self.expected, self.found
        )
    }
}

impl StdError for SelectorError {}

impl From<SelectorError> for Error {
    fn from(error: SelectorError) -> Self {
        Self::new(
            ErrorKind::InvalidInput,
            format!("a selector cannot be read at column {}", error.column),
        )
        .expected(error.expected)
        .found(error.found)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:?}"),
            Self::Quoted(text) => write!(f, "the text {text:?}"),
            Self::Sign(sign) => write!(f, "{sign:?}"),
            Self::End => f.write_str("the end"),
        }
    }
}

fn is_bare_char(c: char) -> bool {
    c.is_alphanumeric() || "_-./:@+".contains(c)
}

/// Whether a value can stand without quotes.
pub(super) fn is_bare(value: &str) -> bool {
    !value.is_empty() && value.chars().all(is_bare_char) && !KEYWORDS.contains(&value)
}

pub(super) fn selector(text: &str) -> Result<Expr, SelectorError> {
    let short = |length: usize, what: &str| {
        if length <= LONGEST {
            return Ok(());
        }
        Err(SelectorError {
            column: 1,
            expected: format!("at most {LONGEST} bytes{what}"),
            found: format!("{length}"),
        })
    };
    short(text.len(), "")?;
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
    };
    let expr = parser.either(0)?;
    match parser.peek() {
        Token::End => {
            // Plans keep a selector as it is shown, with spaces and quotes of its own, and must be read again.
            short(expr.to_string().len(), " as it is shown")?;
            Ok(expr)
        }
        _ => Err(parser.wrong("\"and\", \"or\" or the end")),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SelectorError> {
    let mut tokens = Vec::new();
    let mut chars = text
        .chars()
        .enumerate()
        .map(|(index, c)| (index + 1, c))
        .peekable();
    while let Some((column, c)) = chars.next() {
        let token = match c {
            _ if c.is_whitespace() => continue,
            '(' => Token::Sign("("),
            ')' => Token::Sign(")"),
            ',' => Token::Sign(","),
            '*' => Token::Sign("*"),
            '=' => Token::Sign("="),
            '!' if chars.next_if(|(_, next)| *next == '=').is_some() => Token::Sign("!="),
            '"' | '\'' => {
                let mut value = String::new();
                loop {
                    match chars.next() {
                        Some((_, end)) if end == c => break Token::Quoted(value),
                        Some((_, '\\')) => match chars.next() {
                            Some((_, escaped @ ('\\' | '"' | '\''))) => value.push(escaped),
                            other => {
                                return Err(SelectorError {
                                    column: other.map_or(column, |(at, _)| at),
                                    expected: "a quote or a backslash after \\".to_owned(),
                                    found: other.map_or("the end".to_owned(), |(_, c)| {
                                        format!("{:?}", c.to_string())
                                    }),
                                });
                            }
                        },
                        Some((_, plain)) => value.push(plain),
                        None => {
                            return Err(SelectorError {
                                column,
                                expected: format!("a closing {c}"),
                                found: "the end".to_owned(),
                            });
                        }
                    }
                }
            }
            _ if is_bare_char(c) => {
                let mut word = String::from(c);
                while let Some((_, next)) = chars.next_if(|(_, next)| is_bare_char(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => {
                return Err(SelectorError {
                    column,
                    expected: "a key, a value, an operator or a parenthesis".to_owned(),
                    found: format!("{:?}", c.to_string()),
                });
            }
        };
        tokens.push((column, token));
    }
    tokens.push((text.chars().count() + 1, Token::End));
    Ok(tokens)
}

/// Always ends with [`Token::End`], which is never passed.
struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.next)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += usize::from(token != Token::End);
        token
    }

    fn wrong(&self, expected: &str) -> SelectorError {
        SelectorError {
            column: self.tokens.get(self.next).map_or(1, |(column, _)| *column),
            expected: expected.to_owned(),
            found: self.peek().to_string(),
        }
    }

    fn took_word(&mut self, keyword: &str) -> bool {
        let is = matches!(self.peek(), Token::Word(word) if word == keyword);
        self.next += usize::from(is);
        is
    }

    fn took_sign(&mut self, wanted: &str) -> bool {
        let is = matches!(self.peek(), Token::Sign(sign) if *sign == wanted);
        self.next += usize::from(is);
        is
    }

    fn either(&mut self, depth: usize) -> Result<Expr, SelectorError> {
        self.chain(depth, "or", Expr::Or, |parser, depth| {
            parser.chain(depth, "and", Expr::And, Self::one)
        })
    }

    fn chain(
        &mut self,
        depth: usize,
        word: &str,
        join: fn(Vec<Expr>) -> Expr,
        part: impl Fn(&mut Self, usize) -> Result<Expr, SelectorError>,
    ) -> Result<Expr, SelectorError> {
        let first = part(self, depth)?;
        let mut parts = vec![first];
        while self.took_word(word) {
            parts.push(part(self, depth)?);
        }
        if parts.len() > 1 {
            return Ok(join(parts));
        }
        parts.pop().ok_or_else(|| self.wrong("a condition"))
    }

    fn one(&mut self, depth: usize) -> Result<Expr, SelectorError> {
        if depth > DEEPEST {
            return Err(self.wrong(&format!(
                "at most {DEEPEST} levels of \"not\" and parentheses"
            )));
        }
        if self.took_word("not") {
            return Ok(Expr::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.took_sign("*") {
            return Ok(Expr::All);
        }
        if self.took_sign("(") {
            let inner = self.either(depth + 1)?;
            if !self.took_sign(")") {
                return Err(self.wrong("\"and\", \"or\" or \")\""));
            }
            return Ok(inner);
        }
        let key = match self.peek() {
            Token::Word(word) if !KEYWORDS.contains(&word.as_str()) => word.clone(),
            _ => return Err(self.wrong("a key, \"not\", \"(\" or \"*\"")),
        };
        self.next += 1;
        self.condition(key)
    }

    fn condition(&mut self, key: String) -> Result<Expr, SelectorError> {
        if self.took_sign("=") {
            return Ok(Expr::Equals(key, self.value()?));
        }
        if self.took_sign("!=") {
            return Ok(Expr::Differs(key, self.value()?));
        }
        if self.took_word("like") {
            let at = self.wrong("a pattern such as \"web-*\"");
            let Token::Quoted(pattern) = self.take() else {
                return Err(at);
            };
            return pattern
                .parse::<Glob>()
                .map(|glob| Expr::Like(key, glob))
                .map_err(|error| SelectorError {
                    found: match error.detail() {
                        Some(detail) => format!("{pattern:?}: {detail}"),
                        None => format!("{pattern:?}"),
                    },
                    ..at
                });
        }
        if self.took_word("in") {
            if !self.took_sign("(") {
                return Err(self.wrong("\"(\""));
            }
            let mut values = vec![self.value()?];
            while self.took_sign(",") {
                values.push(self.value()?);
            }
            if !self.took_sign(")") {
                return Err(self.wrong("\",\" or \")\""));
            }
            return Ok(Expr::In(key, values));
        }
        Err(self.wrong("\"=\", \"!=\", \"in\" or \"like\""))
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::Word(word) if KEYWORDS.contains(&word.as_str()) => {
                Err(self.wrong("a value (a word of the language stands in quotes)"))
            }
            Token::Word(_) | Token::Quoted(_) => match self.take() {
                Token::Word(value) | Token::Quoted(value) => Ok(value),
                _ => Err(self.wrong("a value")),
            },
            Token::Sign("*") => {
                Err(self.wrong("a value (patterns stand in quotes after \"like\")"))
            }
            _ => Err(self.wrong("a value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_has_its_column() {
        for (text, column, expected, found) in [
            ("", 1, "a key, \"not\", \"(\" or \"*\"", "the end"),
            ("tier", 5, "\"=\", \"!=\", \"in\" or \"like\"", "the end"),
            ("tier == web", 7, "a value", "\"=\""),
            ("tier = ", 8, "a value", "the end"),
            (
                "tier = and",
                8,
                "a value (a word of the language stands in quotes)",
                "\"and\"",
            ),
            ("tier = web-*", 12, "\"and\", \"or\" or the end", "\"*\""),
            (
                "tier = *",
                8,
                "a value (patterns stand in quotes after \"like\")",
                "\"*\"",
            ),
            (
                "tier like web",
                11,
                "a pattern such as \"web-*\"",
                "\"web\"",
            ),
            ("tier in web", 9, "\"(\"", "\"web\""),
            ("tier in ()", 10, "a value", "\")\""),
            ("tier in (a b)", 12, "\",\" or \")\"", "\"b\""),
            ("(tier = a", 10, "\"and\", \"or\" or \")\"", "the end"),
            ("tier = a)", 9, "\"and\", \"or\" or the end", "\")\""),
            (
                "tier = a tier = b",
                10,
                "\"and\", \"or\" or the end",
                "\"tier\"",
            ),
            ("tier = \"a", 8, "a closing \"", "the end"),
            (
                "tier = \"a\\n\"",
                11,
                "a quote or a backslash after \\",
                "\"n\"",
            ),
            (
                "tier ! a",
                6,
                "a key, a value, an operator or a parenthesis",
                "\"!\"",
            ),
            (
                "é = 1 && b = 2",
                7,
                "a key, a value, an operator or a parenthesis",
                "\"&\"",
            ),
        ] {
            let error = selector(text).unwrap_err();
            assert_eq!(
                (error.column, &*error.expected, &*error.found),
                (column, expected, found),
                "{text}"
            );
        }
        let brackets = selector("a like \"[x]\"").unwrap_err();
        assert_eq!(brackets.column, 8);
        assert!(
            brackets.found.contains("only * and ? are special"),
            "{brackets}"
        );
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let deep = |levels: usize| format!("{}a = b{}", "(".repeat(levels), ")".repeat(levels));
        assert!(selector(&deep(DEEPEST)).is_ok());
        assert!(
            selector(&deep(DEEPEST + 1))
                .unwrap_err()
                .expected
                .contains("32 levels")
        );
        assert!(selector(&format!("{}a = b", "not ".repeat(DEEPEST + 1))).is_err());
        assert!(selector(&deep(2000)).is_err());
        let long = vec!["a = b"; 400].join(" or ");
        assert!(selector(&long).is_ok(), "a long chain is not deep");
        assert!(
            selector(&"a".repeat(LONGEST + 1))
                .unwrap_err()
                .expected
                .contains("4096")
        );
    }

    #[test]
    fn what_is_taken_is_taken_again_as_it_is_shown() {
        let tight = |bytes: usize| format!("a=\"{}\"", " ".repeat(bytes - 4));
        let shown = selector(&tight(LONGEST - 2)).unwrap().to_string();
        assert_eq!(shown.len(), LONGEST);
        assert!(selector(&shown).is_ok());
        let error = selector(&tight(LONGEST - 1)).unwrap_err();
        assert!(error.expected.contains("as it is shown"), "{error}");
    }
}
