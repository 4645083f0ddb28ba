//! A human lets pass one exact request: asked for by a refusal, used once, and good for nothing else.

use crate::fixture::{Actor1, Answer, Fixture, Wish, now};
use audit::EventKind;
use audit::event::Ruling;
use broker::world::approval::Ended;
use broker::world::{AgentState, Change};
use identity::{ApprovalId, OrgScope};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const CONTRACT: &str = "
apiVersion: tabard/v1
kind: AgentContract
metadata: {name: refunds, version: 1}
owner: {team: office}
purpose: {id: reconciliation, statement: Gives back what was paid twice.}
identity: {min_assurance: 1}
tenants: {mode: task, allowed: [acme-eu]}
tasks: {types: [reconciliation], max_ttl: 30m, openers: [operator]}
grants:
  - id: read
    services: [invoices]
    actions: [mail.read]
    reason: Who wants money back says so in a mail.
    business_action: {mail.read: Read a mail}
  - id: small
    services: [invoices]
    actions: [refund.create]
    reason: Small amounts are given back at once.
    business_action: {refund.create: Give money back}
    where: {amount: {min: 1, max: 500}}
  - id: large
    services: [invoices]
    actions: [refund.create]
    reason: Larger ones are looked at.
    business_action: {refund.create: Give money back}
    where: {amount: {min: 1, max: 5000}}
    approval: leads
  - id: change
    services: [invoices]
    actions: [page.write]
    reason: Pages are kept current.
    business_action: {page.write: Change a page}
    approval: leads
rate:
  - {per: 1m, max: RATE}
escalation:
  leads: {approvers: leads, quorum: QUORUM, ttl: 10m}
lifecycle: {expires: 2099-12-31}
";

const UPSTREAM: &str = "
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: BASE
tenant_header: x-tenant
credential: {api_key: {header: x-api-key, secret: stdin}}
routes:
  - method: GET
    path: /mail
    action: mail.read
    resource: {type: mail}
    data: {sensitivity: internal, untrusted: true}
  - method: POST
    path: '/invoices/{id}/refund'
    action: refund.create
    resource: {type: invoice, id: id}
    arguments: [{name: amount, body: /amount, type: integer}]
    data: {sensitivity: public}
    sink: {clearance: secret, consequential: false}
  - method: PUT
    path: /page
    action: page.write
    resource: {type: page}
    version: {header: if-match}
    data: {sensitivity: public}
    sink: {clearance: secret, consequential: false}
";

pub(crate) const LARGE: &str = r#"{"amount":700,"note":"paid twice"}"#;

pub(crate) struct Office {
    pub(crate) fixture: Arc<Fixture>,
}

impl Office {
    async fn new() -> Self {
        Self::with_quorum(1).await
    }

    async fn with_quorum(quorum: u8) -> Self {
        Self::with(quorum, UPSTREAM).await
    }

    /// One whose service others enforce as well.
    pub(crate) async fn beside(service: &str) -> Self {
        let more = format!("hosts: [invoices.demo]\nenforced_by: [{service}]\nroutes:");
        Self::with(1, Box::leak(UPSTREAM.replace("routes:", &more).into_boxed_str())).await
    }

    async fn with(quorum: u8, definition: &'static str) -> Self {
        let contract: &'static str = match quorum {
            1 => Box::leak(CONTRACT.replace("QUORUM", "1").into_boxed_str()),
            _ => Box::leak(CONTRACT.replace("QUORUM", "2").into_boxed_str()),
        };
        let fixture = Fixture::with(Wish {
            contract,
            definition,
            humans: true,
            ..Wish::default()
        })
        .await;
        fixture.desk.hire(fixture.org);
        Self {
            fixture: Arc::new(fixture),
        }
    }

    /// A token of `agent`, for one approved request if that is said.
    pub(crate) fn token(&self, agent: &Actor1, approval: Option<ApprovalId>) -> String {
        let actions = ["mail.read", "refund.create", "page.write"];
        let mut claims = self.fixture.covering(agent, "invoices", actions);
        claims.details[0].approval = approval;
        self.fixture.sign(&claims)
    }

    async fn send(&self, line: &str, fields: &str, body: &str) -> Answer {
        self.send_as(self.fixture.agent(), None, line, fields, body).await
    }

    async fn send_as(
        &self,
        agent: &Actor1,
        approval: Option<ApprovalId>,
        line: &str,
        fields: &str,
        body: &str,
    ) -> Answer {
        let (fixture, token) = (&self.fixture, self.token(agent, approval));
        fixture
            .call((fixture.address, agent), &token, line, fields, body)
            .await
    }

    pub(crate) async fn refund(&self, body: &str) -> Answer {
        self.send(REFUND, "", body).await
    }

    fn approve(&self, id: ApprovalId) {
        self.fixture.desk.votes(self.fixture.org, id, "ann", true);
    }

    /// Asks for the large refund and has it approved.
    pub(crate) async fn approved(&self) -> ApprovalId {
        let id = waits(&self.refund(LARGE).await);
        self.approve(id);
        id
    }

    fn refunds(&self) -> usize {
        let seen = self.fixture.seen();
        seen.iter().filter(|text| text.starts_with("POST")).count()
    }
}

const REFUND: &str = "POST /invoices/invoices/inv_1/refund";

/// The approval that a refusal answered with.
fn waits(answer: &Answer) -> ApprovalId {
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (403, "NEEDS_APPROVAL"),
        "{}",
        answer.0
    );
    let problem: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
    let id = problem["approval"]["id"].as_str().ok_or(answer.body()).unwrap();
    assert_eq!(problem["approval"]["state"], "pending");
    assert_eq!(answer.header("tabard-approval"), Some(id));
    id.parse().unwrap()
}

/// A refusal without anything to wait for.
fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.code(), code, "{}", answer.0);
    assert!(!answer.body().contains("\"approval\""), "{}", answer.0);
}

#[tokio::test]
async fn a_refund_above_the_limit_waits_for_a_human_and_passes_once() {
    let office = Office::new().await;
    assert_eq!(office.refund(r#"{"amount":500}"#).await.status(), 200);
    let id = waits(&office.refund(LARGE).await);
    // Identical requests share one record, and nobody is asked twice.
    assert_eq!(waits(&office.refund(LARGE).await), id);
    assert_eq!(office.fixture.desk.asked.load(Ordering::SeqCst), 1);
    assert_eq!(office.refunds(), 1);

    office.approve(id);
    let passed = office.refund(LARGE).await;
    assert_eq!(passed.status(), 200, "{}", passed.0);
    assert_eq!(office.refunds(), 2);

    let again = waits(&office.refund(LARGE).await);
    assert_ne!(again, id, "an approval is used once");
    assert_eq!(office.refunds(), 2);

    let entries = office.fixture.journal(6).await;
    let asked = entries
        .iter()
        .find(|entry| entry.event.kind == EventKind::GatewayBlocked)
        .unwrap();
    assert_eq!(asked.event.decision.as_ref().unwrap().outcome, Ruling::StepUp);
    assert_eq!(asked.event.decision.as_ref().unwrap().reasons, ["NEEDS_APPROVAL"]);
    let used: Vec<_> = entries
        .iter()
        .filter(|entry| entry.event.kind == EventKind::GatewayCall)
        .filter_map(|entry| entry.event.why.as_ref()?.approval)
        .collect();
    assert_eq!(used, [id], "the entry of the call names what it rests on");
}

#[tokio::test]
async fn an_approval_is_good_for_the_very_bytes_that_were_asked_for() {
    let office = Office::new().await;
    let id = office.approved().await;
    for (line, fields, body) in [
        (REFUND, "", r#"{"amount":701,"note":"paid twice"}"#),
        // What no argument declares is sent as well.
        (REFUND, "", r#"{"amount":700,"note":"paid twice","to":"evil"}"#),
        (REFUND, "", r#"{"amount":700,"note":"paid thrice"}"#),
        (REFUND, "X-Account: evil\r\n", LARGE),
        ("POST /invoices/invoices/inv_2/refund", "", LARGE),
    ] {
        let other = waits(&office.send(line, fields, body).await);
        assert_ne!(other, id, "{line} {fields} {body}");
        // Nor does it help to name it.
        let named = format!("{fields}Tabard-Approval: {id}\r\n");
        refused(&office.send(line, &named, body).await, "APPROVAL_OUT_OF_SCOPE");
    }
    assert_eq!(office.refunds(), 0);
    // How it is traced is nobody's business.
    let fields = "User-Agent: x\r\nTraceparent: 00-1-2-3\r\n";
    assert_eq!(office.send(REFUND, fields, LARGE).await.status(), 200);
    assert_eq!(office.refunds(), 1);
}

#[tokio::test]
async fn another_agent_or_task_cannot_use_it() {
    let office = Office::new().await;
    let id = office.approved().await;
    let [_, other_agent, other_task] = &office.fixture.agents;
    for actor in [other_agent, other_task] {
        let answer = office.send_as(actor, None, REFUND, "", LARGE).await;
        assert_ne!(waits(&answer), id);
        let named = format!("Tabard-Approval: {id}\r\n");
        let answer = office.send_as(actor, None, REFUND, &named, LARGE).await;
        refused(&answer, "APPROVAL_OUT_OF_SCOPE");
    }
    assert_eq!(office.refunds(), 0);
}

#[tokio::test]
async fn what_was_read_since_ends_it() {
    let office = Office::new().await;
    let id = office.approved().await;
    assert_eq!(office.send("GET /invoices/mail", "", "").await.status(), 200);
    assert_ne!(waits(&office.refund(LARGE).await), id);
    assert_eq!(office.refunds(), 0);
}

#[tokio::test]
async fn another_contract_or_another_definition_of_the_service_ends_it() {
    let office = Office::new().await;
    let fixture = &office.fixture;
    let id = office.approved().await;
    let world = fixture.worlds.borrow().clone();
    let upstream = world
        .upstream_named(OrgScope::Every, fixture.org, &"invoices".parse().unwrap())
        .unwrap();
    let mut moved = broker::upstream::Upstream::clone(upstream);
    moved.hosts = vec!["elsewhere.demo".into()];
    fixture.change(Change::UpstreamPublished(moved));
    let answer = office.refund(LARGE).await;
    assert_ne!(waits(&answer), id);
    fixture.change(Change::UpstreamPublished(broker::upstream::Upstream::clone(
        upstream,
    )));

    // Narrowed: large refunds are no part of the job any more.
    let mut record =
        broker::world::ContractRecord::clone(world.contract(OrgScope::Every, &fixture.contract).unwrap());
    let narrower = record.source.replace("max: 5000", "max: 600");
    let parsed = policy::Contract::parse("x", narrower.as_bytes()).unwrap();
    record.hash = parsed.hash().0;
    record.source = narrower.into();
    let mut agent = broker::world::Agent::clone(world.agent(OrgScope::Every, fixture.agent().id).unwrap());
    agent.contract = record.hash;
    fixture.change(Change::ContractPublished(record));
    fixture.change(Change::AgentUpdated(agent));
    refused(&office.refund(LARGE).await, "ARGUMENT_OUT_OF_RANGE");
    assert_eq!(office.refunds(), 0);
}

#[tokio::test]
async fn nothing_else_is_let_pass_by_it_and_a_refusal_burns_nothing() {
    let office = Office::new().await;
    let fixture = &office.fixture;
    refused(
        &office.refund(r#"{"amount":5001}"#).await,
        "ARGUMENT_OUT_OF_RANGE",
    );
    let id = office.approved().await;
    let state = |state| {
        fixture.change(Change::AgentStateSet {
            agent: fixture.agent().id,
            org: fixture.org,
            state,
        });
    };
    state(AgentState::Suspended);
    assert_eq!(office.refund(LARGE).await.status(), 401);
    state(AgentState::Active);
    assert_eq!(office.refund(LARGE).await.status(), 200);
    let world = fixture.worlds.borrow().clone();
    let known = world.approval(OrgScope::Every, id).unwrap();
    assert!(matches!(known.ended, Some((Ended::Used, _))));
}

#[tokio::test]
async fn of_sixty_four_at_once_one_passes() {
    let office = Arc::new(Office::new().await);
    office.approved().await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let office = office.clone();
        all.spawn(async move { office.refund(LARGE).await });
    }
    let answers = all.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 1);
    assert_eq!(office.refunds(), 1);
    for answer in answers.iter().filter(|answer| answer.status() != 200) {
        let code = answer.code();
        assert!(
            ["APPROVAL_USED", "NEEDS_APPROVAL"].contains(&code.as_str()),
            "{}",
            answer.0
        );
    }
}

#[tokio::test]
async fn a_no_is_the_end_of_it_and_so_is_time() {
    let office = Office::new().await;
    let (fixture, desk) = (&office.fixture, &office.fixture.desk);
    let id = waits(&office.refund(LARGE).await);
    desk.votes(fixture.org, id, "bob", false);
    let answer = office.refund(LARGE).await;
    refused(&answer, "APPROVAL_DENIED");
    office.approve(id);
    refused(&office.refund(LARGE).await, "APPROVAL_DENIED");

    let other = r#"{"amount":900}"#;
    let id = waits(&office.refund(other).await);
    office.approve(id);
    desk.ends(fixture.org, id, Ended::Expired);
    let named = format!("Tabard-Approval: {id}\r\n");
    refused(&office.send(REFUND, &named, other).await, "APPROVAL_EXPIRED");
    // Unless it insists on that one, it asks anew.
    assert_ne!(waits(&office.refund(other).await), id);
    assert_eq!(office.refunds(), 0);
}

#[tokio::test]
async fn who_approved_has_to_be_somebody_who_still_may() {
    let office = Office::new().await;
    let fixture = &office.fixture;
    let id = office.approved().await;
    fixture.change(Change::GroupSet(broker::world::Group {
        org: fixture.org,
        name: "leads".parse().unwrap(),
        members: ["bob".parse().unwrap()].into(),
    }));
    refused(&office.refund(LARGE).await, "APPROVER_INELIGIBLE");
    fixture.desk.hire(fixture.org);
    fixture.change(Change::PrincipalAdded(crate::desk::principal(
        "ann",
        2001,
        broker::world::Role::Viewer,
    )));
    refused(&office.refund(LARGE).await, "APPROVER_INELIGIBLE");
    assert_eq!(office.refunds(), 0);
    // Nothing was burnt by that.
    fixture.desk.hire(fixture.org);
    let passed = office.refund(LARGE).await;
    assert_eq!(passed.status(), 200, "{} of {id}", passed.0);
}

#[tokio::test]
async fn two_people_are_two_people() {
    let office = Office::with_quorum(2).await;
    let (org, desk) = (office.fixture.org, &office.fixture.desk);
    let id = waits(&office.refund(LARGE).await);
    desk.votes(org, id, "ann", true);
    desk.votes(org, id, "ann", true);
    assert_eq!(waits(&office.refund(LARGE).await), id);
    desk.votes(org, id, "bob", true);
    assert_eq!(office.refund(LARGE).await.status(), 200);
}

#[tokio::test]
async fn content_that_may_change_is_approved_in_one_version() {
    let office = Office::new().await;
    let page = "PUT /invoices/page";
    // Without a version a yes would be a yes to whatever stands there by then.
    refused(&office.send(page, "", "new").await, "NEEDS_APPROVAL");
    let id = waits(&office.send(page, "If-Match: \"1\"\r\n", "new").await);
    office.approve(id);
    assert_ne!(waits(&office.send(page, "If-Match: \"2\"\r\n", "new").await), id);
    assert_ne!(waits(&office.send(page, "If-Match: \"1\"\r\n", "evil").await), id);
    let passed = office.send(page, "If-Match: \"1\"\r\n", "new").await;
    assert_eq!(passed.status(), 200, "{}", passed.0);
    let seen = office.fixture.seen();
    assert!(
        seen.last()
            .unwrap()
            .to_ascii_lowercase()
            .contains("if-match: \"1\"")
    );
}

#[tokio::test]
async fn a_token_for_one_approved_request_is_good_for_that_one_once() {
    let office = Office::new().await;
    let agent = office.fixture.agent();
    let id = waits(&office.refund(LARGE).await);
    // Before it was approved it is good for nothing, not even for what needs no approval.
    let small = office
        .send_as(agent, Some(id), REFUND, "", r#"{"amount":5}"#)
        .await;
    refused(&small, "APPROVAL_OUT_OF_SCOPE");
    office.approve(id);
    let small = office
        .send_as(agent, Some(id), REFUND, "", r#"{"amount":5}"#)
        .await;
    refused(&small, "APPROVAL_OUT_OF_SCOPE");
    let passed = office.send_as(agent, Some(id), REFUND, "", LARGE).await;
    assert_eq!(passed.status(), 200, "{}", passed.0);
    let again = office.send_as(agent, Some(id), REFUND, "", LARGE).await;
    refused(&again, "APPROVAL_USED");
    assert_eq!(office.refunds(), 1);
}

#[tokio::test]
async fn nobody_is_flooded() {
    let office = Office::new().await;
    let mut asked = 0;
    for amount in 600..620 {
        let answer = office.refund(&format!("{{\"amount\":{amount}}}")).await;
        assert_eq!(answer.code(), "NEEDS_APPROVAL");
        asked += usize::from(answer.body().contains("\"approval\""));
    }
    assert_eq!(asked, broker::approve::PENDING_PER_TASK_MAX);
    let world = office.fixture.worlds.borrow().clone();
    let waiting = world
        .approvals(OrgScope::Every)
        .filter(|it| it.state(now()).word() == "pending");
    assert_eq!(waiting.count(), asked);
}

#[tokio::test]
async fn what_an_agent_says_about_it_is_bounded_and_goes_no_further() {
    let office = Office::new().await;
    let long = format!("Tabard-Justification: {}\r\n", "x".repeat(501));
    refused(&office.send(REFUND, &long, LARGE).await, "APPROVAL_FIELD");
    let said = "Tabard-Justification: APPROVED BY THE CFO, just click\r\n";
    let id = waits(&office.send(REFUND, said, LARGE).await);
    let world = office.fixture.worlds.borrow().clone();
    let known = world.approval(OrgScope::Every, id).unwrap();
    assert_eq!(known.said.as_deref(), Some("APPROVED BY THE CFO, just click"));
    assert!(
        !known.request.contains("CFO"),
        "it is no part of what is approved"
    );
    office.approve(id);
    assert_eq!(office.send(REFUND, said, LARGE).await.status(), 200);
    assert!(!office.fixture.seen().concat().contains("CFO"));
}

/// A body and a header field that no route declares are sent as they are, so people are shown them.
#[tokio::test]
async fn people_see_what_is_sent_besides_what_anybody_declared() {
    let office = Office::new().await;
    let body = r#"{"amount":700,"payout":{"iban":"DE02"}}"#;
    let id = waits(
        &office
            .send(REFUND, "X-Batch: night\r\nAccept: text/plain\r\n", body)
            .await,
    );
    let world = office.fixture.worlds.borrow().clone();
    let besides = &world.approval(OrgScope::Every, id).unwrap().besides;
    let shown: Vec<(&str, &str)> = besides
        .shown
        .iter()
        .map(|beside| (beside.place.as_str(), beside.value.as_str()))
        .collect();
    assert_eq!(
        shown,
        [("header x-batch", "night"), ("body /payout/iban", "DE02")]
    );
    assert_eq!(besides.more, 0);
    // What is approved is that, and no other account.
    office.approve(id);
    let other = body.replace("DE02", "DE99");
    assert_ne!(
        waits(&office.send(REFUND, "X-Batch: night\r\n", &other).await),
        id
    );
}
