//! What our certificates contain, and what an authority refuses to sign.

use super::*;
use crate::TrustRoots;
use crate::testing::{EcKey, NOW, RsaKey, authority, authority_template, authority_with};
use crate::x509_svid::PeerRole;
use x509_parser::prelude::*;

fn template(key: &EcKey) -> SvidTemplate {
    SvidTemplate {
        spiffe_id: "spiffe://example.org/acme/agent/billing".parse().unwrap(),
        public_key: key.public.clone(),
        not_before: NOW.minus_secs(60),
        not_after: NOW.plus_secs(3600),
        serial: Serial::new([0xff; 8], 9),
    }
}

#[test]
fn an_svid_has_the_profile_of_the_standard() {
    let key = EcKey::new();
    let der = authority("example.org").issue_svid(&template(&key)).unwrap();
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(
        leaf.validity().not_before.timestamp().cast_unsigned(),
        NOW.secs() - 60
    );
    assert_eq!(
        leaf.validity().not_after.timestamp().cast_unsigned(),
        NOW.secs() + 3600
    );
    assert_eq!(leaf.tbs_certificate.raw_serial().len(), 16);
    assert!(leaf.subject().iter().next().is_none());
    let san = leaf.subject_alternative_name().unwrap().unwrap();
    assert!(san.critical);
    assert_eq!(
        san.value.general_names,
        [GeneralName::URI("spiffe://example.org/acme/agent/billing")]
    );
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 1, "digitalSignature alone");
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && extended.client_auth && !extended.any);
    assert!(!leaf.basic_constraints().unwrap().unwrap().value.ca);
    let names_its_signer = |extension: &X509Extension<'_>| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::AuthorityKeyIdentifier(_)
        )
    };
    assert!(leaf.extensions().iter().any(names_its_signer));
    assert_eq!(leaf.public_key().raw, key.public.spki_der());
}

#[test]
fn an_authority_has_the_profile_of_the_standard() {
    let root = authority("example.org");
    let (_, certificate) = X509Certificate::from_der(root.certificate()).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(1));
    let usage = certificate.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert!(!usage.value.digital_signature());
    let san = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        san.value.general_names,
        [GeneralName::URI("spiffe://example.org")]
    );
    assert_eq!(root.trust_domain().as_str(), "example.org");
}

#[test]
fn an_authority_signs_only_for_its_domain_and_lifetime() {
    let key = EcKey::new();
    let root = authority("example.org");
    let with = |change: fn(&mut SvidTemplate)| {
        let mut template = template(&key);
        change(&mut template);
        root.issue_svid(&template).map(|_| ())
    };
    assert_eq!(with(|_| {}), Ok(()));
    for id in ["spiffe://other.example/x", "spiffe://example.org"] {
        let template = SvidTemplate {
            spiffe_id: id.parse().unwrap(),
            ..template(&key)
        };
        assert_eq!(root.issue_svid(&template), Err(IssueError::SpiffeId));
    }
    assert_eq!(with(|t| t.not_after = t.not_before), Err(IssueError::Validity));
    assert_eq!(
        with(|t| t.not_after = t.not_before.plus_secs(SVID_LIFETIME_SECS_MAX + 1)),
        Err(IssueError::TooLong {
            limit_secs: SVID_LIFETIME_SECS_MAX
        })
    );
    assert_eq!(with(|t| t.not_after = UnixTime::MAX), Err(IssueError::Validity));
    assert_eq!(
        with(|t| {
            t.not_before = NOW.plus_secs(180 * 86_400).minus_secs(60);
            t.not_after = NOW.plus_secs(180 * 86_400).plus_secs(60);
        }),
        Err(IssueError::OutlivesAuthority)
    );
    let p521 = EcKey::on(Curve::P521);
    assert_eq!(root.issue_svid(&template(&p521)), Err(IssueError::Key));
}

#[test]
fn authorities_on_both_curves_issue_verifiable_svids_for_every_kind_of_key() {
    let keys = [
        EcKey::new().public,
        EcKey::on(Curve::P384).public,
        RsaKey::new().public,
    ];
    for curve in [Curve::P256, Curve::P384] {
        let root = authority_with("example.org", Arc::new(EcKey::on(curve)));
        let roots = TrustRoots::new(root.trust_domain().clone(), &[root.certificate()]).unwrap();
        for public_key in &keys {
            let svid = SvidTemplate {
                public_key: public_key.clone(),
                ..template(&EcKey::new())
            };
            let leaf = CertificateDer::from(root.issue_svid(&svid).unwrap());
            let verified = x509_svid::verify(&[leaf], |_| Some(&roots), PeerRole::Client, NOW);
            assert_eq!(verified.unwrap().public_key(), public_key);
        }
    }
}

#[test]
fn a_certificate_that_does_not_fit_its_key_or_role_makes_no_authority() {
    let key = Arc::new(EcKey::new());
    let certificate = authority_template("example.org")
        .self_signed(key.clone())
        .unwrap();
    assert_eq!(
        Authority::new(&certificate, Arc::new(EcKey::new())).unwrap_err(),
        IssueError::OtherKey
    );
    let root = Authority::new(&certificate, key).unwrap();
    let agent = Arc::new(EcKey::new());
    let leaf = root.issue_svid(&template(&agent)).unwrap();
    assert_eq!(
        Authority::new(&leaf, agent).unwrap_err(),
        IssueError::Authority(X509Rejection::Authority)
    );
    let too_long = AuthorityTemplate {
        not_after: NOW.plus_secs(AUTHORITY_LIFETIME_SECS_MAX),
        ..authority_template("example.org")
    };
    assert!(matches!(
        too_long.self_signed(Arc::new(EcKey::new())),
        Err(IssueError::TooLong { .. })
    ));
}

#[test]
fn a_signer_that_fails_is_an_error_with_its_name() {
    struct Absent(EcKey);
    impl SigningKey for Absent {
        fn kid(&self) -> &'static str {
            "hsm-1"
        }
        fn algorithm(&self) -> Algorithm {
            Algorithm::Es256
        }
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            Err(SignError::Unavailable {
                kid: "hsm-1".to_owned(),
                why: "no answer".to_owned(),
            })
        }
        fn public_key(&self) -> &PublicKey {
            &self.0.public
        }
    }
    let refused = authority_template("example.org").self_signed(Arc::new(Absent(EcKey::new())));
    assert!(matches!(refused, Err(IssueError::Sign(SignError::Unavailable { kid, .. })) if kid == "hsm-1"));
}
