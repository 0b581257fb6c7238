#![doc = include_str!("../README.md")]

mod checkup;
mod client;
mod config;
mod deployer;
mod drainer;
mod inventory;
mod paths;
mod source;
mod vlcm;

/// Answers of a vCenter that came from anywhere, read as those of calls are: for whoever tries inputs on the parsers. It is
/// no part of the interface and may change at any time.
#[doc(hidden)]
pub mod answers {
    use patchcore::Result;
    use serde_json::Value;

    use crate::{ClusterRead, client, inventory, vlcm::AnyBody};

    /// A SOAP answer as a tree.
    ///
    /// # Errors
    /// `ProviderFault`: it is none.
    pub fn soap_tree(text: &str) -> Result<Value> {
        client::tree_of(text)
    }

    /// The cluster that is made of the objects of a SOAP answer.
    ///
    /// # Errors
    /// `ProviderFault` where it cannot be read, and whatever the fault means that it holds.
    pub fn of_cluster(text: &str) -> Result<ClusterRead> {
        let objects = client::objects_of(text)?;
        inventory::of_objects(objects).map_err(|broken| client::unreadable("a cluster", broken))
    }

    /// What is read of an answer of the REST API.
    #[derive(Debug)]
    pub struct RestRead {
        /// As how many kinds of answer it was taken.
        pub kinds: usize,
        /// How many hosts it names.
        pub hosts: usize,
        /// How far a task is, in percent.
        pub percent: Option<u8>,
        /// All of it in words.
        pub said: String,
    }

    /// An answer of the REST API with its status, read as everything that it may be.
    ///
    /// # Errors
    /// `ProviderFault` where it cannot be read, and whatever the API's own error means.
    pub fn rest(status: u16, body: &[u8]) -> Result<RestRead> {
        let value = client::value_of(status, body)?;
        let value = value.map_err(|fault| fault.into_error("an answer"))?;
        let read = AnyBody::of(&value);
        Ok(RestRead {
            kinds: read.kinds,
            hosts: read.hosts,
            percent: read.percent,
            said: read.said,
        })
    }
}

pub use checkup::{
    Checkup, ClusterCheckup, HostCheckup, MayLose, OldSnapshot, Paths, Scheduled, Stays, Support,
    SupportKind,
};
pub use client::{Transcript, VCenter};
pub use config::{VsphereConfig, WhatCounts};
pub use drainer::VsphereCluster;
pub use inventory::{ClusterRead, ClusterRef, Pinned, WhyPinned};
pub use patchcore_https::{Fingerprint, Trust};
