use std::fs;

use proptest::prelude::*;

use super::*;
use crate::config::vocabulary::INVENTORY;
use patchcore::document::{Kind, Table};

const EXAMPLE: &str = r#"
inventory = 1
[defaults]
user = "op"
port = 2222
become = "sudo"
known_hosts = "known_hosts"
identity = "id_ed25519"
labels = { site = "north", ring = "broad" }
owner = "dana"
[[host]]
name = "web-t1"
address = "10.77.0.11"
labels = { ring = "test", tier = "web" }
[[host]]
name = "db-1"
user = "root"
port = 22
become = "none"
host_key = "SHA256:mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2E"
reboot = false
owner = "sam"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["known_hosts", "id_ed25519"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    folder
}

fn check(text: &str, name: &str) -> Result<Inventory, Mistakes> {
    Inventory::check(text, name, Path::new("/folder"))
}

#[test]
fn every_mistake_has_its_answer() {
    let cases: Vec<&str> = include_str!("mistakes.txt").split("\n\n").skip(1).collect();
    assert!(cases.len() > 20, "the cases are not read");
    let mut differing = String::new();
    for case in cases {
        let (text, answers) = case.trim_end().split_once("\n=> ").unwrap();
        let count = answers.matches("\n=> ").count() + 1;
        let mut expected: Vec<String> = answers
            .split("\n=> ")
            .map(|answer| format!("inventory.toml:{answer}"))
            .collect();
        // The listing is in the order of the file, whatever the order of the cases.
        expected.sort_by_key(|answer| place_of(answer));
        let expected = format!(
            "{}\n{count} mistake{}; nothing was done",
            expected.join("\n"),
            if count == 1 { "" } else { "s" }
        );
        let found = match check(text, "inventory.toml") {
            Ok(_) => "no mistake".to_owned(),
            Err(mistakes) => mistakes.to_string(),
        };
        if found != expected {
            differing.push_str(&format!(
                "{text}\n  expected {expected}\n  found    {found}\n\n"
            ));
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

fn place_of(answer: &str) -> (u32, u32) {
    let mut numbers = answer.split(':').skip(1).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn a_host_has_its_own_word_before_that_of_the_defaults() {
    let folder = folder();
    let read = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        Inventory::from_file(path).unwrap()
    };
    let inventory = read("inventory.toml", EXAMPLE);
    let [web, db] = inventory.hosts() else {
        panic!("two hosts: {inventory:?}");
    };
    let labels: Vec<_> = web.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["ring=test", "site=north", "tier=web"]);
    let target = web.target().unwrap();
    assert_eq!(
        (&*target.name, &*target.address, &*target.user, target.port),
        ("web-t1", "10.77.0.11", "op", 2222)
    );
    assert_eq!(target.become_root, Become::Sudo);
    assert_eq!(
        target.host_key,
        HostKeyCheck::known_hosts(folder.path().join("known_hosts"))
    );
    assert_eq!(target.identities, [folder.path().join("id_ed25519")]);
    let target = db.target().unwrap();
    assert_eq!(
        (
            &*target.address,
            &*target.user,
            target.port,
            target.become_root
        ),
        ("db-1", "root", 22, Become::None)
    );
    assert!(matches!(target.host_key, HostKeyCheck::Pinned(_)));
    let config = db.config();
    assert_eq!((config.reboot, config.owner), (false, Some("sam".into())));
    assert_eq!(web.config().owner, Some("dana".into()));

    // The same as JSON.
    let json: toml::Value = toml::from_str(EXAMPLE).unwrap();
    let json = serde_json::to_string(&json).unwrap();
    assert_eq!(read("inventory.json", &json), inventory);
}

#[test]
fn a_plain_list_has_a_machine_a_line() {
    let text = "# the web servers\nweb-1\n op@10.0.0.2 # by address\n\nweb-3:2222\nop@[fd00::1]:22\nfd00::2\n";
    let inventory = check(text, "hosts").unwrap();
    let found: Vec<_> = inventory
        .hosts()
        .iter()
        .map(|h| {
            let own = h.user.as_deref().filter(|user| *user == "op");
            format!(
                "{} {} {own:?} {:?}",
                h.name,
                h.address.as_deref().unwrap(),
                h.port
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "web-1 web-1 None None",
            "10.0.0.2 10.0.0.2 Some(\"op\") None",
            "web-3 web-3 None Some(2222)",
            "fd00--1 fd00::1 Some(\"op\") Some(22)",
            "fd00--2 fd00::2 None None",
        ]
    );
    for (text, answer) in [
        (
            "",
            "hosts:1:1: the inventory names no machine: add a [[host]]",
        ),
        (
            "web-1 web-2\n",
            "hosts:1:1: \"web-1 web-2\" is not one machine, expected [user@]host[:port], one a line",
        ),
        (
            "web-1\n  web-2:ssh\n",
            "hosts:2:9: host \"web-2\": port = ssh is not a whole number from 1 to 65535, without quotes",
        ),
        (
            "web-1\nop@web-1\n",
            "hosts:2:4: host \"web-1\": the name is used twice, first at hosts:1:1",
        ),
        (
            "a/b\n",
            "hosts:1:1: host \"a/b\": name = \"a/b\" is not the name of a machine",
        ),
    ] {
        let mistakes = check(text, "hosts").unwrap_err().to_string();
        assert!(mistakes.starts_with(answer), "{text:?}: {mistakes}");
    }
    let both = check("a b\nc:0\n", "hosts").unwrap_err();
    assert_eq!(both.as_slice().len(), 2, "{both}");
}

#[test]
fn machines_named_in_code_are_checked_as_those_of_a_file() {
    let host = |name: &str| Host::named(name).with_user("op");
    assert_eq!(
        Inventory::of([host("a"), host("b")]).unwrap().hosts().len(),
        2
    );
    let error = Inventory::of([host("a"), host("a").with_port(0)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for part in [
        "inventory#/host/1/port: host \"a\": port = 0",
        "inventory#/host/1/name: host \"a\": the name is used twice",
        "2 mistakes; nothing was done",
    ] {
        assert!(error.message().contains(part), "{error}");
    }
    assert!(
        Inventory::of([])
            .unwrap_err()
            .message()
            .contains("names no machine")
    );
}

#[test]
fn json_mistakes_are_pointed_at() {
    let mistakes = check(r#"{"host":[{"name":"a","prot":22}]}"#, "i.json").unwrap_err();
    assert!(
        mistakes
            .to_string()
            .starts_with("i.json#/host/0/prot: unknown key \"prot\" in [[host]] \"a\""),
        "{mistakes}"
    );
}

/// The keys of a table of the vocabulary and of the schema, at every depth.
fn compare(table: &Table, schema: &serde_json::Value, root: &serde_json::Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let properties = schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
    keys.sort_unstable();
    let mut by_schema: Vec<&str> = properties.keys().map(String::as_str).collect();
    by_schema.sort_unstable();
    assert_eq!(by_schema, keys, "keys of {at:?}");
    assert_eq!(
        schema["additionalProperties"], false,
        "{at:?} takes unknown keys"
    );
    for key in table.keys {
        let is_required = schema["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|name| name == key.name));
        assert_eq!(is_required, key.required, "{at}/{}", key.name);
        let of = &properties[key.name];
        match &key.kind {
            Kind::Table(inner) => compare(inner, of, root, key.name),
            Kind::Tables(inner) => compare(inner, &of["items"], root, key.name),
            _ => {}
        }
    }
}

#[test]
fn the_schema_says_what_the_vocabulary_says() {
    let schema = inventory_schema();
    compare(&INVENTORY, &schema, &schema, "");
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/schema/linux-inventory.json"
    );
    let text = format!(
        "{}\n",
        serde_json::to_string_pretty(&inventory_schema()).unwrap()
    );
    if std::env::var_os("PATCHCORE_BLESS").is_some() {
        fs::write(path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap_or_default(),
        text,
        "PATCHCORE_BLESS=1 writes docs/schema anew"
    );
}

#[test]
fn the_page_about_inventory_files_says_what_is_so() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/inventory.md");
    let page = fs::read_to_string(path).unwrap();
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let folder = folder();
    let inventory = Inventory::check(&block("toml"), "i.toml", folder.path()).unwrap();
    assert_eq!(inventory.hosts().len(), 3);
    // Every key has its row, and every row is a key.
    let mut rows: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, rest)| {
            ["host |", "both |", "the file |"]
                .iter()
                .any(|w| rest.starts_with(w))
        })
        .map(|(key, _)| key)
        .collect();
    rows.sort_unstable();
    let mut keys = vec!["inventory"];
    for key in INVENTORY.keys {
        if let Kind::Tables(host) = &key.kind {
            keys.extend(host.keys.iter().map(|key| key.name));
            for later in host.later {
                assert!(
                    page.contains(&format!("`{}`", later.name)),
                    "{}",
                    later.name
                );
            }
        }
    }
    keys.sort_unstable();
    assert_eq!(rows, keys);
    // The mistakes are those of an inventory with these two lines.
    let text = format!(
        "{}[[host]]\nname = \"web-1\"\nadress = \"10.0.0.11\"\n[[host]]\n\nname = \"web-2\"\nport = 99999\n",
        "\n".repeat(6)
    );
    let mistakes = check(&text, "inventory.toml").unwrap_err().to_string();
    assert_eq!(format!("{mistakes}\n"), block("text"));
}

proptest! {
    #[test]
    fn any_text_is_an_inventory_or_a_list_of_mistakes(
        text in "(?s).{0,200}",
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        put in ".{0,3}",
    ) {
        // Without the files, which are not there.
        let whole: String = EXAMPLE.split_inclusive('\n').filter(|l| !l.contains("known_hosts") && !l.contains("id_")).collect();
        for name in ["i.toml", "i.json", "hosts"] {
            let _ = check(&text, name);
            let at = at.index(whole.len());
            let end = (at + length).min(whole.len());
            let near = format!("{}{put}{}", &whole[..at], &whole[end..]);
            if let Ok(read) = check(&near, name) {
                prop_assert!(!read.hosts().is_empty());
                // What is taken can be reached, and what was filled in is taken again.
                for host in read.hosts() {
                    prop_assert!(host.target().is_ok());
                }
                let again = Inventory::of(read.hosts().to_vec());
                prop_assert_eq!(again.unwrap(), read);
            }
        }
    }
}
