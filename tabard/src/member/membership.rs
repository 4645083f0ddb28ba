//! Membership: a join token buys it once; afterwards the member's own key, sealed in its data directory, is enough.

use super::{MemberArgs, first_contact, join_file};
use crate::cli::{Exit, Failure};
use crate::parts::wall_clock;
use broker::world::MemberRole;
use serde::{Deserialize, Serialize};
use server::keys::MemberKeys;
use std::sync::Arc;
use std::time::Duration;
use sync::proto::Membership;
use sync::{Link, LinkError, Member, Pinned};

/// Attempts to be taken in while the server cannot be reached, and the pause between them: a host that boots beside its
/// server need not be started twice.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// What is kept of a membership.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    role: MemberRole,
    /// `host:port`.
    server: String,
    node_id: String,
    spiffe_id: String,
    svid: Vec<Vec<u8>>,
    authorities: Vec<Vec<u8>>,
    log: u32,
    trust_domain: String,
    issuer: String,
}

impl Kept {
    fn of(role: MemberRole, server: &str, membership: &Membership) -> Self {
        let it = membership.clone();
        Self {
            role,
            server: server.to_owned(),
            node_id: it.node_id,
            spiffe_id: it.spiffe_id,
            svid: it.svid,
            authorities: it.authorities,
            log: it.log,
            trust_domain: it.trust_domain,
            issuer: it.issuer,
        }
    }

    /// What to trust: the authorities of before.
    fn pinned(&self) -> Result<Pinned, Failure> {
        let trust_domain = self
            .trust_domain
            .parse()
            .map_err(|_| Failure::new("MEMBERSHIP", "the kept membership names no trust domain"))?;
        Ok(Pinned {
            trust_domain,
            authorities: self.authorities.iter().cloned().map(Into::into).collect(),
        })
    }
}

/// A member that its server has taken in.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) link: Link,
    pub(super) keys: Arc<MemberKeys>,
    /// `host:port` of the server.
    pub(super) server: String,
    pub(super) identity: Arc<sync::MemberIdentity>,
}

impl Joined {
    pub(super) fn spiffe_id(&self) -> String {
        self.identity.spiffe_id.to_string()
    }
    pub(super) fn issuer(&self) -> &str {
        &self.identity.issuer
    }
}

/// Joins, or is the member of before.
pub(super) async fn begin(args: &MemberArgs, role: MemberRole) -> Result<Joined, Failure> {
    let keys = MemberKeys::open(&args.data, super::kek(args)?, wall_clock());
    let keys = Arc::new(keys.map_err(|error| keys_failed(&error))?);
    let kept = keys.membership().map_err(|error| keys_failed(&error))?;
    let kept: Option<Kept> = match kept {
        Some(text) => Some(serde_json::from_slice(&text).map_err(|error| {
            Failure::new("MEMBERSHIP", "the kept membership cannot be read").because(error.to_string())
        })?),
        None => None,
    };
    match kept {
        Some(kept) if kept.role != role => Err(Failure::new(
            "MEMBER_ROLE",
            format!("{} belongs to a {}", args.data.display(), kept.role.word()),
        )
        .fix("Use another --data for each member.")),
        Some(kept) => again(args, role, keys, &kept).await,
        None => first(args, role, keys).await,
    }
}

/// The first time: with a join token.
async fn first(args: &MemberArgs, role: MemberRole, keys: Arc<MemberKeys>) -> Result<Joined, Failure> {
    let Some(path) = &args.join_file else {
        return Err(Failure::new(
            "NOT_JOINED",
            format!("{} holds no membership: this {} has not joined yet", args.data.display(), role.word()),
        )
        .fix(format!(
            "On the server's host: `tabard join-token create --role {} > FILE`. Bring the file here, and start with --join-file.",
            role.word()
        )));
    };
    let join = join_file::read(path)?;
    let server = match &args.server {
        Some(server) => server.clone(),
        None => host_and_port(&join.issuer)?,
    };
    let pinned = first_contact::pinned(&join, &server).await?;
    let link = link_to(&server, pinned, role, &keys)?;
    let joined = match link.join(&join.secret, role).await {
        // An answer that was lost on its way: the key is a member's already, and the token spent on it.
        Err(LinkError::Refused(refused)) if refused.code == "JOIN_TOKEN" => match link.renew().await {
            Ok(identity) => Ok(identity),
            Err(_) => Err(LinkError::Refused(refused)),
        },
        other => other,
    };
    let identity = joined.map_err(|error| join_failed(&error, role))?;
    tracing::info!(member = %identity.id, "joined");
    role_of(&identity, role)?;
    Ok(Joined {
        link,
        keys,
        server,
        identity,
    })
}

/// Again: by the key that is known.
async fn again(
    args: &MemberArgs,
    role: MemberRole,
    keys: Arc<MemberKeys>,
    kept: &Kept,
) -> Result<Joined, Failure> {
    let server = args.server.clone().unwrap_or_else(|| kept.server.clone());
    let link = link_to(&server, kept.pinned()?, role, &keys)?;
    let mut attempt = 1;
    let identity = loop {
        match link.renew().await {
            Ok(identity) => break identity,
            Err(LinkError::Refused(refused)) => return Err(not_a_member(&refused.message)),
            Err(LinkError::NotAMember(why)) => return Err(not_a_member(&why)),
            Err(LinkError::Unreachable(why)) if attempt < ATTEMPTS => {
                tracing::warn!(why, "the server cannot be reached; trying again");
                attempt = attempt.saturating_add(1);
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(Failure::new(
                    "SERVER_UNREACHABLE",
                    format!("{server} does not take this member in"),
                )
                .because(error.to_string())
                .fix("Is the server running, and reachable from here? Start again when it is.")
                .ending(Exit::Unreachable));
            }
        }
    };
    if args.join_file.is_some() {
        tracing::info!("a member already: the join token was not used");
    }
    role_of(&identity, role)?;
    Ok(Joined {
        link,
        keys,
        server,
        identity,
    })
}

fn link_to(server: &str, pinned: Pinned, role: MemberRole, keys: &Arc<MemberKeys>) -> Result<Link, Failure> {
    let own = keys.own(wall_clock()).map_err(|error| keys_failed(&error))?;
    let member = Member::from_pkcs8(&own).map_err(|error| {
        Failure::new("MEMBER_KEY", "the member's key cannot be used").because(error.to_string())
    })?;
    let (keeper, place) = (keys.clone(), server.to_owned());
    let keep = Box::new(move |membership: &Membership| {
        let kept = Kept::of(role, &place, membership);
        let kept = serde_json::to_vec(&kept).map_err(|error| error.to_string());
        let kept = kept.and_then(|text| {
            keeper
                .keep_membership(&text, wall_clock())
                .map_err(|error| error.to_string())
        });
        if let Err(error) = kept {
            // The membership of before stays; the key alone is enough to get a new one.
            tracing::error!(error, "the membership could not be kept");
        }
    });
    Ok(Link::of(server, pinned, member, keep))
}

/// A token for one role does not make a member of another: its SPIFFE ID says which it is.
fn role_of(identity: &sync::MemberIdentity, role: MemberRole) -> Result<(), Failure> {
    let wanted = format!("/_tabard/{}/", role.word());
    if identity.spiffe_id.path().starts_with(&wanted) {
        return Ok(());
    }
    Err(Failure::new(
        "MEMBER_ROLE",
        format!(
            "the server knows this member as {}, not as a {}",
            identity.spiffe_id,
            role.word()
        ),
    )
    .fix(format!(
        "Remove it there, and join with a token for a {} and an empty data directory.",
        role.word()
    )))
}

fn join_failed(error: &LinkError, role: MemberRole) -> Failure {
    match error {
        LinkError::Refused(refused) => {
            Failure::new(refused.code.clone(), "the server did not take this member in")
                .because(refused.message.clone())
                .fix(format!("tabard join-token create --role {}", role.word()))
                .ending(Exit::Denied)
        }
        other => Failure::new("JOIN", "joining failed")
            .because(other.to_string())
            .fix("The join token is spent only by success: start again.")
            .ending(Exit::Unreachable),
    }
}

/// The server ended the membership, or never knew it.
pub(super) fn not_a_member(why: &str) -> Failure {
    Failure::new("NOT_A_MEMBER", "the server does not take this member any more")
        .because(why)
        .fix("If it should be one: empty the data directory, and join with a new token.")
        .ending(Exit::Denied)
}

fn keys_failed(error: &server::keys::KeyError) -> Failure {
    Failure::new("MEMBER_KEYS", "the keys in the data directory cannot be used")
        .because(error.to_string().replace("keys.kek", "--kek"))
}

/// `host:port` of a URL.
pub(super) fn host_and_port(url: &str) -> Result<String, Failure> {
    let uri: Option<http::Uri> = url.parse().ok();
    let found = uri.as_ref().and_then(|uri| {
        let port = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return None,
        };
        Some(format!("{}:{}", uri.host()?, uri.port_u16().unwrap_or(port)))
    });
    found.ok_or_else(|| {
        Failure::new("URL", format!("{url} is not scheme, host and port"))
            .fix("Write it like https://gateway.internal:7480")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect() {
        for (url, place) in [
            ("https://127.0.0.1:7443", Some("127.0.0.1:7443")),
            ("https://tabard.internal", Some("tabard.internal:443")),
            ("http://[::1]:80", Some("[::1]:80")),
            ("ftp://x", None),
            ("tabard.internal:7443", None),
        ] {
            assert_eq!(host_and_port(url).ok().as_deref(), place, "{url}");
        }
    }
}
