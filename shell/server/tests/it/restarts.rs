//! What a restart must not change, and what must stop one.

use crate::instance::{Instance, form};
use crate::place::{Place, kek};
use broker::plan::{OnceKind, Precondition};
use identity::LogId;
use server::founding::FoundingError;
use server::{Opening, Server, StartError};

#[tokio::test(flavor = "multi_thread")]
async fn keys_identities_and_state_survive_a_restart() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let keys = place.client.get("/jwks.json").await.body;
    let place = place.restarted().await;
    assert_eq!(place.client.get("/jwks.json").await.body, keys);
    let answer = place
        .client
        .post(&form(&svid, "invoices"), &[instance.proof(&place)])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_was_used_is_dead_after_a_restart_twice_over() {
    let place = Place::new().await;
    let instance = Instance::launch(&place).await;
    let svid = instance.jwt_svid(&place, place.issuer()).await;
    let proof = instance.proof(&place);
    assert_eq!(
        place
            .client
            .post(&form(&svid, "invoices"), std::slice::from_ref(&proof))
            .await
            .status,
        200
    );
    let place = place.restarted().await;
    // Its nonce is of before the restart.
    let answer = place.client.post(&form(&svid, "invoices"), &[proof]).await;
    assert_eq!(answer.error(), (400, "use_dpop_nonce".into()));

    // And the record itself remembers a proof, so that a second server would refuse it as well.
    let proof = instance.proof(&place);
    assert_eq!(
        place
            .client
            .post(&form(&svid, "invoices"), std::slice::from_ref(&proof))
            .await
            .status,
        200
    );
    let spent = spend_again(&place, &instance, &svid, &proof).await;
    assert!(matches!(
        spent,
        store::CommitError::Conflict(Precondition::Unused {
            kind: OnceKind::DpopProof,
            ..
        })
    ));
}

/// The exchange that a server with an empty replay cache would make of the same proof.
async fn spend_again(place: &Place, instance: &Instance, svid: &str, proof: &str) -> store::CommitError {
    use broker::behalf::{Behalf, chain_of};
    use broker::chain::{LinkInForce, parties};
    use broker::exchange::{Acting, Ask, Possession, exchange};
    use credential::dpop::{self, NoncePolicy, ProofExpected, RequestTarget};
    let (installation, now) = (place.installation(), place.now());
    let world = installation.store.world();
    let published = installation.published();
    let svid =
        credential::jwt_svid::verify(svid, |_| Some(&published.jwt_svid_keys), place.issuer(), now).unwrap();
    let subject = broker::identify::subject(&world, &svid, instance.key.thumbprint(), now).unwrap();
    let record = world
        .contract(identity::OrgScope::Every, &subject.agent().contract)
        .unwrap()
        .clone();
    let compiled = installation.contracts.compiled(&record).unwrap();
    let expected = ProofExpected {
        method: "POST",
        target: &RequestTarget::parse(&place.token_url()).unwrap(),
        access_token: None,
        nonce: NoncePolicy::Ignored,
    };
    let proof = dpop::verify(proof, &expected, now).unwrap();
    let mut empty = broker::replay::ReplayCache::new(70, 10);
    let fresh = empty.admit(proof.replay_key(), proof.expires_at(), now).unwrap();
    let ask = Ask {
        approval: None,
        audience: "invoices".parse().unwrap(),
        actions: std::collections::BTreeSet::new(),
        task: None,
        tenant: None,
        purpose: None,
        binding: credential::Binding::Key(proof.key()),
        not_after: identity::UnixTime::MAX,
    };
    let source = place.draw();
    let agent = subject.agent().clone();
    let chain = chain_of(&world, &Behalf::Own, &agent.spiffe_id).unwrap();
    let acting = Acting {
        behalf: &Behalf::Own,
        chain: &chain,
        parties: &parties(&world, identity::OrgScope::Only(agent.org), &chain).unwrap(),
        links: &[LinkInForce {
            agent,
            record,
            compiled,
            exceptions: Vec::new(),
            counted_since: identity::UnixTime::default(),
        }],
        gathered: &broker::ledger::Gathered::default(),
    };
    let outcome = exchange(
        &world,
        acting,
        subject,
        &Possession::Proof(fresh),
        ask,
        &mut source.draw(),
    );
    match outcome {
        broker::Outcome::Granted(plan) => installation.store.commit(plan).await.unwrap_err(),
        broker::Outcome::Refused(plan) => panic!("{plan:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_does_not_change_its_issuer_or_lose_its_keys() {
    let place = Place::new().await;
    let (config, clock) = (place.config().clone(), place.installation().clock.clone());
    let dir = place.path();
    let Place {
        running, dir: keep, ..
    } = place;
    running.stop().await;
    let open = async |config: server::Config| {
        let kek = kek(&config.kek, &config.data_dir);
        Server::open(Opening {
            config,
            clock: clock.clone(),
            log: LogId(0),
            kek,
            founder: None,
        })
        .await
    };

    let mut other = config.clone();
    other.issuer = "https://127.0.0.1:1".parse().unwrap();
    let error = open(other).await.unwrap_err();
    assert!(
        matches!(error, StartError::Founding(FoundingError::OtherIssuer { .. })),
        "{error}"
    );

    std::fs::remove_file(dir.join("data/keys/access-token.sealed")).unwrap();
    let error = open(config.clone()).await.unwrap_err();
    assert!(
        matches!(error, StartError::Founding(FoundingError::UnpublishedKey { .. })),
        "{error}"
    );

    let mut empty = config;
    empty.data_dir = dir.join("empty");
    empty.checkpoint_copy = dir.join("other-checkpoint");
    let error = open(empty).await.unwrap_err();
    assert!(
        matches!(error, StartError::Founding(FoundingError::NotFounded)),
        "{error}"
    );
    drop(keep);
}
