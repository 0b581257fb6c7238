//! What can be chosen of a provider, by one table of words whatever it is written in.

use std::{env, path::Path};

use serde::Serialize;

use super::{Document, Form, Mistakes};
use crate::error::{Error, ErrorKind, Result};

/// Settings that are read from a file, from the environment, or from what a program has in memory. One table of words
/// stands behind all three, and every mistake is answered at once.
pub trait Settings: Sized {
    /// The words.
    const FORM: Form;
    /// What the variables of the environment begin with, such as `PATCHCORE_HTTP_`.
    const PREFIX: &'static str;

    /// The value that a document stands for. Relative paths begin at `folder`.
    ///
    /// # Errors
    /// Every mistake, each with its place.
    fn read(document: Document, folder: &Path) -> Result<Self, Mistakes>;

    /// Reads a file, by its extension `.toml` or `.json`. Relative paths begin at its folder.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the file cannot be read, `InvalidInput` with every mistake in it.
    fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let document = Self::FORM.file(path)?;
        Ok(Self::read(
            document,
            path.parent().unwrap_or(Path::new("")),
        )?)
    }

    /// Reads the environment of this process: a word in capitals after [`PREFIX`](Self::PREFIX). Lists and labels are
    /// written as `tier=web, site=north`.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake.
    fn from_env() -> Result<Self> {
        // What is no text is shown as far as it is, and refused by whoever reads it.
        let variables = env::vars_os().map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        });
        Self::from_variables(Self::PREFIX, variables)
    }

    /// As [`from_env`](Self::from_env), after another prefix and from other variables.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake.
    fn from_variables(
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let document = Self::FORM.variables(prefix, variables);
        Ok(Self::read(document, Path::new(""))?)
    }

    /// Reads what has the words as its keys, such as a map; mistakes are pointed at after `name`.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake.
    fn from_value(value: &impl Serialize, name: &str) -> Result<Self> {
        Ok(Self::read(Self::FORM.value(value, name)?, Path::new(""))?)
    }
}

impl Form {
    /// Reads a file, by its extension `.toml` or `.json`.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be read, `InvalidInput` where it is neither TOML nor JSON; what is wrong with
    /// its words stands in the document.
    pub fn file(self, path: &Path) -> Result<Document> {
        let name = path.display().to_string();
        let read = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::toml,
            Some("json") => Self::json,
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{name} does not say what it is written in"),
                )
                .expected("a name that ends in .toml or .json")
                .consequence("nothing was done"));
            }
        };
        Ok(read(self, &self.text_of(path)?, &name)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::document::{Key, Kind, Table};

    static LOGIN: Table = Table::of(&[
        Key::required("user", Kind::Name),
        Key::required("token", Kind::Secret),
    ]);

    /// The token of a login.
    #[derive(Debug, PartialEq)]
    struct Token(String);

    impl Settings for Token {
        const FORM: Form = Form {
            noun: "login",
            with_article: "a login",
            table: &LOGIN,
        };
        const PREFIX: &'static str = "LOGIN_";

        fn read(mut document: Document, _: &Path) -> Result<Self, Mistakes> {
            let mut content: BTreeMap<String, String> = document.content();
            document.finish(Self(content.remove("token").unwrap_or_default()))
        }
    }

    fn variables(token: &str) -> Result<Token> {
        let variables = [("USER", "u"), ("TOKEN", token)];
        let named = variables.map(|(name, value)| (format!("LOGIN_{name}"), value.to_owned()));
        Token::from_variables(Token::PREFIX, named)
    }

    fn value(token: &Value) -> Result<Token> {
        Token::from_value(&json!({"user": "u", "token": token}), "login")
    }

    #[test]
    fn a_secret_is_what_stands_there_to_the_last_blank() {
        for token in [
            "hunter2",
            " hunter2 ",
            " ",
            "12",
            "true",
            "a,b",
            "k=v",
            "ä\u{a0}",
        ] {
            let expected = Token(token.to_owned());
            assert_eq!(value(&json!(token)).unwrap(), expected);
            assert_eq!(variables(token).unwrap(), expected, "{token:?}");
            let text = format!("user = \"u\"\ntoken = {}", json!(token));
            let read = Token::FORM.toml(&text, "login.toml").unwrap();
            assert_eq!(Token::read(read, Path::new("")).unwrap(), expected);
        }
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_refused_and_not_shown() {
        let refused = |read: Result<Token>| {
            let error = read.unwrap_err();
            let text = format!("{error:?}\n{error}");
            assert!(text.contains("token cannot be used"), "{text}");
            for secret in ["hunter2", "7734"] {
                assert!(!text.contains(secret), "{text}");
            }
        };
        for token in ["", "hunter2\n", "\u{7}hunter2", "hunter2\u{7f}"] {
            refused(value(&json!(token)));
            refused(variables(token));
        }
        for token in [
            json!(7734),
            json!(["hunter2"]),
            json!({"hunter2": "hunter2"}),
        ] {
            refused(value(&token));
        }
    }
}
