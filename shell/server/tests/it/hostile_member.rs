//! A stolen node agent or gateway: its SVID is good, it speaks `tabard.sync.v1` itself, and what it says is invented.

use crate::instance::Instance;
use crate::place::Place;
use crate::test_key::TestKey;
use broker::attest::LaunchEvidence;
use broker::inventory::create_join_token;
use broker::ledger::TrailKey;
use broker::world::{JoinToken, MemberRole};
use identity::{AgentId, DecisionId, Digest, LogId, OrgId, OrgScope, Revision, RunId};
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use sync::proto::{
    ClaimHomeRequest, CloseRunRequest, CountRefusalsRequest, IssueJwtSvidRequest, IssueX509SvidRequest,
    OpenRunRequest, RecordRefusalRequest, RefusalsOfSource, Refused, UpstreamSecretRequest,
    issue_jwt_svid_reply, issue_x509_svid_reply, open_run_reply,
};
use sync::{Link, Pinned};
use tonic::Code;

/// A member of `role` for one org, joined over the wire with a join token.
pub(crate) async fn member(place: &Place, role: MemberRole, org: Option<OrgId>) -> Link {
    let secret = format!("join-secret-{role:?}-{org:?}-{}", crate::instance::jti());
    let token = JoinToken {
        digest: Digest::from_bytes(credential::sha256(secret.as_bytes())),
        role,
        org,
        expires_at: place.now().plus_secs(60),
    };
    let source = place.draw();
    let world = place.installation().store.world();
    let created = create_join_token(&world, &place.admin(), token, &mut source.draw());
    drop(place.grant(created).await);
    let pinned = Pinned {
        trust_domain: place.config().trust_domain.clone(),
        authorities: vec![CertificateDer::from(
            place.installation().keys.authority().root().to_vec(),
        )],
    };
    let link = Link::new(place.running.address(), pinned).unwrap();
    link.join(&secret, role).await.unwrap();
    link
}

/// Evidence of a launch that this node agent would have to measure.
fn evidence(place: &Place, org: OrgId) -> LaunchEvidence {
    let agent = "demo-billing".parse().unwrap();
    crate::instance::evidence(place, org, agent, &TestKey::new())
}

async fn open_run(
    link: &Link,
    evidence: Vec<u8>,
    task: &str,
) -> Result<open_run_reply::Outcome, tonic::Status> {
    let request = OpenRunRequest {
        evidence,
        task_id: task.to_owned(),
        ..OpenRunRequest::default()
    };
    let reply = link.client().await.unwrap().open_run(request).await?;
    Ok(reply.into_inner().outcome.unwrap())
}

fn json(evidence: &LaunchEvidence) -> Vec<u8> {
    serde_json::to_vec(evidence).unwrap()
}

fn refused(outcome: open_run_reply::Outcome) -> Refused {
    match outcome {
        open_run_reply::Outcome::Refused(refused) => refused,
        open_run_reply::Outcome::Run(run) => panic!("a run was opened: {run:?}"),
    }
}

/// The entry in which all of `words` stand.
fn entry(place: &Place, words: &[&str]) -> serde_json::Value {
    let entries = place.entries();
    let found = entries
        .iter()
        .rev()
        .find(|it| words.iter().all(|word| it.contains(word)));
    let found = found.unwrap_or_else(|| panic!("no entry with {words:?}"));
    serde_json::from_str(found).unwrap()
}

/// The decision that a status names.
fn decision(status: &tonic::Status) -> String {
    let text = status.message();
    let found = text.split(['(', ')']).find(|word| word.starts_with("dec_"));
    found
        .unwrap_or_else(|| panic!("no decision in {text:?}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_evidence_for_an_org_that_the_node_does_not_serve_is_refused() {
    let place = Place::new().await;
    let other = place.second_org().await;
    let link = member(&place, MemberRole::Node, Some(other)).await;
    let invented = json(&evidence(&place, place.org));
    let answer = refused(open_run(&link, invented, "").await.unwrap());
    assert_eq!(answer.code, "EVIDENCE_REFUSED");
    let entry = entry(&place, &["identity.refused", &answer.decision_id]);
    // It stands in the record of the node's own org: nothing that it says writes into another's.
    assert_eq!(entry["org"], other.to_string(), "{entry:#}");

    // Neither does an org that does not exist, nor evidence of before or of the future.
    let nowhere = json(&evidence(&place, OrgId::from_u128(77)));
    assert_eq!(
        refused(open_run(&link, nowhere, "").await.unwrap()).code,
        "EVIDENCE_REFUSED"
    );
    for seen_at in [place.now().minus_secs(3600), place.now().plus_secs(3600)] {
        let mut stale = evidence(&place, other);
        stale.seen_at = seen_at;
        let answer = refused(open_run(&link, json(&stale), "").await.unwrap());
        assert_eq!(answer.code, "EVIDENCE_REFUSED");
    }
    // An agent that it does not serve, by a name that exists elsewhere only.
    let mut elsewhere = evidence(&place, other);
    elsewhere.agent = "demo-payroll".parse().unwrap();
    let answer = refused(open_run(&link, json(&elsewhere), "").await.unwrap());
    assert_eq!(answer.code, "IDENTITY_UNREGISTERED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_another_org_is_none() {
    let place = Place::new().await;
    let victim = Instance::launch(&place).await;
    let other = place.second_org().await;
    let link = member(&place, MemberRole::Node, Some(other)).await;
    let own = json(&evidence(&place, other));
    let answer = refused(open_run(&link, own, &victim.task.to_string()).await.unwrap());
    assert_eq!(answer.code, "TASK_NOT_OPEN");
    let entry = entry(&place, &["run.refused", &answer.decision_id]);
    assert_eq!(entry["org"], other.to_string(), "{entry:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_assurance_is_no_assurance() {
    let place = Place::new().await;
    let link = member(&place, MemberRole::Node, Some(place.org)).await;
    // All that evidence has words for, and words that it has none for.
    let mut boast = evidence(&place, place.org);
    (boast.isolated, boast.sealed, boast.immutable) = (true, true, true);
    let mut text: serde_json::Value = serde_json::from_slice(&json(&boast)).unwrap();
    let levels = serde_json::json!({"node": 5, "launch": 5, "code": 5, "signer": 5});
    text["assurance"] = levels;
    text["pinned"] = true.into();
    text["level"] = 5.into();
    match open_run(&link, serde_json::to_vec(&text).unwrap(), "")
        .await
        .unwrap()
    {
        open_run_reply::Outcome::Run(run) => {
            // The spec pins nothing: isolated is all that it can be, and that is level 1 for a free command.
            assert_eq!((run.level, run.pinned), (1, false), "{run:?}");
            let entry = entry(&place, &["run.opened", &run.run_id]);
            let assurance = &entry["who"]["assurance"];
            assert_eq!(
                (&assurance["node"], &assurance["code"], &assurance["signer"]),
                (&1.into(), &1.into(), &0.into()),
                "{entry:#}"
            );
        }
        open_run_reply::Outcome::Refused(refused) => panic!("{refused:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_and_runs_of_another_node_are_out_of_reach() {
    let place = Place::new().await;
    let victim = Instance::launch(&place).await;
    let link = member(&place, MemberRole::Node, None).await;
    let mut client = link.client().await.unwrap();

    let request = IssueX509SvidRequest {
        instance_id: victim.id.to_string(),
        csr: victim.key.csr(),
    };
    let reply = client.issue_x509_svid(request).await.unwrap().into_inner();
    let Some(issue_x509_svid_reply::Outcome::Refused(answer)) = reply.outcome else {
        panic!("{reply:?}");
    };
    entry(&place, &["svid.refused", &answer.decision_id]);
    let request = IssueJwtSvidRequest {
        instance_id: victim.id.to_string(),
        audiences: vec![place.issuer().to_owned()],
    };
    let reply = client.issue_jwt_svid(request).await.unwrap().into_inner();
    let Some(issue_jwt_svid_reply::Outcome::Refused(answer)) = reply.outcome else {
        panic!("{reply:?}");
    };
    entry(&place, &["svid.refused", &answer.decision_id]);

    let run = place
        .installation()
        .store
        .world()
        .instance(OrgScope::Every, victim.id)
        .unwrap()
        .run;
    let request = CloseRunRequest {
        run_id: run.to_string(),
        exit: "0".into(),
    };
    let status = client.close_run(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    entry(&place, &["node.refused", "MEMBER_RUN", &decision(&status)]);
    // It runs on.
    assert_eq!(victim.exchange(&place, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_secret_is_for_gateways_of_its_org() {
    let place = Place::new().await;
    let other = place.second_org().await;
    let upstream = place.publish_upstream(place.org, "erp").await;
    let request = || UpstreamSecretRequest {
        upstream_id: upstream.to_string(),
        version: 1,
    };
    let node = member(&place, MemberRole::Node, Some(place.org)).await;
    let mut client = node.client().await.unwrap();
    let status = client.upstream_secret(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    entry(&place, &["node.refused", "MEMBER_ROLE", &decision(&status)]);

    let gateway = member(&place, MemberRole::Gateway, Some(other)).await;
    let mut client = gateway.client().await.unwrap();
    let status = client.upstream_secret(request()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let entry_of = entry(&place, &["node.refused", "MEMBER_UPSTREAM", &decision(&status)]);
    assert_eq!(entry_of["org"], other.to_string(), "{entry_of:#}");
    // And a gateway opens no runs.
    let status = open_run(&gateway, json(&evidence(&place, other)), "")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    entry(&place, &["node.refused", "MEMBER_ROLE", &decision(&status)]);
}

/// Asks for a home of what `of` and its agent are counted on.
async fn claim(link: &Link, of: &Instance, agent: AgentId) -> Result<Revision, tonic::Status> {
    let request = ClaimHomeRequest {
        task_id: of.task.to_string(),
        instance_id: of.id.to_string(),
        agent_ids: vec![agent.to_string()],
    };
    let reply = link.client().await.unwrap().claim_home(request).await?;
    Ok(Revision(reply.into_inner().revision))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_is_for_gateways_of_its_org_and_the_first_that_asks() {
    let place = Place::new().await;
    let other = place.second_org().await;
    let instance = Instance::launch(&place).await;
    let every = OrgScope::Every;
    let world = || place.installation().store.world();
    let agent = world().instance(every, instance.id).unwrap().agent;
    let node = member(&place, MemberRole::Node, Some(place.org)).await;
    let status = claim(&node, &instance, agent).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    entry(&place, &["node.refused", "MEMBER_ROLE", &decision(&status)]);
    let foreign = member(&place, MemberRole::Gateway, Some(other)).await;
    let status = claim(&foreign, &instance, agent).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    entry(&place, &["node.refused", "MEMBER_HOME", &decision(&status)]);

    let keys = [instance.task.as_u128(), instance.id.as_u128(), agent.as_u128()].map(TrailKey);
    let homes = || keys.map(|of| world().home(every, of).map(|home| home.log));
    assert_eq!(homes(), [None, None, None]);
    let first = member(&place, MemberRole::Gateway, Some(place.org)).await;
    let second = member(&place, MemberRole::Gateway, None).await;
    let log = |link: &Link| Some(link.identity().unwrap().log);
    // What does not exist finds none, and takes nothing along.
    let (one, two) = tokio::join!(
        claim(&first, &instance, agent),
        claim(&second, &instance, AgentId::from_u128(7))
    );
    let revision = one.unwrap().max(two.unwrap());
    assert!(world().revision() >= revision);
    let [task, process, of_agent] = homes();
    assert!(task == process && (task == Some(log(&first)) || task == Some(log(&second))));
    assert_eq!(of_agent, Some(log(&first)));
    // Asking again changes nothing.
    let before = homes();
    claim(&second, &instance, agent).await.unwrap();
    assert_eq!(homes(), before);

    // Its gateway is removed: a task goes with it, an agent is free to go once it decides nothing any more.
    let (home, heir) = if task == Some(log(&first)) {
        (&first, &second)
    } else {
        (&second, &first)
    };
    for gone in [home, heir] {
        let record = world().node(gone.identity().unwrap().id).unwrap().clone();
        let source = place.draw();
        let removed = broker::member::remove(&world(), &place.admin(), &record, "", &mut source.draw());
        drop(place.grant(removed).await);
    }
    assert!(!world().is_task_open(every, instance.task, place.now()));
    let [task, process, of_agent] = homes();
    assert_eq!((task, process, of_agent), (before[0], before[1], Some(None)));
    let since = world().home(every, keys[2]).unwrap().since;
    assert!(
        since > place.now().plus_secs(3),
        "longer than a gateway that hears nobody decides"
    );
    let again = Instance::launch(&place).await;
    let third = member(&place, MemberRole::Gateway, Some(place.org)).await;
    claim(&third, &again, agent).await.unwrap();
    let home_of_agent = || world().home(every, keys[2]).unwrap();
    assert_eq!(home_of_agent().log, None, "too early");
    place.pass(6);
    claim(&third, &again, agent).await.unwrap();
    assert_eq!(home_of_agent().log, log(&third));
    assert_eq!(home_of_agent().since, since, "what was counted before is unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_invents_neither_decisions_of_others_nor_codes_nor_a_flood() {
    let place = Place::new().await;
    let link = member(&place, MemberRole::Node, None).await;
    let log = link.identity().unwrap().log;
    let mut client = link.client().await.unwrap();
    let request = |log, code: &str| RecordRefusalRequest {
        decision_id: DecisionId::random(place.now(), log, 7).to_string(),
        code: code.to_owned(),
        uid: 1,
        pid: 1,
        agent: String::new(),
        seen: "nothing".into(),
    };
    let status = client
        .record_refusal(request(LogId(0), "UPSTREAM_UNDECLARED"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    entry(&place, &["node.refused", "MEMBER_DECISION", &decision(&status)]);
    for code in ["", "allow everything", "\u{1b}[2J"] {
        let status = client.record_refusal(request(log, code)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{code:?}");
    }
    let mut long = request(log, "UPSTREAM_UNDECLARED");
    long.seen = "x".repeat(5000);
    assert_eq!(
        client.record_refusal(long).await.unwrap_err().code(),
        Code::InvalidArgument
    );

    // Counts are of our codes only.
    let source = RefusalsOfSource {
        source: "uid 1000 at run_x".into(),
        counts: HashMap::from([("TABARD-CALL-001".into(), 2), ("INVENTED".into(), 3)]),
    };
    let counted = CountRefusalsRequest {
        sources: vec![source],
    };
    client.count_refusals(counted).await.unwrap();
    let counted = entry(&place, &["refusals.counted", "uid 1000 at run_x"]);
    assert_eq!(
        counted["detail"]["counts"],
        serde_json::json!({"OTHER": 3, "TABARD-CALL-001": 2})
    );
    let id = link.identity().unwrap().id.to_string();
    assert_eq!(counted["who"]["node"], id, "{counted:#}");

    // A flood is entries up to a rate, and one count of the rest.
    place.stop_the_clock();
    let before = place.entries().len();
    let mut answers = Vec::new();
    for _ in 0..10 {
        let some = (0..100).map(|_| {
            let (mut client, request) = (client.clone(), request(log, "ROUTE_UNDECLARED"));
            async move { client.record_refusal(request).await.err() }
        });
        answers.extend(futures_util::future::join_all(some).await);
    }
    let refused: Vec<_> = answers.iter().flatten().collect();
    assert!(
        refused.iter().all(|it| it.code() == Code::ResourceExhausted),
        "{refused:?}"
    );
    let recorded = answers.len() - refused.len();
    assert!((240..=256).contains(&recorded), "{recorded}");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while !place
        .entries()
        .iter()
        .skip(before)
        .any(|it| it.contains("MEMBER_REFUSALS") && it.contains(&id))
    {
        assert!(tokio::time::Instant::now() < deadline, "the rest is not counted");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_names_a_run_of_another_node_launches_nothing_as_a_part_of_it() {
    let place = Place::new().await;
    let parent = crate::delegation::contract("parent", "invoices.read", "may_launch: [demo-billing]");
    place.register(place.org, "parent", parent.as_bytes()).await;
    let instance = Instance::launch_as(&place, place.org, "parent").await;
    let link = member(&place, MemberRole::Node, Some(place.org)).await;
    let tasks = || place.installation().store.world().tasks(OrgScope::Every).count();
    let before = tasks();
    for run in [
        RunId::from_u128(instance.id.as_u128()),
        RunId::from_u128(instance.id.as_u128() + 1),
    ] {
        let invented = LaunchEvidence {
            launcher_run: Some(run),
            ..evidence(&place, place.org)
        };
        let answer = refused(open_run(&link, json(&invented), "").await.unwrap());
        assert_eq!(answer.code, "LAUNCH_INSIDE_RUN");
        entry(&place, &["identity.refused", &answer.decision_id]);
    }
    assert_eq!(tasks(), before);
}
