//! A journal that cannot be written: nothing is forwarded.

use crate::fixture::Fixture;
use std::io::Write as _;
use std::process::Command;

/// Says to the child that it is one.
const CHILD: &str = "TABARD_TEST_UNRECORDED";
/// Largest file of the child, in blocks of 512 bytes: room for a few hundred calls.
const BLOCKS: u32 = 4096;
const PATH: &str = "/invoices/tenants/acme-eu/invoices/1";

/// Calls until the journal is full; an ordinary test run has nothing to do here.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let fixture = Fixture::with_rate(1_000_000).await;
    let mut permitted = 0;
    let refused = loop {
        let calls = (0..64).map(|_| fixture.get(PATH));
        let answers = futures_util::future::join_all(calls).await;
        permitted += answers.iter().filter(|answer| answer.status() == 200).count();
        if let Some(refused) = answers.into_iter().find(|answer| answer.status() != 200) {
            break refused;
        }
        assert!(permitted < 100_000, "the journal is never full");
    };
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "NOT_RECORDED".into()),
        "{}",
        refused.0
    );
    // What was answered is what left, and nothing leaves any more.
    let left = fixture.seen().len();
    assert_eq!(left, permitted);
    for path in [PATH, "/invoices/tenants/acme-us/invoices/1"] {
        let answer = fixture.get(path).await;
        assert_eq!(
            (answer.status(), answer.code()),
            (503, "NOT_RECORDED".into()),
            "{}",
            answer.0
        );
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(fixture.seen().len(), left);
    std::io::stdout().write_all(b"closed after some calls\n").unwrap();
}

#[test]
fn a_call_that_cannot_be_recorded_is_not_made() {
    // The signal of the limit is ignored, so that a write fails as it does on a full disk.
    let script =
        format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" --exact unrecorded::child --nocapture");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("closed after some calls\n"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
