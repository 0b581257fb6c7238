#![doc = include_str!("../README.md")]

mod client;
mod config;
mod inventory;

pub use client::VCenter;
pub use config::{VsphereConfig, WhatCounts};
pub use inventory::{ClusterRead, ClusterRef, Pinned, WhyPinned};
