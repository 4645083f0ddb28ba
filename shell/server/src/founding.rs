//! The first start of an installation, and the check at every other that it is still the same one.

use crate::config::Config;
use crate::installation::{DrawSource, Installation};
use crate::keys::{KeyError, Keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::World;
use broker::inventory::{self, AlreadyFounded};
use broker::world::{KeyClass, Principal, PublicKey};
use credential::sha256;
use identity::{Digest, Name, TrustDomain};
use store::CommitError;

/// The cluster epoch of a new installation; a restore raises it.
const FIRST_EPOCH: u64 = 1;

/// What an installation begins with besides its names and keys.
#[derive(Debug, Clone)]
pub struct Founder {
    /// Its first org.
    pub org: Name,
    /// Its first administrator.
    pub admin: Principal,
}

/// Why an installation does not begin, or is another one than configured.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// Nobody said who the first administrator is.
    #[error(
        "the data directory holds no installation, and nobody was named who founds one: point server.data_dir at an existing one, or name the first org and administrator"
    )]
    NotFounded,
    /// The store remembers another trust domain.
    #[error(
        "this installation's trust domain is {founded}, the configuration says {configured}: a trust domain is chosen once. Correct server.trust_domain"
    )]
    OtherTrustDomain {
        /// As founded.
        founded: TrustDomain,
        /// As configured.
        configured: TrustDomain,
    },
    /// The store remembers another issuer.
    #[error(
        "this installation's issuer is {founded}, the configuration says {configured}: an issuer is chosen once. Correct server.issuer"
    )]
    OtherIssuer {
        /// As founded.
        founded: String,
        /// As configured.
        configured: String,
    },
    /// A key in the key store is not one that the World publishes.
    #[error(
        "the {what} key {kid} was never published: files under keys/ were removed or replaced. Restore them from a backup"
    )]
    UnpublishedKey {
        /// What it is for.
        what: &'static str,
        /// Its name.
        kid: String,
    },
    /// Two servers founded at once.
    #[error(transparent)]
    Already(#[from] AlreadyFounded),
    /// A key could not be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// It could not be recorded.
    #[error("the founding could not be recorded: {0}")]
    Unrecorded(#[from] CommitError),
}

/// Founds the installation when its World is empty; checks that it is the configured one otherwise.
pub(crate) async fn found(
    installation: &Installation,
    founder: Option<Founder>,
) -> Result<(), FoundingError> {
    let world = installation.store.world();
    let keys = public_keys(&installation.keys)?;
    if world.founding().is_some() {
        return check(&world, &installation.config, &keys);
    }
    let Founder { org, admin } = founder.ok_or(FoundingError::NotFounded)?;
    let founding = inventory::Founding {
        trust_domain: installation.config.trust_domain.clone(),
        issuer: installation.config.issuer.as_str().to_owned(),
        epoch: FIRST_EPOCH,
        org,
        admin,
        keys,
    };
    let source: DrawSource = installation.draw_source(None, installation.clock.now())?;
    let plan = inventory::found(&world, founding, &mut source.draw())?;
    let recorded = installation.store.commit(plan).await?;
    tracing::info!(
        trust_domain = %installation.config.trust_domain,
        issuer = %installation.config.issuer,
        revision = %recorded.revision(),
        "founded"
    );
    Ok(())
}

fn check(world: &World, config: &Config, keys: &[PublicKey]) -> Result<(), FoundingError> {
    let Some(founded) = world.founding() else {
        return Err(FoundingError::NotFounded);
    };
    if founded.trust_domain != config.trust_domain {
        return Err(FoundingError::OtherTrustDomain {
            founded: founded.trust_domain.clone(),
            configured: config.trust_domain.clone(),
        });
    }
    if founded.issuer != config.issuer.as_str() {
        return Err(FoundingError::OtherIssuer {
            founded: founded.issuer.clone(),
            configured: config.issuer.as_str().to_owned(),
        });
    }
    match keys.iter().find(|key| world.key(&key.kid).is_none()) {
        None => Ok(()),
        Some(key) => Err(FoundingError::UnpublishedKey {
            what: match key.class {
                KeyClass::AccessToken => "access token",
                KeyClass::JwtSvid => "JWT-SVID",
                KeyClass::X509Authority => "X.509 root",
                KeyClass::Log => "log",
            },
            kid: key.kid.clone(),
        }),
    }
}

/// The public halves, as the World publishes them.
fn public_keys(keys: &Keys) -> Result<Vec<PublicKey>, KeyError> {
    let token_key = |key: &dyn credential::SigningKey, class| PublicKey {
        kid: key.kid().to_owned(),
        class,
        material: key.public_jwk().to_json(),
    };
    let root = keys.authority().root();
    let vkey = keys.log().vkey()?;
    Ok(vec![
        token_key(&*keys.access_token(), KeyClass::AccessToken),
        token_key(&*keys.jwt_svid(), KeyClass::JwtSvid),
        PublicKey {
            kid: Digest::from_bytes(sha256(root)).to_string(),
            class: KeyClass::X509Authority,
            material: STANDARD.encode(root),
        },
        PublicKey {
            kid: vkey.clone(),
            class: KeyClass::Log,
            material: vkey,
        },
    ])
}
