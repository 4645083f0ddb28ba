//! The feed side of a gateway: joins, follows, and says when a credential is refused by its copy of the World.

use super::{Orders, tell};
use crate::cpu;
use crate::fault::{Fault, fault};
use broker::world::{MemberRole, Target};
use identity::Revision;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use sync::{Link, Pinned, Replica};

/// Where to join.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) server: SocketAddr,
    pub(crate) root_pem: PathBuf,
    pub(crate) trust_domain: String,
    pub(crate) join_token: String,
    pub(crate) role: MemberRole,
}

/// The user whose credentials the revocation number `n` ends.
pub(crate) fn user(n: u32) -> String {
    format!("user-{n}")
}

/// Revocation `n` was in force at that time of the clock that all processes share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) n: u32,
    pub(crate) at_nanos: u64,
}

/// A link that has joined, and a replica that follows it.
pub(super) async fn join(order: &Order) -> Result<(Link, Replica), Fault> {
    let pinned = Pinned {
        trust_domain: order.trust_domain.parse()?,
        authorities: vec![CertificateDer::from_pem_file(&order.root_pem)?],
    };
    let link = Link::new(order.server, pinned)?;
    drop(link.join(&order.join_token, order.role).await?);
    let replica = Replica::new();
    let (follower, copy) = (link.clone(), replica.clone());
    drop(tokio::spawn(
        async move { follower.follow(copy, String::new).await },
    ));
    let mut heard = replica.heard_at();
    let heard = tokio::time::timeout(Duration::from_secs(20), heard.wait_for(Option::is_some)).await;
    heard.map_err(|_| fault("the feed says nothing"))??;
    Ok((link, replica))
}

pub(super) async fn run(mut orders: Orders) -> Result<(), Fault> {
    let order: Order = orders.first().await?;
    let (_link, replica) = join(&order).await?;
    let mut worlds = replica.worlds();
    // A credential of each user, decided on the World as it is now.
    let rev: Revision = replica.world().revision();
    tell(&rev.0)?;
    let mut n = 0;
    loop {
        tokio::select! {
            changed = worlds.changed() => changed?,
            more = orders.next::<serde_json::Value>() => match more? {
                Some(_) => continue,
                None => return Ok(()),
            },
        }
        let world = worlds.borrow_and_update().clone();
        while world.revoked(&[Target::User(user(n))], rev).is_some() {
            let at_nanos = u64::try_from(cpu::shared().as_nanos())?;
            tell(&Refused { n, at_nanos })?;
            n += 1;
        }
    }
}
