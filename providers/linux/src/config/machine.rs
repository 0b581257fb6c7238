//! The machine on which patchcore itself runs, as a person writes it down.

use std::{collections::BTreeMap, path::Path};

use patchcore::{
    document::{Document, Form, Key, Kind, Mistake, Mistakes, Settings, Table, Word},
    id::{ComponentId, PersonId},
    policy::parse_duration,
};
use serde::Deserialize;

use super::{
    LocalConfig,
    vocabulary::{LABELS, NAME},
};

const FORM: Form = Form {
    noun: "machine",
    with_article: "a machine",
    table: &Table::of(&[
        Key::optional("name", NAME),
        Key::optional("labels", LABELS),
        Key::optional("owner", Kind::Name),
        Key::optional("state", Kind::Name),
        Key::optional(
            "lock_wait",
            Kind::Word(Word {
                what: "a duration",
                example: "10m",
                check: |text| Ok(parse_duration(text).map(drop)?),
            }),
        ),
    ]),
};

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    name: Option<ComponentId>,
    labels: BTreeMap<String, String>,
    owner: Option<PersonId>,
    state: Option<String>,
    lock_wait: Option<String>,
}

impl Settings for LocalConfig {
    const FORM: Form = FORM;
    const PREFIX: &'static str = "PATCHCORE_LINUX_";

    fn read(mut document: Document, _folder: &Path) -> Result<Self, Mistakes> {
        let written: Written = document.content();
        let mut config = Self::new();
        config.name = written.name;
        config.labels = written.labels;
        config.owner = written.owner;
        if let Some(folder) = &written.state {
            match config.clone().with_state(folder) {
                Ok(with) => config = with,
                Err(error) => document.report("/state", &["/state"], |place| {
                    Mistake::new(place, format!("state = {folder:?}: {}", error.message()))
                }),
            }
        }
        // The vocabulary let it through, so it can be read.
        if let Some(wait) = written
            .lock_wait
            .and_then(|text| parse_duration(&text).ok())
        {
            config = config.with_lock_wait(wait);
        }
        document.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn expected() -> LocalConfig {
        LocalConfig::new()
            .with_name("web-1")
            .with_label("site", "north")
            .with_label("tier", "web")
            .with_owner("dana")
            .with_lock_wait(Duration::from_secs(90))
            .with_state("/srv/patch")
            .unwrap()
    }

    #[test]
    fn a_file_the_environment_and_a_map_say_the_same() {
        let text = r#"
            name = "web-1"
            labels = { site = "north", tier = "web" }
            owner = "dana"
            state = "/srv/patch"
            lock_wait = "90s"
        "#;
        let read = LocalConfig::read(FORM.toml(text, "machine.toml").unwrap(), Path::new(""));
        assert_eq!(read.unwrap(), expected());
        let variables = [
            ("PATCHCORE_LINUX_NAME", "web-1"),
            ("PATCHCORE_LINUX_LABELS", "tier=web, site = north"),
            ("PATCHCORE_LINUX_OWNER", "dana"),
            ("PATCHCORE_LINUX_STATE", "/srv/patch"),
            ("PATCHCORE_LINUX_LOCK_WAIT", "1m30s"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let read = LocalConfig::from_variables(LocalConfig::PREFIX, variables);
        assert_eq!(read.unwrap(), expected());
        let map = serde_json::json!({
            "name": "web-1", "labels": {"site": "north", "tier": "web"}, "owner": "dana", "state": "/srv/patch",
            "lock_wait": "90s",
        });
        assert_eq!(LocalConfig::from_value(&map, "Linux").unwrap(), expected());
    }

    #[test]
    fn every_mistake_is_answered_at_once() {
        let map = serde_json::json!({"nmae": "web-1", "state": "srv", "lock_wait": "soon"});
        let text = LocalConfig::from_value(&map, "Linux")
            .unwrap_err()
            .to_string();
        for said in [
            "Linux#/nmae: unknown key \"nmae\"",
            "Linux#/state: state = \"srv\"",
            "Linux#/lock_wait",
            "3 mistakes",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        let variables = [("PATCHCORE_LINUX_LABELS".to_owned(), "web".to_owned())];
        let error = LocalConfig::from_variables(LocalConfig::PREFIX, variables).unwrap_err();
        assert!(
            error.to_string().contains("PATCHCORE_LINUX_LABELS: labels"),
            "{error}"
        );
    }
}
