//! The login: which keys there are, and which one the machine takes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use patchcore::{Error, ErrorKind, Result};
use russh::{
    AgentAuthError, MethodSet,
    client::AuthResult,
    keys::{
        HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
        decode_secret_key,
    },
};
use tokio::net::UnixStream;

use super::{
    connection::{Connection, Failure, within},
    fault,
    host_key::NOTHING_SENT,
    target::SshTarget,
};

/// How long the agent may take to say which keys it has. It is on this machine; one that asks a person does so for a
/// signature only.
const AGENT_WITHIN: Duration = Duration::from_secs(5);

/// How many keys are offered: sshd ends the connection after six refused ones (`MaxAuthTries`).
const MOST_OFFERS: usize = 6;

/// A key that may be offered, and who signs with it.
enum Candidate {
    File(PathBuf, Arc<PrivateKey>),
    Agent(PublicKey, String),
}

/// What was tried, for the person who reads why it did not help.
#[derive(Default)]
struct Tried {
    refused: Vec<String>,
    unusable: Vec<String>,
    locked: Option<PathBuf>,
    methods: Option<MethodSet>,
    wants_more: bool,
}

/// Logs in with the first key that the machine takes.
///
/// # Errors
/// - `AuthzDenied`, with the user, what was offered, what the machine would take and what to do.
/// - `Unreachable` where the connection broke meanwhile.
pub(super) async fn log_in(
    connection: &mut Connection,
    target: &SshTarget,
    agent: Option<&Path>,
) -> Result<(), Failure> {
    let limit = target.connect_timeout;
    let mut tried = Tried::default();
    let mut agent = match agent {
        Some(socket) => open_agent(socket, &mut tried).await,
        None => None,
    };
    let candidates = candidates(target, agent.as_mut(), &mut tried).await;
    let attempt = offer(connection, target, candidates, agent, &mut tried);
    let is_in = within(limit, attempt).await.unwrap_or_else(|| {
        Err(fault::no_answer(
            target,
            "it did not decide the login",
            limit,
        ))
    })?;
    if is_in {
        return Ok(());
    }
    // Without a word about methods the machine hung up instead of answering.
    if connection.handle.is_closed()
        && tried.methods.as_ref().is_none_or(|m| m.is_empty())
        && tried.refused.is_empty()
    {
        return Err(Failure::Dropped(fault::not_sent(target, &connection.end)));
    }
    Err(Failure::Final(denied(target, &tried)))
}

async fn open_agent(socket: &Path, tried: &mut Tried) -> Option<AgentClient<UnixStream>> {
    match within(AGENT_WITHIN, AgentClient::connect_uds(socket)).await {
        Some(Ok(agent)) => Some(agent),
        Some(Err(e)) => {
            tried
                .unusable
                .push(format!("the agent at {} ({e})", socket.display()));
            None
        }
        None => {
            tried
                .unusable
                .push(format!("the agent at {} (no answer)", socket.display()));
            None
        }
    }
}

/// The keys to offer, in order.
async fn candidates(
    target: &SshTarget,
    agent: Option<&mut AgentClient<UnixStream>>,
    tried: &mut Tried,
) -> Vec<Candidate> {
    let mut held = Vec::new();
    if let Some(agent) = agent {
        match within(AGENT_WITHIN, agent.request_identities()).await {
            Some(Ok(identities)) => held.extend(identities.into_iter().filter_map(|id| match id {
                AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
                // A certificate is signed for a login by its authority; not supported.
                AgentIdentity::Certificate { .. } => None,
            })),
            Some(Err(e)) => tried.unusable.push(format!("the agent ({e})")),
            None => tried.unusable.push("the agent (no answer)".to_owned()),
        }
    }
    let mut found = Vec::new();
    let of_agent =
        |(key, comment): &(PublicKey, String)| Candidate::Agent(key.clone(), comment.clone());
    let is_named = !target.identities.is_empty();
    let files = if is_named {
        target.identities.clone()
    } else {
        found.extend(held.iter().map(of_agent));
        default_files()
    };
    for file in files {
        let text = match tokio::fs::read_to_string(&file).await {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !is_named => continue,
            Err(e) => {
                tried.unusable.push(format!("{} ({e})", file.display()));
                continue;
            }
        };
        match read_key(&text) {
            Ok(Key::Open(key)) => {
                let is_offered = found.iter().any(
                    |c| matches!(c, Candidate::Agent(of, _) if of.key_data() == key.public_key().key_data()),
                );
                if !is_offered {
                    found.push(Candidate::File(file, key));
                }
            }
            Ok(Key::Locked(public)) => {
                let held_one = held.iter().find(|(key, _)| {
                    public
                        .as_ref()
                        .is_some_and(|p| p.key_data() == key.key_data())
                });
                match held_one {
                    // Without named files it is among the candidates already.
                    Some(one) if is_named => found.push(of_agent(one)),
                    Some(_) => {}
                    None => {
                        tried
                            .unusable
                            .push(format!("{} (it has a passphrase)", file.display()));
                        tried.locked.get_or_insert(file);
                    }
                }
            }
            Err(why) => tried.unusable.push(format!("{} ({why})", file.display())),
        }
    }
    found
}

/// The keys that `ssh` looks for by itself.
fn default_files() -> Vec<PathBuf> {
    let Some(home) = std::env::home_dir() else {
        return Vec::new();
    };
    ["id_ed25519", "id_ecdsa", "id_rsa"]
        .map(|name| home.join(".ssh").join(name))
        .into()
}

enum Key {
    Open(Arc<PrivateKey>),
    /// Behind a passphrase; the form of OpenSSH shows its public half all the same.
    Locked(Option<PublicKey>),
}

fn read_key(text: &str) -> Result<Key, String> {
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let key = PrivateKey::from_openssh(text).map_err(|e| format!("not a private key: {e}"))?;
        return Ok(if key.is_encrypted() {
            Key::Locked(Some(key.public_key().clone()))
        } else {
            Key::Open(Arc::new(key))
        });
    }
    if text.contains("ENCRYPTED") && text.contains("PRIVATE KEY-----") {
        return Ok(Key::Locked(None));
    }
    decode_secret_key(text, None)
        .map(|key| Key::Open(Arc::new(key)))
        .map_err(|e| format!("not a private key: {e}"))
}

/// Offers one key after the other. `false`: none was taken.
async fn offer(
    connection: &mut Connection,
    target: &SshTarget,
    candidates: Vec<Candidate>,
    mut agent: Option<AgentClient<UnixStream>>,
    tried: &mut Tried,
) -> Result<bool> {
    let broke = |connection: &Connection| fault::not_sent(target, &connection.end);
    if candidates.is_empty() {
        // Asks what the machine would take; nobody is let in without proof, or the machine wants none.
        let answer = connection.handle.authenticate_none(&target.user).await;
        return Ok(note(answer.map_err(|_| broke(connection))?, tried));
    }
    for candidate in candidates.into_iter().take(MOST_OFFERS) {
        let (public, from) = match &candidate {
            Candidate::File(file, key) => (key.public_key().clone(), file.display().to_string()),
            Candidate::Agent(key, comment) => (key.clone(), format!("agent: {comment}")),
        };
        let called = format!("{} ({from})", public.fingerprint(HashAlg::Sha256));
        let hashes = if public.algorithm().is_rsa() {
            rsa_hashes(connection)
                .await
                .map_err(|_| broke(connection))?
        } else {
            vec![None]
        };
        if hashes.is_empty() {
            tried.unusable.push(format!(
                "{called}: the host takes rsa keys with SHA-1 only, which nobody should trust any more"
            ));
        }
        for hash in hashes {
            let answer = match &candidate {
                Candidate::File(_, key) => {
                    let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                    connection
                        .handle
                        .authenticate_publickey(&target.user, key)
                        .await
                        .map_err(|_| broke(connection))?
                }
                Candidate::Agent(key, _) => {
                    let Some(agent) = agent.as_mut() else {
                        continue;
                    };
                    let answer = connection
                        .handle
                        .authenticate_publickey_with(&target.user, key.clone(), hash, agent)
                        .await;
                    match answer {
                        Ok(answer) => answer,
                        Err(AgentAuthError::Key(e)) => {
                            tried
                                .unusable
                                .push(format!("{called}: the agent did not sign ({e})"));
                            continue;
                        }
                        Err(AgentAuthError::Send(_)) => return Err(broke(connection)),
                    }
                }
            };
            if note(answer, tried) {
                return Ok(true);
            }
            if connection.handle.is_closed() && tried.methods.as_ref().is_none_or(|m| m.is_empty())
            {
                // sshd hung up, perhaps for too many keys; this one was not judged.
                tried.unusable.push(format!("{called}: the host hung up"));
                return Ok(false);
            }
            if !tried.refused.contains(&called) {
                tried.refused.push(called.clone());
            }
            if tried.wants_more {
                return Ok(false);
            }
        }
    }
    Ok(false)
}

/// How to sign with an rsa key, best first; nothing where the host takes SHA-1 only. A host says which of them it knows,
/// and not which of them its configuration allows, so that both are tried.
async fn rsa_hashes(connection: &Connection) -> Result<Vec<Option<HashAlg>>, russh::Error> {
    let both = vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)];
    Ok(match connection.handle.best_supported_rsa_hash().await? {
        Some(None) => Vec::new(),
        Some(Some(HashAlg::Sha256)) => vec![Some(HashAlg::Sha256)],
        // A host that says nothing about it is asked for what every OpenSSH since 7.2 has.
        Some(Some(_)) | None => both,
    })
}

fn note(answer: AuthResult, tried: &mut Tried) -> bool {
    match answer {
        AuthResult::Success => true,
        AuthResult::Failure {
            remaining_methods,
            partial_success,
        } => {
            tried.wants_more |= partial_success;
            tried.methods = Some(remaining_methods);
            false
        }
    }
}

fn denied(target: &SshTarget, tried: &Tried) -> Error {
    let user = &target.user;
    let takes = match &tried.methods {
        Some(methods) if !methods.is_empty() => methods
            .iter()
            .map(<&str>::from)
            .collect::<Vec<_>>()
            .join(", "),
        _ => "what it does not say".to_owned(),
    };
    let takes_keys = takes.contains("publickey");
    let mut found = Vec::new();
    if tried.wants_more {
        found.push(format!(
            "{} taken, and more wanted",
            tried.refused.join(", ")
        ));
    } else if !tried.refused.is_empty() {
        found.push(format!("refused {}", tried.refused.join(", ")));
    }
    if !tried.unusable.is_empty() {
        found.push(format!("not usable {}", tried.unusable.join(", ")));
    }
    if found.is_empty() {
        found.push("no key to offer".to_owned());
    }
    let hint = if tried.wants_more {
        format!(
            "the host wants {takes} beside a key: that is not supported; let one key suffice for {user}"
        )
    } else if let Some(file) = tried.locked.as_ref().filter(|_| tried.refused.is_empty()) {
        format!(
            "give the key to the agent, which then signs for it: ssh-add {}",
            file.display()
        )
    } else if tried.methods.is_some() && !takes_keys && takes != "what it does not say" {
        format!("the host takes no keys for {user}: allow PubkeyAuthentication in its sshd_config")
    } else if tried.refused.is_empty() {
        format!("name a private key that {user} may log in with, or give one to the agent: ssh-add")
    } else {
        format!(
            "add the public half of one of these keys to ~{user}/.ssh/authorized_keys on the host, or correct user or identity in the inventory"
        )
    };
    Error::new(
        ErrorKind::AuthzDenied,
        format!("{} does not let {user} in over ssh", target.name),
    )
    .expected(format!("a key that it takes for {user}"))
    .found(found.join("; "))
    .context("it takes", takes)
    .context("address", fault::place(target))
    .consequence(NOTHING_SENT)
    .hint(hint)
}
