use super::*;

const INVOICES: &str = include_str!("../../../../../testdata/upstreams/invoices.yaml");
const PAYROLL: &str = include_str!("../../../../../testdata/upstreams/payroll.yaml");

fn mistakes(text: &str) -> Vec<ManifestError> {
    Manifest::parse("u.yaml", text.as_bytes()).unwrap_err()
}

#[test]
fn the_examples_are_read_as_they_say() {
    let invoices = Manifest::parse("invoices.yaml", INVOICES.as_bytes()).unwrap();
    assert_eq!(
        (invoices.name.as_str(), invoices.audience.as_str()),
        ("invoices", "invoices")
    );
    assert_eq!(invoices.base_url.to_string(), "http://127.0.0.1:7801");
    assert_eq!(invoices.hosts, ["invoices.demo"]);
    assert_eq!(
        invoices.credential,
        Injection::ApiKey {
            header: "x-api-key".into(),
            prefix: String::new()
        }
    );
    assert_eq!(
        invoices.secret,
        Some(SecretReference::File("invoices.key".into()))
    );
    assert_eq!(invoices.routes.len(), 3);
    let refund = &invoices.routes[2];
    assert_eq!(
        (refund.action.as_str(), refund.resource_id.as_deref()),
        ("refunds.create", Some("id"))
    );
    assert_eq!(refund.arguments[0].kind, ArgumentKind::Integer);
    assert_eq!(refund.tenant, Some(Place::Path("tenant".into())));

    let payroll = Manifest::parse("payroll.yaml", PAYROLL.as_bytes()).unwrap();
    assert_eq!(
        payroll.secret,
        Some(SecretReference::Env("PAYROLL_CLIENT_SECRET".into()))
    );
    assert!(
        matches!(payroll.credential, Injection::ClientCredentials { scope, .. } if scope == "payroll.read")
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let text = "\
apiVersion: tabard/v2
kind: Upstream
metadata: {name: Invoices}
base_url: https://erp.example.com/v1
host: [a.example]
credential:
  api_key: {header: content-length, secret: {file: k}}
routes:
  - {method: GET, path: /a/b%2fc, action: a.b, resource: {type: a}}
  - {method: GET, path: '/x/{id}', action: a.b, resource: {type: a, id: ident}}
  - {method: BREW, path: /x, action: a.b, resource: {type: a}}
";
    let found = mistakes(text);
    let places: Vec<(u32, &str)> = found.iter().map(|m| (m.line, m.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (1, "apiVersion"),
            (3, "metadata.name"),
            (4, "base_url"),
            (5, "host"),
            (7, "credential.api_key.header"),
            (9, "routes[0]"),
            (10, "routes[1]"),
            (11, "routes[2]"),
        ]
    );
    assert_eq!(found[3].fix, "did you mean \"hosts\"?");
    let said = found[3].to_string();
    assert!(
        said.starts_with("u.yaml:5:1 at host: unknown key \"host\"; "),
        "{said}"
    );
}

#[test]
fn a_secret_in_the_manifest_is_refused_and_not_repeated() {
    for secret in ["s3cr3t-value", "12345678", "'0x42'"] {
        let text = INVOICES.replace("{file: invoices.key}", secret);
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, "credential.api_key.secret");
        assert!(
            !found[0].to_string().contains(secret.trim_matches('\'')),
            "{}",
            found[0]
        );
    }
    let stdin = Manifest::parse("u", INVOICES.replace("{file: invoices.key}", "stdin").as_bytes()).unwrap();
    assert_eq!(stdin.secret, Some(SecretReference::Stdin));
}

#[test]
fn yaml_that_hides_something_is_refused() {
    for (text, line) in [
        ("kind: Upstream\nkind: Upstream\n", 2),
        ("a: &x [1]\nb: *x\n", 1),
        ("kind: [", 1),
        ("--- 1\n--- 2\n", 2),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].line <= line + 1, "{text}: {found:?}");
    }
    assert_eq!(mistakes(&" ".repeat(MANIFEST_BYTES_MAX + 1)).len(), 1);
    assert_eq!(Manifest::parse("u", b"\xff").unwrap_err().len(), 1);
    assert_eq!(mistakes(&"[".repeat(1000)).len(), 1);
}

#[test]
fn exactly_one_credential_and_one_place_each() {
    let neither = INVOICES.replace("api_key: {header: x-api-key, secret: {file: invoices.key}}", "{}");
    assert_eq!(mistakes(&neither)[0].path, "credential");
    let both = INVOICES.replace(
        "{name: status, query: status}",
        "{name: status, query: status, header: status}",
    );
    assert_eq!(mistakes(&both).len(), 1);
    let none = Manifest::parse(
        "u",
        b"apiVersion: tabard/v1\nkind: Upstream\nmetadata: {name: a}\nbase_url: https://a.example\ncredential: none\nroutes: [{method: GET, path: /, action: a, resource: {type: a}}]\n",
    )
    .unwrap();
    assert_eq!((none.credential, none.secret), (Injection::None, None));
}
