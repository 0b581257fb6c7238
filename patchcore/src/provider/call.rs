//! A request to one of the ports that change something, as a run carries it out and a journal keeps it.

use std::collections::BTreeSet;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use super::{BracketRequest, DeployRequest, DrainRequest, PortRequest};
use crate::id::{ComponentId, ProviderName};

/// A request to any port that changes something.
///
/// Written down it is the port's own request with `port`, the name of the port, and `by`, who serves it, beside. Both
/// are left out for the deploy port, which is that of the component's own tool.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PortCall {
    /// To the deployer of the component's tool.
    Deploy(DeployRequest),
    /// To a provider of brackets.
    Bracket {
        /// Which.
        by: ProviderName,
        /// What.
        request: BracketRequest,
    },
    /// To what drains a cluster.
    Drain {
        /// Which.
        by: ProviderName,
        /// What.
        request: DrainRequest,
    },
}

impl PortCall {
    /// The name of the port, such as `deploy`.
    #[must_use]
    pub const fn port(&self) -> &'static str {
        match self {
            Self::Deploy(_) => DeployRequest::PORT,
            Self::Bracket { .. } => BracketRequest::PORT,
            Self::Drain { .. } => DrainRequest::PORT,
        }
    }

    /// The verb, such as `apply`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Deploy(request) => request.verb(),
            Self::Bracket { request, .. } => request.verb(),
            Self::Drain { request, .. } => request.verb(),
        }
    }

    /// Whom it changes; never empty.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<ComponentId> {
        match self {
            Self::Deploy(request) => request.subjects(),
            Self::Bracket { request, .. } => request.subjects(),
            Self::Drain { request, .. } => request.subjects(),
        }
    }

    /// Who serves it; none for the component's own tool.
    #[must_use]
    pub const fn by(&self) -> Option<&ProviderName> {
        match self {
            Self::Deploy(_) => None,
            Self::Bracket { by, .. } | Self::Drain { by, .. } => Some(by),
        }
    }
}

impl From<DeployRequest> for PortCall {
    fn from(request: DeployRequest) -> Self {
        Self::Deploy(request)
    }
}

/// A request of a port that is named.
#[derive(Serialize)]
struct Named<'a, R> {
    port: &'a str,
    by: &'a ProviderName,
    #[serde(flatten)]
    request: &'a R,
}

impl Serialize for PortCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Deploy(request) => request.serialize(serializer),
            Self::Bracket { by, request } => Named {
                port: self.port(),
                by,
                request,
            }
            .serialize(serializer),
            Self::Drain { by, request } => Named {
                port: self.port(),
                by,
                request,
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PortCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::<String, Value>::deserialize(deserializer)?;
        // Not all ports were there from the beginning, and the first was not named.
        let port = match fields.remove("port") {
            None => return Ok(Self::Deploy(request(fields)?)),
            Some(port) => String::deserialize(port).map_err(D::Error::custom)?,
        };
        let by = fields
            .remove("by")
            .ok_or_else(|| D::Error::missing_field("by"))?;
        let by = ProviderName::deserialize(by).map_err(D::Error::custom)?;
        match port.as_str() {
            BracketRequest::PORT => Ok(Self::Bracket {
                by,
                request: request(fields)?,
            }),
            DrainRequest::PORT => Ok(Self::Drain {
                by,
                request: request(fields)?,
            }),
            _ => Err(D::Error::unknown_variant(
                &port,
                &[BracketRequest::PORT, DrainRequest::PORT],
            )),
        }
    }
}

fn request<R: DeserializeOwned, E: serde::de::Error>(fields: Map<String, Value>) -> Result<R, E> {
    R::deserialize(Value::Object(fields)).map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize as _;
    use serde_json::json;

    use super::PortCall;
    use crate::provider::{BracketKind, BracketRequest, DeployRequest};

    #[test]
    fn a_call_is_written_as_its_request_and_names_every_port_but_the_first() {
        let components = vec!["web-01".into()];
        let take = BracketRequest::Take {
            components: components.clone(),
            kind: BracketKind::Silence,
            at_least: Duration::from_secs(3600),
        };
        for (call, written) in [
            (
                PortCall::Deploy(DeployRequest::Reboot { components }),
                json!({ "verb": "reboot", "components": ["web-01"] }),
            ),
            (
                PortCall::Bracket {
                    by: "alertmanager".into(),
                    request: take,
                },
                json!({
                    "port": "bracket", "by": "alertmanager", "verb": "take", "components": ["web-01"],
                    "kind": "silence", "at_least": "PT1H",
                }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&call).unwrap(), written);
            assert_eq!(PortCall::deserialize(written).unwrap(), call);
        }
    }

    #[test]
    fn what_is_no_call_says_why() {
        for (written, why) in [
            (json!({ "verb": "take" }), "unknown variant `take`"),
            (
                json!({ "port": "bracket", "verb": "take" }),
                "missing field `by`",
            ),
            (
                json!({ "port": "tide", "by": "sea", "verb": "turn" }),
                "unknown variant `tide`, expected `bracket` or `drain`",
            ),
            (
                json!({ "port": "bracket", "by": "a", "verb": "take", "components": [], "kind": "silence",
                    "at_least": "PT1H", "colour": 1 }),
                "unknown field `colour`",
            ),
            (json!({ "port": 7 }), "invalid type"),
            (json!("reboot"), "invalid type"),
        ] {
            let said = PortCall::deserialize(&written).unwrap_err().to_string();
            assert!(said.contains(why), "{written}: {said}");
        }
    }
}
