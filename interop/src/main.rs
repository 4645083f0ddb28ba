//! The SPIFFE Workload API under the unmodified Rust client `spiffe`: what we issue passes its own validation.
//!
//! `cargo xtask interop` runs this program as the demo agent; it reads only `SPIFFE_ENDPOINT_SOCKET`. With the argument
//! `rotation` it waits until its X.509-SVID was renewed under it. It ends with 1 and one line when something is not as it
//! should be.

use spiffe::{BundleSource, JwtSvid, WorkloadApiClient, X509Source};
use std::process::ExitCode;
use std::time::Duration;

const AUDIENCE: &str = "interop.example";
/// Everything here is a handful of calls on one socket.
const TIMEOUT: Duration = Duration::from_secs(30);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that people run"
)]
async fn main() -> ExitCode {
    let rotates = std::env::args().nth(1).is_some_and(|mode| mode == "rotation");
    let checked = async {
        if rotates {
            rotation().await
        } else {
            workload_api().await
        }
    };
    match tokio::time::timeout(TIMEOUT, checked).await {
        Ok(Ok(id)) => {
            println!("spiffe: {id}");
            ExitCode::SUCCESS
        }
        Ok(Err(why)) => {
            eprintln!("spiffe: {why}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("spiffe: not done after {} s", TIMEOUT.as_secs());
            ExitCode::FAILURE
        }
    }
}

async fn workload_api() -> Outcome<String> {
    let client = WorkloadApiClient::connect_env().await?;

    let svid = client.fetch_x509_svid().await?;
    let own = svid.spiffe_id().clone();
    ensure(
        svid.leaf().spiffe_id()? == own,
        "the certificate names its identity",
    )?;
    let bundles = client.fetch_x509_bundles().await?;
    let roots = bundles
        .get(own.trust_domain())
        .ok_or("no bundle of our own trust domain")?;
    ensure(!roots.authorities().is_empty(), "the bundle has authorities")?;

    let issued = client.fetch_jwt_svid([AUDIENCE], None).await?;
    ensure(*issued.spiffe_id() == own, "both forms name one identity")?;
    let jwt_bundles = client.fetch_jwt_bundles().await?;
    let validated = JwtSvid::parse_and_validate(issued.token(), &jwt_bundles, &[AUDIENCE])?;
    ensure(*validated.spiffe_id() == own, "its own validation agrees")?;
    let elsewhere = JwtSvid::parse_and_validate(issued.token(), &jwt_bundles, &["somebody.else"]);
    ensure(elsewhere.is_err(), "another audience is refused")?;

    let answer = client.validate_jwt_token(AUDIENCE, issued.token()).await?;
    ensure(
        *answer.spiffe_id() == own,
        "the Workload API validates what it issued",
    )?;
    let wrong = client.validate_jwt_token("somebody.else", issued.token()).await;
    ensure(wrong.is_err(), "the Workload API refuses another audience")?;

    let source = X509Source::new().await?;
    ensure(
        *source.svid()?.spiffe_id() == own,
        "the source holds the same identity",
    )?;
    let bundle = source.bundle_for_trust_domain(own.trust_domain())?;
    ensure(bundle.is_some(), "the source holds the bundle")?;
    source.shutdown().await;
    Ok(own.to_string())
}

/// The source follows a renewal: the same identity, another certificate that ends later. It says when it has the first one.
#[expect(clippy::print_stdout, reason = "a program that people run")]
async fn rotation() -> Outcome<String> {
    let source = X509Source::new().await?;
    let first = source.svid()?;
    println!("first: {}", first.spiffe_id());
    let mut updates = source.updated();
    let second = loop {
        let now = source.svid()?;
        if now.leaf().as_bytes() != first.leaf().as_bytes() {
            break now;
        }
        updates.changed().await?;
    };
    ensure(
        second.spiffe_id() == first.spiffe_id(),
        "the identity is the same",
    )?;
    ensure(source.is_healthy(), "the source is healthy afterwards")?;
    source.shutdown().await;
    Ok(format!("rotated, {}", second.spiffe_id()))
}

fn ensure(holds: bool, what: &str) -> Outcome<()> {
    if holds {
        Ok(())
    } else {
        Err(format!("it does not hold that {what}").into())
    }
}
