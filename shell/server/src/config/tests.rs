use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/tabard/server.toml"), text)
}

#[test]
fn the_example_is_complete_and_valid() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.issuer.as_str(), "https://127.0.0.1:8443");
    assert_eq!(config.admin_socket, Path::new("/run/tabard/admin.sock"));
    let table: toml::Table = EXAMPLE.parse().unwrap();
    for (section, keys) in known::KEYS {
        let set: Vec<&String> = table[section].as_table().unwrap().keys().collect();
        assert_eq!(set.len(), keys.len(), "[{section}]");
        assert!(
            keys.iter().all(|key| set.iter().any(|it| it == key)),
            "[{section}]"
        );
    }
}

#[test]
fn the_reference_page_shows_the_example() {
    let page = include_str!("../../../../docs/reference/config.md");
    assert!(
        page.contains(EXAMPLE),
        "docs/reference/config.md no longer shows config/example.toml"
    );
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let optional = [
        "socket",
        "connections_max",
        "exchanges_max",
        "tls_names",
        "[admin]",
        "four_eyes",
        "[contracts]",
        "[limits]",
    ];
    let least: Vec<&str> = EXAMPLE
        .lines()
        .filter(|line| !optional.iter().any(|key| line.starts_with(key)))
        .collect();
    let least = least.join("\n");
    let config = parse(&least).unwrap();
    assert_eq!(config.admin_socket, Path::new("/var/lib/tabard/admin.sock"));
    assert_eq!((config.connections_max, config.exchanges_max), (4096, 512));
    assert_eq!(config.four_eyes, FourEyes::Widening);
}

#[test]
fn a_rule_for_two_people_is_one_of_three_words() {
    for word in ["none", "Off", "widening ", ""] {
        let text = EXAMPLE.replace("four_eyes = \"widening\"", &format!("four_eyes = \"{word}\""));
        let error = parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("contracts.four_eyes") && error.contains("off, widening, always"),
            "{error}"
        );
    }
}

#[test]
fn a_typing_error_is_answered_with_the_key_that_was_meant() {
    let message = |from: &str, to: &str| parse(&EXAMPLE.replace(from, to)).unwrap_err().to_string();
    assert!(
        message("issuer =", "isuer =")
            .ends_with("there is no setting \"server.isuer\"; did you mean \"server.issuer\"?")
    );
    assert!(
        message("[limits]", "[limit]").ends_with("there is no setting \"limit\"; did you mean \"limits\"?")
    );
    assert!(message("socket =", "quux =").ends_with("there is no setting \"admin.quux\""));
    assert!(message("{ file =", "{ fil =").contains("unknown field `fil`"));
}

#[test]
fn a_secret_in_clear_is_refused() {
    let text = EXAMPLE.replace("{ file = \"/etc/tabard/kek\" }", "\"000102\"");
    assert!(matches!(parse(&text), Err(ConfigError::Malformed { .. })));
}

#[test]
fn what_guards_the_data_directory_lies_outside_it() {
    for (from, key) in [
        ("/etc/tabard/kek", "keys.kek"),
        ("/var/lib/tabard-checkpoint/", "log.checkpoint_copy"),
    ] {
        let error = parse(&EXAMPLE.replace(from, "/var/lib/tabard/x")).unwrap_err();
        assert!(
            matches!(&error, ConfigError::Value { key: found, .. } if *found == key),
            "{error}"
        );
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let config = parse(&EXAMPLE.replace("\"/var/lib/tabard\"", "\"data\"")).unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/tabard/data"));
}

#[test]
fn a_limit_of_zero_and_a_plain_http_issuer_are_refused() {
    assert!(matches!(
        parse(&EXAMPLE.replace("exchanges_max = 512", "exchanges_max = 0")),
        Err(ConfigError::Value { .. })
    ));
    assert!(matches!(
        parse(&EXAMPLE.replace("\"https://", "\"http://")),
        Err(ConfigError::Value { .. })
    ));
}
