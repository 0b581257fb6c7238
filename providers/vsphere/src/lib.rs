#![doc = include_str!("../README.md")]

mod checkup;
mod client;
mod config;
mod deployer;
mod drainer;
mod inventory;
mod source;
mod vlcm;

pub use checkup::{
    Checkup, ClusterCheckup, HostCheckup, MayLose, OldSnapshot, Paths, Scheduled, Stays, Support,
    SupportKind,
};
pub use client::{Transcript, VCenter};
pub use config::{VsphereConfig, WhatCounts};
pub use drainer::VsphereCluster;
pub use inventory::{ClusterRead, ClusterRef, Pinned, WhyPinned};
pub use patchcore_https::{Fingerprint, Trust};
