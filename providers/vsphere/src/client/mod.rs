//! A vCenter: its session, and calls that renew it.

mod follow;
mod history;
mod outside;
mod properties;
mod rest;
pub(crate) mod soap;
mod standin;
mod tasks;
mod transcript;
mod wire;

use std::{collections::HashMap, fmt, sync::Arc};

use patchcore::{Error, ErrorKind, Result, Secret};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub use self::transcript::Transcript;
pub(crate) use self::{
    follow::{Follower, HOST_OF, MAINTENANCE, News, POWER},
    outside::{objects_of, tree_of, value_of},
    properties::{Found, Of, Wanted},
    rest::{ApiFault, Rest, typed},
    tasks::{Task, TaskState, open},
};
use self::{
    rest::RestSession,
    soap::{Broken, Call, Element, Fault, MoRef, Node},
    wire::{Answer, Wire},
};
use crate::config::{VsphereConfig, WhatCounts};

/// What a vCenter says of itself, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) root: MoRef,
    pub(crate) properties: MoRef,
    pub(crate) views: MoRef,
    pub(crate) tasks: MoRef,
    /// Who knows what a user may do.
    pub(crate) rights: MoRef,
    /// Who begins tasks by itself, where there is one.
    pub(crate) scheduled: Option<MoRef>,
    /// Who knows what was registered with the vCenter, where there is one.
    #[serde(default)]
    pub(crate) extensions: Option<MoRef>,
    sessions: MoRef,
    /// Such as `8.0.3.0`.
    pub(crate) api_version: String,
    /// Such as `VMware vCenter Server 8.0.3 build-24022515`.
    pub(crate) full_name: String,
    /// The same for as long as this vCenter exists.
    pub(crate) instance: String,
}

#[derive(Debug, Default)]
struct Session {
    /// The value of the session's cookie; none while nobody is logged in.
    cookie: Option<String>,
    /// How often somebody logged in: who finds the session ended renews it only if nobody else did.
    count: u64,
    /// As whom the vCenter knows us; its tasks name us so.
    user: Option<String>,
}

/// Where answers come from.
enum Link {
    Server(Wire),
    Transcript(Transcript),
}

struct Inner {
    config: VsphereConfig,
    link: Link,
    service: Service,
    session: Mutex<Session>,
    rest: Mutex<RestSession>,
    /// Views of containers, which last as long as the login.
    views: Mutex<HashMap<Box<str>, MoRef>>,
}

/// A connection to a vCenter, logged in. A cheap clone; its calls need a tokio runtime with I/O and time enabled.
///
/// A session that ended is renewed where a call finds it so. [`log_out`](Self::log_out) ends it.
#[derive(Clone)]
pub struct VCenter(Arc<Inner>);

impl fmt::Debug for VCenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VCenter")
            .field("address", &self.0.config.address())
            .field("about", &self.0.service.full_name)
            .finish_non_exhaustive()
    }
}

impl VCenter {
    /// Connects and logs in.
    ///
    /// # Errors
    /// `InvalidInput` for a CA file that cannot be used, `HostKey` for a certificate that is not trusted, `Unreachable`
    /// where nobody answers, `AuthzDenied` for a wrong name or password, `Unsupported` for what is no vCenter.
    pub async fn connect(config: VsphereConfig) -> Result<Self> {
        let wire = Wire::new(&config)?;
        let service = describe(&wire).await?;
        if let Some(transcript) = &config.transcript {
            transcript.note_service(&service);
        }
        let vcenter = Self(Arc::new(Inner {
            config,
            link: Link::Server(wire),
            service,
            session: Mutex::default(),
            rest: Mutex::default(),
            views: Mutex::default(),
        }));
        vcenter.log_in(0).await?;
        Ok(vcenter)
    }

    /// One that is no server but a transcript: it answers the calls that it was written of, in their order, and nothing
    /// else.
    ///
    /// # Errors
    /// `InvalidInput` for a transcript without a beginning.
    pub fn replayed(transcript: Transcript) -> Result<Self> {
        let service = transcript.service()?;
        Ok(Self(Arc::new(Inner {
            config: VsphereConfig::new("transcript.invalid", "nobody", Secret::new(""))?,
            link: Link::Transcript(transcript),
            service,
            session: Mutex::default(),
            rest: Mutex::default(),
            views: Mutex::default(),
        })))
    }

    /// Its name and version, as `VMware vCenter Server 8.0.3 build-24022515`.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.0.service.full_name
    }

    /// The version of its API, as `8.0.3.0`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        &self.0.service.api_version
    }

    /// What is the same for as long as this vCenter exists.
    #[must_use]
    pub fn instance_uuid(&self) -> &str {
        &self.0.service.instance
    }

    /// Ends the session. A later call logs in again.
    ///
    /// # Errors
    /// What a call can fail with; that nobody is logged in is none.
    pub async fn log_out(&self) -> Result<()> {
        self.rest_log_out().await?;
        let mut session = self.0.session.lock().await;
        let Some(cookie) = session.cookie.take() else {
            return Ok(());
        };
        let call = Call::new("Logout", &self.0.service.sessions);
        match self.wire()?.send(&call, Some(&cookie)).await?.outcome {
            Ok(_) => Ok(()),
            Err(fault) if fault.is_not_authenticated() => Ok(()),
            Err(fault) => Err(fault.into_error("Logout")),
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.0.service
    }

    /// As whom the vCenter knows us: the name that its tasks show.
    pub(crate) async fn user(&self) -> String {
        let session = self.0.session.lock().await;
        let configured = || self.0.config.user.clone();
        session.user.clone().unwrap_or_else(configured)
    }

    pub(crate) fn memory(&self) -> WhatCounts {
        self.0.config.memory
    }

    /// One call, with the session renewed at most once. A call that is refused for want of a session was not carried
    /// out, so that it may be sent again whatever it does. The server's own fault is for who knows what to do about it.
    pub(crate) async fn try_call(&self, call: &Call) -> Result<Result<Element, Fault>> {
        self.dated_call(call).await.map(|answer| answer.outcome)
    }

    /// The same with the server's own time of its answer.
    async fn dated_call(&self, call: &Call) -> Result<Answer> {
        let wire = match &self.0.link {
            Link::Server(wire) => wire,
            Link::Transcript(transcript) => {
                return Ok(Answer {
                    outcome: transcript.next(call)?,
                    cookie: None,
                    date: None,
                });
            }
        };
        let (cookie, count) = {
            let session = self.0.session.lock().await;
            (session.cookie.clone(), session.count)
        };
        let mut answer = wire.send(call, cookie.as_deref()).await?;
        if let Err(fault) = &answer.outcome
            && fault.is_not_authenticated()
        {
            let cookie = self.log_in(count).await?;
            answer = wire.send(call, Some(&cookie)).await?;
        }
        if let Some(transcript) = &self.0.config.transcript {
            transcript.note(call, &answer.outcome);
        }
        Ok(answer)
    }

    /// The server behind it.
    fn wire(&self) -> Result<&Wire> {
        match &self.0.link {
            Link::Server(wire) => Ok(wire),
            Link::Transcript(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "a transcript answers what it was written of, and nothing else",
            )),
        }
    }

    /// Logs in, unless somebody did since login number `seen`.
    async fn log_in(&self, seen: u64) -> Result<String> {
        let mut session = self.0.session.lock().await;
        if session.count != seen
            && let Some(cookie) = &session.cookie
        {
            return Ok(cookie.clone());
        }
        let config = &self.0.config;
        let call = Call::new("Login", &self.0.service.sessions)
            .with(Node::text("userName", config.user.clone()))
            .with(Node::text(
                "password",
                config.password()?.expose().to_owned(),
            ));
        let answer = self.wire()?.send(&call, None).await?;
        let us = answer.outcome.map_err(|fault| {
            fault
                .into_error(&format!("{} as {}: Login", config.address(), config.user))
                .operation("log in")
        })?;
        let cookie = answer.cookie.ok_or_else(|| {
            Error::new(
                ErrorKind::ProviderFault,
                "the vCenter gave no session at the login",
            )
            .expected("a cookie named vmware_soap_session")
            .found("none")
        })?;
        let us = us.child("returnval").and_then(|us| us.text_of("userName"));
        session.user = us.map(str::to_owned);
        session.cookie = Some(cookie.clone());
        session.count += 1;
        Ok(cookie)
    }
}

/// A call in words, without its arguments.
fn named(call: &Call) -> String {
    format!("{} {}: {}", call.this.kind, call.this.id, call.method)
}

/// Asks what the vCenter offers; needs no session.
async fn describe(wire: &Wire) -> Result<Service> {
    let instance = MoRef::new("ServiceInstance", "ServiceInstance");
    let call = Call::new("RetrieveServiceContent", &instance);
    let answer = wire
        .send(&call, None)
        .await?
        .outcome
        .map_err(|fault| fault.into_error(&named(&call)))?;
    let read = || -> Result<(Service, bool), Broken> {
        let missing = |name: &str| Broken::Missing {
            inside: "ServiceContent".to_owned(),
            name: name.to_owned(),
        };
        let content = answer
            .child("returnval")
            .ok_or_else(|| missing("returnval"))?;
        let reference = |name: &str| content.child(name).ok_or_else(|| missing(name))?.moref();
        let about = content.child("about").ok_or_else(|| missing("about"))?;
        let vcenter = about.text_of("apiType") == Some("VirtualCenter");
        let service = Service {
            root: reference("rootFolder")?,
            properties: reference("propertyCollector")?,
            views: reference("viewManager")?,
            tasks: reference("taskManager")?,
            rights: reference("authorizationManager")?,
            scheduled: content
                .child("scheduledTaskManager")
                .map(Element::moref)
                .transpose()?,
            extensions: content
                .child("extensionManager")
                .map(Element::moref)
                .transpose()?,
            sessions: reference("sessionManager")?,
            api_version: about.need("apiVersion")?.to_owned(),
            full_name: about.need("fullName")?.to_owned(),
            instance: about.text_of("instanceUuid").unwrap_or_default().to_owned(),
        };
        Ok((service, vcenter))
    };
    let (service, vcenter) = read().map_err(|broken| unreadable(&named(&call), broken))?;
    if vcenter {
        return Ok(service);
    }
    Err(
        Error::new(ErrorKind::Unsupported, "this server is no vCenter")
            .expected("a vCenter")
            .found(service.full_name)
            .hint("give the address of the vCenter that manages the host"),
    )
}

/// The error for an answer that cannot be read. What was asked may have been done.
pub(crate) fn unreadable(what: &str, broken: Broken) -> Error {
    Error::new(
        ErrorKind::ProviderFault,
        format!("{what}: the answer cannot be read: {broken}"),
    )
    .hint("report it to the provider's author, with the version of the server")
    .source_error(broken)
}
