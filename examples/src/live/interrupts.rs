//! The wish that a program comes to an end.

use patchcore::Result;
#[cfg(unix)]
use patchcore::{Error, ErrorKind};

/// What asks a program to come to an end: an interrupt from the keyboard, the end of the terminal or of the system.
#[derive(Debug)]
#[cfg(unix)]
pub struct Interrupts([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Interrupts {
    /// Listens from now on.
    ///
    /// # Errors
    /// `Io`: the system tells no signals.
    pub fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|e| {
                Error::new(ErrorKind::Io, "this system tells no signals").source_error(e)
            })
        };
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// The next one.
    pub async fn next(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

#[cfg(not(unix))]
/// What asks a program to come to an end: an interrupt from the keyboard.
#[derive(Debug)]
pub struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    /// Listens from now on.
    ///
    /// # Errors
    /// `Io`: the system tells no signals.
    pub fn new() -> Result<Self> {
        Ok(Self)
    }

    /// The next one.
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
