//! One renewal: the SVID of the folder is shown to the server, and another one for a new key takes its place.

use super::folder::{Folder, Held};
use super::{new_key, request};
use crate::cli::https::Https;
use crate::cli::{Exit, Failure};
use crate::parts::wall_clock;
use http::Method;
use identity::SpiffeId;
use serde_json::{Value, json};
use std::sync::Arc;

/// Renews, and writes the files.
pub(super) fn renew(folder: &Folder, url: Option<&str>) -> Result<Value, Failure> {
    let _alone = folder.lock()?;
    let held = folder.read()?;
    let url = url.map_or_else(
        || held.about.renew_url.clone(),
        |base| moved(base, &held.about.renew_url),
    );
    let server = server(held, &url)?;
    let key = new_key()?;
    let body = json!({"csr": request(&key)?});
    let (status, answer) = server.call(Method::POST, path_of(&url), &[], Some(&body))?;
    if !status.is_success() {
        let refused = Failure::of_problem(status.as_u16(), &answer);
        // What a person has to mend: asking again changes nothing.
        return Err(if matches!(status.as_u16(), 401 | 403) {
            refused.ending(Exit::Over)
        } else {
            refused
        });
    }
    folder.write(&key, &answer, wall_clock())?;
    Ok(answer)
}

/// The server of the SVID's own trust domain, whatever its host is called.
fn server(held: Held, url: &str) -> Result<Https, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::new("SERVICE_FILES", "the SVID in the folder cannot be shown")
            .because(why.to_string())
            .fix("Let an operator write a new one: tabard service svid NAME --out DIR")
    };
    let id: SpiffeId = held.about.spiffe_id.parse().map_err(|error| unusable(&error))?;
    let trust_domain = id.trust_domain().parse().map_err(|error| unusable(&error))?;
    let own = Some((held.chain, held.key));
    let mut tls =
        sync::tls::client(&trust_domain, &held.authorities, own).map_err(|error| unusable(&error))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Https::over(url, Arc::new(tls))
}

/// The same path at another address.
fn moved(base: &str, url: &str) -> String {
    format!("{}{}", base.trim_end_matches('/'), path_of(url))
}

/// The path of a URL of the server's.
fn path_of(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_has_the_same_path() {
        let url = "https://tabard.example:7443/services/v1/svid";
        assert_eq!(path_of(url), "/services/v1/svid");
        assert_eq!(
            moved("https://10.0.0.7:1/", url),
            "https://10.0.0.7:1/services/v1/svid"
        );
        assert_eq!(path_of("https://tabard.example"), "/");
    }
}
