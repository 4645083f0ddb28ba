use super::*;

const MANIFEST: &str = "\
apiVersion: tabard/v1
kind: Agent
metadata: {name: demo-billing}
owner: finance-platform
purpose: Matches invoices against payments.
contract: demo-billing@1
expires: 7d
launch:
  launchers: [me, 1001]
  argv: {prefix: [/usr/bin/python3, /srv/agent/main.py]}
  executable: /usr/bin/python3
  cwd: /srv/agent
  env_allow: [LANG]
  env_set: {MODE: demo}
  roots:
    - /srv/agent
  isolate: true
";

fn error(text: &str) -> ManifestError {
    *AgentFile::parse("agent.yaml", text.as_bytes()).unwrap_err()
}

#[test]
fn a_manifest_says_who_answers_for_what_under_which_contract_until_when() {
    let file = AgentFile::parse("agent.yaml", MANIFEST.as_bytes()).unwrap();
    assert_eq!(file.name().as_str(), "demo-billing");
    assert_eq!(
        file.contract.1,
        ContractReference::Named("demo-billing".parse().unwrap(), Some(1))
    );
    assert_eq!(file.expires, Expiry::In(Seconds::new(7 * 86_400).unwrap()));
}

#[test]
fn an_unknown_key_is_refused_where_it_stands() {
    let error = error(&MANIFEST.replace("  cwd:", "  workdir:"));
    assert_eq!((error.line, error.column), (12, 3), "{error}");
    assert!(error.what.contains("workdir"), "{error}");
}

#[test]
fn what_does_not_fit_is_named_with_its_place_and_a_fix() {
    let bad_expiry = error(&MANIFEST.replace("expires: 7d", "expires: soon"));
    assert_eq!(
        (bad_expiry.line, bad_expiry.path.as_str()),
        (7, "expires"),
        "{bad_expiry}"
    );
    let relative = error(&MANIFEST.replace("- /srv/agent", "- srv/agent"));
    assert_eq!(
        (relative.line, relative.path.as_str()),
        (16, "launch.roots"),
        "{relative}"
    );
    let nobody = error(&MANIFEST.replace("[me, 1001]", "[]"));
    assert_eq!(nobody.path, "launch.launchers");
    let ownerless = error(&MANIFEST.replace("finance-platform", "\"\""));
    assert_eq!(ownerless.path, "owner");
    assert!(
        error("apiVersion: tabard/v1\napiVersion: tabard/v1\n")
            .what
            .contains("duplicate")
    );
}

#[test]
fn a_pinned_command_needs_an_executable() {
    let error = error(&MANIFEST.replace("  executable: /usr/bin/python3\n", ""));
    assert_eq!(error.path, "launch.argv");
    assert!(error.fix.contains("tabard agent measure"), "{error}");
}

#[test]
fn a_manifest_is_measured_in_place_and_then_reads_the_same() {
    let file = AgentFile::parse("agent.yaml", MANIFEST.as_bytes()).unwrap();
    let mut places = file.unmeasured(MANIFEST);
    assert_eq!(places.len(), 2, "{places:?}");
    places.sort_by_key(|it| std::cmp::Reverse(it.place.start));
    let mut text = MANIFEST.to_owned();
    for it in &places {
        assert!(
            MANIFEST.get(it.place.clone()).unwrap().starts_with(&it.path),
            "{it:?}"
        );
        text.replace_range(it.place.clone(), &it.written(Digest::from_bytes([7; 32])));
    }
    let measured =
        AgentFile::parse("agent.yaml", text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(measured.unmeasured(&text), Vec::new());
    let terms = measured.launch.unwrap().terms("agent.yaml", Some(7)).unwrap();
    assert_eq!(terms.launchers, [7, 1001]);
    assert_eq!(terms.executable, Some(Digest::from_bytes([7; 32])));
    assert_eq!(terms.roots[0].path, "/srv/agent");
}

#[test]
fn what_is_not_measured_is_refused_with_the_command_to_run() {
    let file = AgentFile::parse("agent.yaml", MANIFEST.as_bytes()).unwrap();
    let error = file.launch.unwrap().terms("agent.yaml", Some(7)).unwrap_err();
    assert_eq!(error.line, 11);
    assert!(
        error.fix.contains("tabard agent measure agent.yaml --write"),
        "{error}"
    );
}
