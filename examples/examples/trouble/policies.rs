//! Policies: read before anything is asked, and held against the estate before anything is planned.

use patchcore::{ErrorKind, Policy, Result, sim::Sim};

use super::{
    seen::Seen,
    stage::{self, Witness, web},
};

pub(crate) async fn mistakes() -> Result<Seen> {
    let wrong = stage::POLICY
        .replace("at_once = \"2\"", "at_onec = \"2\"")
        .replace("until = \"04:00\"", "until = \"4\"")
        .replace("soak   = \"24h\"", "soak   = 24")
        .replace("ring = test\"", "ring == test\"");
    Ok(Seen::refused(
        Policy::from_toml(&wrong, "policy.toml"),
        ErrorKind::InvalidInput,
    )
    .says(&[
        "policy.toml:11:9: ",
        "window \"nights\": until = \"4\" is not a time of day, expected such as \"04:00\"",
        "policy.toml:21:1: unknown key \"at_onec\" in [[ring]] \"broad\"",
        "did you mean \"at_once\"?",
        "policy.toml:16:",
        "4 mistakes; nothing was done",
    ])
    .proves("no estate was asked: there is none yet", true))
}

/// Plans a policy that must be refused against this estate.
async fn refused(sim: &Sim, guests: &[&str], policy: Policy, kind: ErrorKind) -> Result<Seen> {
    let witness = Witness::of_guests(sim, guests)?;
    let answer = stage::estate(sim).plan(&policy).requested_by("sam").await;
    let (what, holds) = witness.untouched()?;
    Ok(Seen::refused(answer, kind)
        .says(&["nothing was planned"])
        .proves(what, holds))
}

pub(crate) async fn selects_nothing() -> Result<Seen> {
    let policy = stage::policy_with(|text| {
        text.replace("\"*\"", "\"site = paris\"")
            .replace("ring = test\"", "ring = lab\"")
    })?;
    let seen = refused(
        &stage::sim()?,
        &stage::GUESTS,
        policy,
        ErrorKind::InvalidInput,
    )
    .await?;
    Ok(seen.says(&[
        "policy.toml:13:3: policy weekly selects none of the 3 components",
        "broad selects \"site = paris\"",
        "end with a ring that selects \"*\"",
    ]))
}

pub(crate) async fn ring_that_never_starts() -> Result<Seen> {
    let policy = stage::policy_with(|text| text.replace("at_least = 1", "at_least = 3"))?;
    let seen = refused(
        &stage::sim()?,
        &stage::GUESTS,
        policy,
        ErrorKind::InvalidInput,
    )
    .await?;
    Ok(seen.says(&[
        "policy.toml:23:1: ",
        "ring \"broad\" can never start: at_least = 3, but ring \"test\" has 1 component",
        "lower at_least",
    ]))
}

const SHOP: [&str; 3] = ["db-1", "app-1", "web-1"];

fn shop() -> Result<Sim> {
    let one = |tier: &'static str| move |g| web(g).label("app", "shop").label("tier", tier);
    Ok(Sim::starting(stage::start()?, 7)
        .guest("db-1", one("db"))
        .guest("app-1", one("app"))
        .guest("web-1", |g| one("web")(g).label("ring", "test"))
        .publish(stage::nginx()))
}

const EVERYTHING: &str = r#"
policy   = 1
name     = "weekly"
approval = { needs = 1, from = ["maria", "jon"] }
[[window]]
name = "always"
when = "any time"
[[ring]]
name   = "all"
select = "*"
"#;

pub(crate) async fn order_in_a_circle() -> Result<Seen> {
    let text = format!(
        "{EVERYTHING}\n\
         [[order]]\nwithin = \"app\"\nsteps  = [\"tier = db\", \"tier = app\", \"tier = web\"]\n\
         [[order]]\nwithin = \"app\"\nsteps  = [\"tier = web\", \"tier = db\"]\n"
    );
    let policy = Policy::from_toml(&text, "policy.toml")?;
    let seen = refused(&shop()?, &SHOP, policy, ErrorKind::Cycle).await?;
    Ok(seen.says(&[
        "the order runs in a circle",
        "policy.toml:12:1: app \"shop\": tier = db, then tier = app, then tier = web",
        "app-1 after db-1",
        "web-1 after app-1",
        "db-1 after web-1",
        "take one of these rules out",
    ]))
}

pub(crate) async fn order_against_the_rings() -> Result<Seen> {
    let policy = stage::policy_with(|text| {
        format!("{text}\n[[order]]\nwithin = \"app\"\nsteps  = [\"tier = db\", \"tier = web\"]\n")
    })?;
    let seen = refused(&shop()?, &SHOP, policy, ErrorKind::Cycle).await?;
    Ok(seen.says(&[
        "db-1 must come before web-1, but its ring broad comes after ring test",
        "select both in one ring",
    ]))
}
