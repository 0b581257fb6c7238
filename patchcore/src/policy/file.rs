//! Reads a policy from a file and checks one that was built in code.

use std::{fs, io::Read as _, path::Path};

use super::{
    Policy,
    cross_check::cross_check,
    document::{self, Node},
    mistake::{Mistake, Mistakes},
    place::{Place, Places},
    vocabulary::POLICY,
    walk::Walk,
};
use crate::{Error, ErrorKind, Result};

impl Policy {
    /// Reads a policy from TOML; `file_name` is how mistakes call the text.
    ///
    /// ```
    /// use patchcore::policy::Policy;
    /// let policy = Policy::from_toml("[[ring]]\nname = \"all\"\nselect = \"*\"\n", "policy.toml")?;
    /// assert_eq!(policy.place("/ring/0/name").unwrap().to_string(), "policy.toml:2:1");
    /// # Ok::<(), patchcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` with every mistake and its line and column.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self> {
        Ok(Self::check_toml(text, file_name)?)
    }

    /// Reads a policy from JSON, which has the same keys; `file_name` is how mistakes call the
    /// text.
    ///
    /// # Errors
    /// `InvalidInput` with every mistake and its JSON pointer.
    pub fn from_json(text: &str, file_name: &str) -> Result<Self> {
        Ok(Self::check_json(text, file_name)?)
    }

    /// Reads a policy from a file, by its extension `.toml` or `.json`.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the file cannot be read, `InvalidInput` with every mistake in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let read = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::check_toml,
            Some("json") => Self::check_json,
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("{name} does not say what it is written in"),
                )
                .expected("a name that ends in .toml or .json")
                .consequence("nothing was done"));
            }
        };
        Ok(read(&text_of(path, &name)?, &name)?)
    }

    /// As [`Policy::from_toml`], with the mistakes as values.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check_toml(text: &str, file_name: &str) -> Result<Self, Mistakes> {
        read(document::read_toml(text, file_name))
    }

    /// As [`Policy::from_json`], with the mistakes as values.
    ///
    /// # Errors
    /// Every mistake.
    pub fn check_json(text: &str, file_name: &str) -> Result<Self, Mistakes> {
        read(document::read_json(text, file_name))
    }

    /// Checks a policy that was built in code as one that is read from a file: by the same
    /// vocabulary and the same rules. Durations are taken in whole seconds.
    ///
    /// # Errors
    /// Every mistake, each with the JSON pointer of its item after the name of the policy.
    pub fn check(&self) -> Result<Self, Mistakes> {
        match serde_json::to_value(self) {
            Ok(value) => read(Ok(document::from_json_value(value, &self.name))),
            Err(error) => read(Err(vec![unreadable(&self.name, &error)])),
        }
    }
}

fn read(document: Result<Node, Vec<Mistake>>) -> Result<Policy, Mistakes> {
    let (policy, mistakes) = match document {
        Ok(root) => walk(&root),
        Err(mistakes) => (Policy::default(), mistakes),
    };
    match Mistakes::new(mistakes) {
        None => Ok(policy),
        Some(mistakes) => Err(mistakes),
    }
}

fn walk(root: &Node) -> (Policy, Vec<Mistake>) {
    let mut walk = Walk::default();
    let read = walk.document(&POLICY, root);
    let Walk {
        mut mistakes,
        damaged,
        places,
    } = walk;
    let mut policy = match serde_json::from_value::<Policy>(read) {
        Ok(policy) => policy,
        Err(error) => {
            // The vocabulary lets through what the types refuse: our fault, and still an answer.
            mistakes.push(Mistake::new(
                root.at.clone(),
                format!("this policy cannot be taken: {error}"),
            ));
            return (Policy::default(), mistakes);
        }
    };
    policy.places = Places::new(places);
    mistakes.extend(cross_check(&policy, &damaged));
    (policy, mistakes)
}

fn unreadable(name: &str, error: &serde_json::Error) -> Mistake {
    let place = Place::Pointer {
        file: name.into(),
        pointer: String::new(),
    };
    Mistake::new(
        place,
        format!("this policy cannot be written down: {error}"),
    )
}

fn text_of(path: &Path, name: &str) -> Result<String> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("policy {name} could not be read"))
            .consequence("nothing was done")
            .source_error(error)
    };
    let mut text = String::new();
    // One byte more than a policy may have is enough to see that it has more.
    let most = u64::try_from(document::LONGEST)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    fs::File::open(path)
        .and_then(|file| file.take(most).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(text)
}
