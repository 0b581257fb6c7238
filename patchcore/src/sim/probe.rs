//! Checks of simulated components.

use async_trait::async_trait;

use super::{guest::Power, provider::SimPorts};
use crate::{
    error::Result,
    provider::{HealthProbe, OpContext, ProbeAnswer, ProbeKind, ProbeRequest, ProbeVerdict},
};

#[async_trait]
impl HealthProbe for SimPorts {
    fn kinds(&self) -> &'static [&'static str] {
        &["http", "command"]
    }

    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let world = self.world(ctx)?;
        let component = &request.component;
        let guest = world.guest(component)?;
        let http = matches!(request.kind, ProbeKind::Http { .. });
        let unhealthy = |saw: String| ProbeAnswer {
            verdict: ProbeVerdict::Unhealthy,
            saw,
        };
        // A URL that does not answer is an answer; a program that cannot be started is none.
        if http && guest.power != Power::On {
            return Ok(unhealthy("http: connection refused".to_owned()));
        }
        world.reached(component).map_err(|e| e.operation("probe"))?;
        if guest.tool.is_some_and(|t| t.disruptive) {
            return Ok(unhealthy(if http {
                "http: connection refused".to_owned()
            } else {
                "exit status 3: the service restarts".to_owned()
            }));
        }
        Ok(match world.broken(guest) {
            Some(why) if http => unhealthy(format!("http 503: {why}")),
            Some(why) => unhealthy(format!("exit status 1: {why}")),
            None => ProbeAnswer {
                verdict: ProbeVerdict::Healthy,
                saw: if http { "http 200" } else { "exit status 0" }.to_owned(),
            },
        })
    }
}
