//! Checks that are programs on the machine.

use std::time::Duration;

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result,
    provider::{HealthProbe, OpContext, ProbeAnswer, ProbeKind, ProbeRequest, ProbeVerdict},
};

use crate::{
    client::{Fleet, Machine},
    transport::{Script, quote},
};

/// Runs the words in ARGV, each quoted. `env` finds programs only, never a word of the shell, and ends with 126
/// or 127 where there is none that it could start (env(1)).
const RUN: &str = "eval \"set -- $ARGV\"\nenv -- \"$@\" 2>&1\necho \"@status $?\"\n";

#[async_trait]
impl HealthProbe for Fleet {
    fn kinds(&self) -> &'static [&'static str] {
        &["command"]
    }

    async fn probe(&self, ctx: &OpContext, request: &ProbeRequest) -> Result<ProbeAnswer> {
        let ProbeKind::Command { argv } = &request.kind else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("linux cannot run {} checks", request.kind.slug()),
            )
            .operation("probe")
            .expected("command"));
        };
        let answer = async {
            self.machine(&request.component)?
                .command(ctx, request, argv)
                .await
        };
        answer.await.map_err(|e| e.operation("probe"))
    }
}

impl Machine {
    async fn command(
        &self,
        ctx: &OpContext,
        request: &ProbeRequest,
        argv: &[String],
    ) -> Result<ProbeAnswer> {
        let program = argv.first().map_or("", String::as_str);
        // A word with `=` is a variable for env(1).
        if program.is_empty() || program.contains('=') {
            return Err(
                Error::new(ErrorKind::InvalidInput, "a command check names no program")
                    .found(format!("{program:?}")),
            );
        }
        let words: Vec<String> = argv.iter().map(|w| quote(w)).collect::<Result<_>>()?;
        if self.config.name.is_none() {
            self.is_meant(&request.component, &self.facts(ctx).await?)?;
        }
        let script = Script::new(&self.ask_id("probe"))
            .set("ARGV", &words.join(" "))?
            .text(RUN);
        let output = self
            .run(ctx, &script, request.timeout.max(Duration::from_millis(1)))
            .await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (said, status) = said
            .trim_end()
            .rsplit_once("@status ")
            .and_then(|(said, status)| Some((said, status.parse::<i32>().ok()?)))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::ProviderFault,
                    format!("the answer of {program} is not understood"),
                )
            })?;
        if matches!(status, 126 | 127) {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{program} cannot be run on {}", request.component),
            )
            .found(format!("exit status {status}"))
            .hint("install it there, or name another program in the check"));
        }
        let line = said.lines().find(|l| !l.trim().is_empty());
        let line: String = line.unwrap_or_default().trim().chars().take(200).collect();
        Ok(ProbeAnswer {
            verdict: if status == 0 {
                ProbeVerdict::Healthy
            } else {
                ProbeVerdict::Unhealthy
            },
            saw: match line.is_empty() {
                true => format!("exit status {status}"),
                false => format!("exit status {status}: {line}"),
            },
        })
    }
}
