//! Code and contract belong together: a launch spec is good for the contract version that it was registered with.

use crate::instance::evidence;
use crate::place::{CONTRACT, Place, any_launch};
use crate::test_key::TestKey;
use broker::attest;
use broker::identify::{self, Rule};
use broker::inventory::{self, AgentManifest, LaunchTerms};
use broker::succession::{Scrutiny, apply_contract};
use broker::world::ContractRecord;
use identity::{Digest, OrgScope};
use policy::Contract;

/// Publishes the demo's contract with another statement: a version of its own.
async fn next_version(place: &Place) -> Digest {
    let text = String::from_utf8(CONTRACT.to_vec()).unwrap();
    let text = text
        .replace("version: 1}", "version: 2}")
        .replace("Matches the invoices", "Compares the invoices");
    let contract = Contract::parse("contract.yaml", text.as_bytes()).unwrap();
    let record = ContractRecord {
        hash: contract.hash().0,
        org: place.org,
        name: "demo-billing".parse().unwrap(),
        version: 2,
        file: "contract.yaml".into(),
        source: text.into(),
        published_by: "tester".into(),
        published_at: place.now(),
        commit: None,
        succeeds: std::collections::BTreeSet::new(),
    };
    let (world, source) = (place.installation().store.world(), place.draw());
    let published = apply_contract(
        &world,
        &place.admin(),
        record.clone(),
        &[],
        Scrutiny::UNWATCHED,
        &mut source.draw(),
    );
    drop(place.grant(published).await);
    record.hash
}

/// Applies the agent's manifest with that contract.
async fn apply(place: &Place, contract: Digest, launch: Option<LaunchTerms>) {
    let manifest = AgentManifest {
        name: "demo-billing".parse().unwrap(),
        owner: "finance".into(),
        purpose: "Reconciles.".into(),
        contract,
        expires_at: place.now().plus_secs(86_400),
        launch,
    };
    let (world, source) = (place.installation().store.world(), place.draw());
    let applied = inventory::apply_agent(
        &world,
        &place.admin(),
        place.org,
        manifest,
        Scrutiny::UNWATCHED,
        &mut source.draw(),
    );
    drop(place.grant(applied).await);
}

fn launch(place: &Place) -> Result<(), Rule> {
    let agent = "demo-billing".parse().unwrap();
    let evidence = evidence(place, place.org, agent, &TestKey::new());
    let attested = attest::launch(&place.member(), evidence, place.now()).unwrap();
    let world = place.installation().store.world();
    let launched = identify::launched(&world, &attested, |_| false, place.now());
    launched.map(drop).map_err(|why| why.rule)
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_reviewed_under_one_contract_is_not_launched_under_another() {
    let place = Place::new().await;
    let world = place.installation().store.world();
    let agent = world
        .agent_named(OrgScope::Every, place.org, &"demo-billing".parse().unwrap())
        .unwrap()
        .clone();
    launch(&place).unwrap();

    let next = next_version(&place).await;
    apply(&place, next, None).await;
    assert_eq!(launch(&place), Err(Rule::Contract));
    assert_eq!(Rule::Contract.code(), "LAUNCH_CONTRACT");
    // The entry of the change said so beforehand.
    let changed = place.entries();
    let changed = changed
        .iter()
        .rev()
        .find(|it| it.contains("agent.changed"))
        .unwrap();
    assert!(
        changed.contains("nothing is launched until it is applied"),
        "{changed}"
    );

    // Back under the contract that it was reviewed with, or reviewed again under the new one.
    apply(&place, agent.contract, None).await;
    launch(&place).unwrap();
    apply(&place, next, None).await;
    assert_eq!(launch(&place), Err(Rule::Contract));
    apply(&place, next, Some(any_launch())).await;
    launch(&place).unwrap();
}
