//! What one owns: a vCenter looked through for all that stands in the way of a roll. It only reads.
//!
//! `cargo run --example vsphere_doctor` starts a server that stands for a vCenter, with some trouble planted, after
//! `cargo xtask test peers` built that server once; `--server` and `--user` look through a true one, whose password is
//! read from `VSPHERE_PASSWORD`. The exit code is 0 where every cluster can do without each of its hosts and nobody
//! lacks a right, and 3 where a person has to look at something first.

use std::{
    env, fs, io,
    path::Path,
    process::{self, ExitCode},
};

use patchcore::{Error, ErrorKind, Result, Secret};
use patchcore_examples::{
    arguments::Arguments,
    output::{failed, said},
};
use patchcore_testkit::peers::vcenter::{self, PASSWORD, USER, Vcenter};
use patchcore_vsphere::{Checkup, Transcript, Trust, VCenter, VsphereConfig};
use serde_json::json;

const USAGE: &str =
    "vsphere_doctor [--server HOST --user NAME] [--ca FILE | --fingerprint HEX] [--json]
               [--transcript FILE]

--server HOST      a vCenter, with a port where that is not 443; its password is read from VSPHERE_PASSWORD
--user NAME        as whom, such as patchcore@vsphere.local
--ca FILE          believes the certificates of this PEM file too
--fingerprint HEX  believes the server with this certificate's SHA-256
--json             everything as JSON, in place of the text
--transcript FILE  also what the vCenter answered, with stand-ins for all names: look through it, then donate it as a test";

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let done = match Arguments::of_this_process(USAGE) {
        Ok(Some(arguments)) => work(&arguments).await,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error:?}");
        ExitCode::from(2)
    })
}

async fn work(arguments: &Arguments) -> Result<ExitCode> {
    let found = match (arguments.value("--server"), arguments.value("--user")) {
        (Some(server), Some(user)) => {
            looked_through(arguments, config(arguments, server, user)?).await?
        }
        (None, None) => rehearsal(arguments).await?,
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "--server and --user belong together",
            )
            .hint(USAGE));
        }
    };
    said(&match arguments.has("--json") {
        true => serde_json::to_string_pretty(&found).map_err(unwritten)? + "\n",
        false => format!("{found}\n"),
    })?;
    Ok(ExitCode::from(if found.in_order { 0 } else { 3 }))
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::ProviderFault, "it cannot be written as JSON").source_error(error)
}

fn config(arguments: &Arguments, server: &str, user: &str) -> Result<VsphereConfig> {
    let password = env::var("VSPHERE_PASSWORD").map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "there is no password")
            .expected("the environment variable VSPHERE_PASSWORD")
            .found("nothing")
    })?;
    let config = VsphereConfig::new(server, user, Secret::new(password))?;
    Ok(
        match (arguments.value("--ca"), arguments.value("--fingerprint")) {
            (Some(file), _) => config.with_ca_file(file),
            (None, Some(hex)) => config.with_trust(Trust::Fingerprint(hex.parse()?)),
            (None, None) => config,
        },
    )
}

async fn looked_through(arguments: &Arguments, config: VsphereConfig) -> Result<Checkup> {
    let asked = arguments.value("--transcript");
    let transcript = Transcript::new();
    let config = match asked {
        Some(_) => config.with_transcript(transcript.clone()),
        None => config,
    };
    let vcenter = VCenter::connect(config).await?;
    let found = vcenter.checkup().await?;
    vcenter.log_out().await?;
    if let Some(file) = asked {
        fs::write(file, transcript.to_string()).map_err(|error| failed(file, "written", error))?;
    }
    Ok(found)
}

/// A server that stands for a vCenter, with what one meets in estates.
async fn rehearsal(arguments: &Arguments) -> Result<Checkup> {
    let program = vcenter::program().map_err(|missing| {
        Error::new(
            ErrorKind::NotFound,
            format!("{} was not built", missing.what),
        )
        .hint(format!(
            "{}, or name a vCenter with --server and --user",
            missing.remedy
        ))
    })?;
    let folder = env::temp_dir().join(format!("patchcore-vsphere-doctor-{}", process::id()));
    fs::create_dir_all(&folder).map_err(unusable)?;
    let found = of_peer(arguments, &program, &folder).await;
    fs::remove_dir_all(&folder).map_err(unusable)?;
    found
}

async fn of_peer(arguments: &Arguments, program: &Path, folder: &Path) -> Result<Checkup> {
    let peer = Vcenter::start(program, folder, 4, 24).map_err(unusable)?;
    for (path, what) in [
        (
            "machine",
            json!({"name": "DC0_C0-vm0003", "pci": "PCI device 0"}),
        ),
        (
            "around",
            json!({
                "host": "DC0_C0_H0", "dns": ["10.0.0.2", "10.0.0.3"], "domain": "example.org",
                "paths": [["active", "dead"], ["active", "active"]],
            }),
        ),
        (
            "snapshots",
            json!({
                "machine": "DC0_C0-vm0001", "hours": [500], "address": "10.0.0.2", "guest": "dns-1.example.org",
            }),
        ),
        (
            "scheduled",
            json!({"name": "nightly", "enabled": true, "calls": "RebootGuest"}),
        ),
    ] {
        peer.tell(path, &what).map_err(unusable)?;
    }
    let config = VsphereConfig::new(peer.server(), USER, Secret::new(PASSWORD))?;
    looked_through(arguments, config.with_ca_file(peer.ca())).await
}

fn unusable(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "the server that stands for a vCenter cannot be used",
    )
    .source_error(error)
}
