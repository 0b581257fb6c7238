//! What must hold for more than one target.

use std::fmt::Debug;

use patchcore::{Error, ErrorKind, document::Mistakes};
use patchcore_linux::job::JobId;
use serde::{Serialize, de::DeserializeOwned};

/// The job that the seeds speak of.
pub(crate) fn job() -> JobId {
    match JobId::parse("op-1") {
        Ok(id) => id,
        Err(error) => panic!("{error:?}"),
    }
}

/// A refusal is one line of an expected kind, and says what to do.
pub(crate) fn refusal(error: &Error, kinds: &[ErrorKind]) {
    assert!(
        kinds.contains(&error.kind()),
        "expected one of {kinds:?} but found {error:?}"
    );
    assert!(
        error.remedy().is_some_and(|hint| !hint.is_empty()),
        "no hint: {error:?}"
    );
    assert!(!error.message().is_empty(), "no message: {error:?}");
}

/// What is written is read alike, and no bigger than what it was read from allows.
pub(crate) fn written_alike<T>(value: &T, input: usize)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    bounded(written(value).len(), input);
    written_as_read(value);
}

/// What is written is read alike.
pub(crate) fn written_as_read<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = written(value);
    match serde_json::from_str::<T>(&text) {
        Ok(again) => assert_eq!(&again, value, "read again it is another value"),
        Err(error) => panic!("what was written is not read again: {error}\n{text}"),
    }
}

pub(crate) fn written(value: &(impl Serialize + Debug)) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => panic!("{value:?} cannot be written: {error}"),
    }
}

/// An answer may name every field of every entry, and no more: a byte of input never stands for pages of output.
pub(crate) fn bounded(output: usize, input: usize) {
    let most = 4096 + input.saturating_mul(64);
    assert!(
        output <= most,
        "{input} bytes became {output}, more than {most}"
    );
}

/// Every mistake names its place and what is wrong, and the listing ends with what came of it.
pub(crate) fn mistakes(mistakes: &Mistakes, file: &str) {
    assert!(!mistakes.as_slice().is_empty());
    for mistake in mistakes {
        assert!(!mistake.message.is_empty());
        assert!(mistake.to_string().starts_with(file), "{mistake}");
    }
    let shown = mistakes.to_string();
    assert!(shown.ends_with("nothing was done"), "{shown}");
}
