//! Typed names and numbers: no bare `String` names a thing in a signature.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $name(#[schemars(with = "String")] Arc<str>);

        impl $name {
            /// The name as the outside gave it.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    )*};
}

name! {
    /// One thing in the estate, such as `web-01`.
    ComponentId,
    /// A patch by the name its provider gives it, such as a package name or a KB number.
    PatchId,
    /// A version as its provider writes it; only the provider may order two of them.
    Version,
    /// A public identifier of a weakness or bulletin, such as `CVE-2026-1111`.
    AdvisoryId,
    /// A provider registered with an estate, such as `linux`.
    ProviderName,
    /// A ring of a policy, such as `broad`.
    RingName,
    /// A window of a policy, such as `weeknights`.
    WindowName,
    /// A redundancy group, such as `dns`.
    GroupName,
    /// A person as the embedder names them.
    PersonId,
    /// A tracked estate, such as `dc-north`.
    EstateName,
    /// The key of one operation: run, component, step and generation. Stable over retries and restarts.
    OpKey,
}

impl OpKey {
    /// The key of one step of one component of one run.
    ///
    /// The journal's own id is part of it, because every journal counts its runs from 1: without it, a new
    /// journal would find the results of an old one on the target and take them for its own.
    #[must_use]
    pub fn of(
        journal: &str,
        run: RunId,
        component: &ComponentId,
        step: &str,
        generation: u32,
    ) -> Self {
        Self::from(format!("{journal}/{run}/{component}/{step}/{generation}"))
    }
}

/// A run, counted from 1 within its journal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
