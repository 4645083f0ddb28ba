//! X.509-SVIDs, after the client cases XV-1 to XV-15 of the SPIFFE conformance suite. The certificates are made
//! with rcgen directly, because our own issuer cannot make bad ones.

use super::*;
use crate::testing::{EcKey, NOW, authority, authority_template};
use crate::{Authority, AuthorityTemplate, Serial, SigningKey as _, SvidTemplate};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use std::sync::Arc;

const ID: &str = "spiffe://example.org/acme/agent/billing";

fn valid(params: &mut CertificateParams, from: UnixTime, until: UnixTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.secs());
    params.not_after = epoch + Duration::from_secs(until.secs());
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn root() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    valid(&mut params, NOW.minus_secs(1000), NOW.plus_secs(100_000));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri("spiffe://example.org")];
    params.distinguished_name.push(DnType::CommonName, "root");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    valid(&mut params, NOW.minus_secs(60), NOW.plus_secs(3600));
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.subject_alt_names = vec![uri(ID)];
    params
}

fn roots(ders: &[&[u8]]) -> TrustRoots {
    TrustRoots::new("example.org".parse().unwrap(), ders).unwrap()
}

fn check_chain(chain: &[CertificateDer<'_>], roots: &TrustRoots) -> Result<X509Svid, X509Rejection> {
    let of = |domain: &str| (domain == "example.org").then_some(roots);
    let (client, server) = (
        verify(chain, of, PeerRole::Client, NOW),
        verify(chain, of, PeerRole::Server, NOW),
    );
    assert_eq!(client, server, "both roles judge an SVID alike");
    client
}

fn check(change: impl FnOnce(&mut CertificateParams)) -> Result<X509Svid, X509Rejection> {
    let root = root();
    let mut params = leaf_params();
    change(&mut params);
    let leaf = params.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
    check_chain(&[leaf.der().clone()], &roots(&[root.der()]))
}

#[test]
fn xv_valid_chains_are_accepted() {
    assert_eq!(check(|_| {}).unwrap().spiffe_id().as_str(), ID);
    // DNS names beside the one URI name, a subject, no extended key usage: all allowed.
    assert!(
        check(|params| params
            .subject_alt_names
            .push(SanType::DnsName("a.example".try_into().unwrap())))
        .is_ok()
    );
    assert!(check(|params| params.distinguished_name.push(DnType::CommonName, "billing")).is_ok());
    assert!(check(|params| params.extended_key_usages.clear()).is_ok());
    assert!(check(|params| params.key_usages.push(KeyUsagePurpose::KeyEncipherment)).is_ok());
}

#[test]
fn xv_what_a_leaf_must_not_be() {
    assert_eq!(
        check(|params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }),
        Err(X509Rejection::LeafIsAuthority)
    );
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(
            check(|params| params.key_usages.push(usage)),
            Err(X509Rejection::LeafKeyUsage)
        );
    }
    assert_eq!(
        check(|params| params.key_usages.clear()),
        Err(X509Rejection::LeafKeyUsage)
    );
    assert_eq!(
        check(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        Err(X509Rejection::LeafKeyUsage)
    );
    for only in [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ] {
        assert_eq!(
            check(|params| params.extended_key_usages = vec![only]),
            Err(X509Rejection::LeafExtendedUsage)
        );
    }
}

#[test]
fn xv_names() {
    let named = |names: &[&str]| {
        check(|params| params.subject_alt_names = names.iter().map(|name| uri(name)).collect())
    };
    assert_eq!(
        named(&[ID, "spiffe://example.org/other"]),
        Err(X509Rejection::UriNames(2))
    );
    assert_eq!(named(&[ID, ID]), Err(X509Rejection::UriNames(2)));
    assert_eq!(named(&[]), Err(X509Rejection::UriNames(0)));
    assert_eq!(named(&["https://example.org/x"]), Err(X509Rejection::NotSpiffe));
    assert_eq!(named(&["spiffe://example.org//x"]), Err(X509Rejection::NotSpiffe));
    assert_eq!(named(&["spiffe://example.org"]), Err(X509Rejection::NoPath));
    assert_eq!(
        named(&["spiffe://other.example/x"]),
        Err(X509Rejection::UnknownTrustDomain)
    );
    assert_eq!(
        check(|params| {
            params.subject_alt_names = vec![SanType::DnsName("example.org".try_into().unwrap())];
        }),
        Err(X509Rejection::UriNames(0))
    );
}

#[test]
fn xv_times_and_signers() {
    assert_eq!(
        check(|params| valid(params, NOW.minus_secs(60), NOW.minus_secs(1))),
        Err(X509Rejection::Expired)
    );
    assert_eq!(
        check(|params| valid(params, NOW.plus_secs(60), NOW.plus_secs(120))),
        Err(X509Rejection::NotYetValid)
    );
    let (own, other) = (root(), root());
    let leaf = leaf_params()
        .signed_by(&KeyPair::generate().unwrap(), &other)
        .unwrap();
    let chain = [leaf.der().clone()];
    assert_eq!(
        check_chain(&chain, &roots(&[own.der()])),
        Err(X509Rejection::Path)
    );
    assert_eq!(check_chain(&chain, &roots(&[])), Err(X509Rejection::Path));
    assert!(check_chain(&chain, &roots(&[own.der(), other.der()])).is_ok());
}

#[test]
fn xv_roots_of_another_domain_are_not_used_even_when_they_are_handed_in() {
    let root = root();
    let leaf = leaf_params()
        .signed_by(&KeyPair::generate().unwrap(), &root)
        .unwrap();
    let other = TrustRoots::new("other.example".parse().unwrap(), &[root.der()]).unwrap();
    assert_eq!(
        verify(&[leaf.der().clone()], |_| Some(&other), PeerRole::Client, NOW),
        Err(X509Rejection::UnknownTrustDomain)
    );
}

fn intermediate(change: impl FnOnce(&mut CertificateParams)) -> Result<X509Svid, X509Rejection> {
    let root = root();
    let mut params = CertificateParams::default();
    valid(&mut params, NOW.minus_secs(60), NOW.plus_secs(7200));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.subject_alt_names = vec![uri("spiffe://example.org")];
    params.distinguished_name.push(DnType::CommonName, "intermediate");
    change(&mut params);
    let middle = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
    let leaf = leaf_params()
        .signed_by(&KeyPair::generate().unwrap(), &middle)
        .unwrap();
    check_chain(&[leaf.der().clone(), middle.der().clone()], &roots(&[root.der()]))
}

#[test]
fn xv_intermediates_must_be_authorities_of_the_same_domain() {
    assert!(intermediate(|_| {}).is_ok());
    assert!(intermediate(|params| params.subject_alt_names.clear()).is_ok());
    assert_eq!(
        intermediate(|params| params.subject_alt_names = vec![uri("spiffe://other.example")]),
        Err(X509Rejection::Authority)
    );
    assert_eq!(
        intermediate(|params| params.subject_alt_names = vec![uri(ID)]),
        Err(X509Rejection::Authority)
    );
    assert_eq!(
        intermediate(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
        Err(X509Rejection::Authority)
    );
    assert_eq!(
        intermediate(|params| params.is_ca = IsCa::ExplicitNoCa),
        Err(X509Rejection::Path)
    );
}

#[test]
fn a_leaf_cannot_sign_another_leaf() {
    let root = root();
    let agent = CertifiedIssuer::signed_by(leaf_params(), KeyPair::generate().unwrap(), &root).unwrap();
    let forged = leaf_params()
        .signed_by(&KeyPair::generate().unwrap(), &agent)
        .unwrap();
    assert_eq!(
        check_chain(
            &[forged.der().clone(), agent.der().clone()],
            &roots(&[root.der()])
        ),
        Err(X509Rejection::Path)
    );
}

#[test]
fn sizes_and_frames_are_checked_first() {
    let trust = roots(&[]);
    let der = |bytes: Vec<u8>| CertificateDer::from(bytes);
    assert_eq!(check_chain(&[], &trust), Err(X509Rejection::ChainLength));
    assert_eq!(
        check_chain(&vec![der(vec![0x30]); 6], &trust),
        Err(X509Rejection::ChainLength)
    );
    assert_eq!(
        check_chain(&[der(vec![0x30; CERTIFICATE_BYTES_MAX + 1])], &trust),
        Err(X509Rejection::TooLarge)
    );
    let leaf = leaf_params()
        .signed_by(&KeyPair::generate().unwrap(), &root())
        .unwrap();
    let longer = [leaf.der().as_ref(), &[0]].concat();
    assert_eq!(check_chain(&[der(longer)], &trust), Err(X509Rejection::Malformed));
    assert_eq!(
        TrustRoots::new("example.org".parse().unwrap(), &[b"not a certificate"]).unwrap_err(),
        X509Rejection::Malformed
    );
}

#[test]
fn what_we_issue_through_an_intermediate_verifies() {
    let root = authority("example.org");
    let key = Arc::new(EcKey::new());
    let template = AuthorityTemplate {
        path_len: 0,
        not_after: NOW.plus_secs(86_400),
        ..authority_template("example.org")
    };
    let der = root.issue_authority(&template, &key.public).unwrap();
    let middle = Authority::new(&der, key).unwrap();
    let agent = EcKey::new();
    let leaf = middle
        .issue_svid(&SvidTemplate {
            spiffe_id: ID.parse().unwrap(),
            public_key: agent.public.clone(),
            not_before: NOW.minus_secs(60),
            not_after: NOW.plus_secs(3600),
            serial: Serial::new([5; 8], 77),
        })
        .unwrap();
    let svid = check_chain(
        &[CertificateDer::from(leaf.clone()), CertificateDer::from(der)],
        &roots(&[root.certificate()]),
    )
    .unwrap();
    assert_eq!(svid.key().to_string(), agent.kid());
    assert_eq!(svid.certificate(), Thumbprint::from_bytes(sha256(&leaf)));
    assert_eq!(svid.not_after(), NOW.plus_secs(3600));
    assert_eq!(
        Serial::from_bytes(svid.serial()).map(|serial| serial.entry_index()),
        Some(77)
    );
}
