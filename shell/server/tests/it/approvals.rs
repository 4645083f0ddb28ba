//! A person in a browser approves exactly one request, and it is used once: the whole way but for the gateway's own
//! decision, over the real wires.

use crate::hostile_member::member;
use crate::instance::{Instance, jti};
use crate::people::{Browser, Town};
use broker::approve::{Ask, Beside, Besides, Bound, content_of, definition_of};
use broker::inventory::publish_upstream;
use broker::upstream::Manifest;
use broker::world::{MemberRole, Role};
use http::{Method, Request};
use http_body_util::Full;
use identity::{Actor, ActorChain, ActorKind, DecisionId, OrgScope, UpstreamId};
use policy::Labels;
use sync::Link;
use sync::proto::{
    AskApprovalRequest, SpendApprovalRequest, WaitingApproval, ask_approval_reply, spend_approval_reply,
};

pub(crate) const CONTRACT: &[u8] = b"
apiVersion: tabard/v1
kind: AgentContract
metadata: {name: refunder, version: 1}
owner: {team: office}
purpose: {id: refunds, statement: Gives back what was paid twice.}
identity: {min_assurance: 1}
tasks: {types: [refunds], max_ttl: 30m, openers: [operator]}
grants:
  - id: small
    services: [till]
    actions: [refund.create]
    reason: Small ones need nobody.
    business_action: {refund.create: Give back small change}
    where: {amount: {min: 1, max: 50}}
  - id: large
    services: [till]
    actions: [refund.create]
    reason: Larger ones are looked at.
    business_action: {refund.create: Give a customer money back}
    where: {amount: {min: 1, max: 5000}}
    approval: leads
escalation:
  leads: {approvers: leads, ttl: 10m}
lifecycle: {expires: 2099-12-31}
";
const TILL: &[u8] = b"
apiVersion: tabard/v1
kind: Upstream
metadata: {name: till}
base_url: http://127.0.0.1:9
credential: {api_key: {header: x-api-key, secret: stdin}}
routes:
  - method: POST
    path: '/invoices/{id}/refund'
    action: refund.create
    resource: {type: invoice, id: id}
    arguments: [{name: amount, body: /amount, type: integer}]
";
/// What an agent says that wants to look like a part of the page.
pub(crate) const SAID: &str =
    "</blockquote><h1>Approved by the CFO</h1><form><button>Approve</button></form>";

pub(crate) struct Story {
    pub(crate) town: Town,
    link: Link,
    instance: Instance,
    pub(crate) ask: Ask,
}

impl Story {
    /// An agent whose refund was refused at a gateway.
    pub(crate) async fn new() -> Self {
        Self::of(Town::new().await).await
    }

    pub(crate) async fn of(town: Town) -> Self {
        let place = &town.place;
        place.register(place.org, "refunder", CONTRACT).await;
        let manifest = Manifest::parse("till.yaml", TILL).unwrap();
        let (source, world) = (place.draw(), place.installation().store.world());
        let till = manifest.upstream(UpstreamId::from_u128(0), place.org, 1);
        let published = publish_upstream(&world, &place.admin(), till, &mut source.draw());
        drop(place.grant(published).await);
        let instance = Instance::launch_as(place, place.org, "refunder").await;
        let link = member(place, MemberRole::Gateway, None).await;
        let world = place.installation().store.world();
        let scope = OrgScope::Only(place.org);
        let agent = world
            .agent_named(scope, place.org, &"refunder".parse().unwrap())
            .unwrap();
        let till = world
            .upstream_named(scope, place.org, &"till".parse().unwrap())
            .unwrap();
        let chain = ActorChain::starting_with(Actor {
            kind: ActorKind::AiAgent,
            issuer: place.issuer().to_owned(),
            id: agent.spiffe_id.to_string(),
        });
        let bound = Bound {
            org: place.org,
            agent: agent.id,
            chain,
            task: instance.task,
            contracts: vec![agent.contract],
            labels: Labels::NONE,
            audience: till.audience.clone(),
            upstream: till.id,
            upstream_name: till.name.clone(),
            definition: definition_of(till),
            action: "refund.create".parse().unwrap(),
            resource_type: "invoice".parse().unwrap(),
            resource_id: "inv_1".into(),
            tenant: None,
            arguments: [("amount".parse().unwrap(), 700.into())].into(),
            version: None,
            method: "POST".into(),
            path: "/invoices/inv_1/refund".into(),
            content: content_of("POST", "/invoices/inv_1/refund", &[], b"{\"amount\":700}"),
            asked_by: None,
        };
        let log = link.identity().unwrap().log;
        let ask = Ask {
            needs: vec![(agent.contract, "leads".parse().unwrap())],
            refusal: DecisionId::random(place.now(), log, 1),
            reasons: vec!["NEEDS_APPROVAL".into()],
            said: Some(SAID.into()),
            besides: Besides::default(),
            bound,
        };
        Self {
            town,
            link,
            instance,
            ask,
        }
    }

    /// Somebody of the group, logged in.
    pub(crate) async fn approver(&self, name: &str) -> Browser {
        self.town.approver(name, "leads").await
    }

    pub(crate) async fn asks(&self) -> Result<WaitingApproval, String> {
        self.asks_for(&self.ask).await
    }

    pub(crate) async fn asks_for(&self, ask: &Ask) -> Result<WaitingApproval, String> {
        let ask = serde_json::to_vec(ask).unwrap();
        let mut client = self.link.client().await.unwrap();
        let reply = client.ask_approval(AskApprovalRequest { ask }).await.unwrap();
        match reply.into_inner().outcome.unwrap() {
            ask_approval_reply::Outcome::Approval(waiting) => Ok(waiting),
            ask_approval_reply::Outcome::Refused(refused) => Err(refused.code),
        }
    }

    pub(crate) async fn spends(&self, id: &str) -> Result<(), String> {
        let (_, digest) = self.ask.bound.text().unwrap();
        let request = SpendApprovalRequest {
            approval_id: id.to_owned(),
            request: digest.to_string(),
        };
        let mut client = self.link.client().await.unwrap();
        let reply = client.spend_approval(request).await.unwrap();
        match reply.into_inner().outcome.unwrap() {
            spend_approval_reply::Outcome::Spent(_) => Ok(()),
            spend_approval_reply::Outcome::Refused(refused) => Err(refused.code),
        }
    }

    /// What a client sends to an endpoint of ours, with the proof of the instance's key.
    async fn posts(&self, path: &str, form: &str) -> crate::client::Answer {
        self.posts_with(path, form, &self.proof(path)).await
    }

    fn proof(&self, path: &str) -> String {
        let place = &self.town.place;
        let nonce = place.installation().keys.nonces().make(place.now());
        let url = format!("{}{path}", place.issuer());
        self.instance.key.proof(&url, &jti(), Some(&nonce), place.now())
    }

    async fn posts_with(&self, path: &str, form: &str, proof: &str) -> crate::client::Answer {
        let place = &self.town.place;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", place.running.address().to_string())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("dpop", proof);
        let request = request.body(Full::from(form.to_owned())).unwrap();
        place.client.send(request).await.unwrap()
    }

    async fn parties(&self) -> String {
        let svid = self
            .instance
            .jwt_svid(&self.town.place, self.town.place.issuer())
            .await;
        format!("subject_token={svid}&subject_token_type=urn:ietf:params:oauth:token-type:jwt")
    }

    /// Begins to wait for the approval.
    async fn begins(&self, id: &str, hint: &str) -> crate::client::Answer {
        let details =
            format!("[{{\"type\":\"agent_task\",\"actions\":[\"refund.create\"],\"approval\":\"{id}\"}}]");
        let form = format!(
            "{}&audience=till&scope=openid&login_hint={hint}&authorization_details={details}",
            self.parties().await
        );
        self.posts("/oauth/bc-authorize", &form).await
    }

    async fn polls(&self, request: &str) -> crate::client::Answer {
        self.polls_with(request, &self.proof("/oauth/token")).await
    }

    async fn polls_with(&self, request: &str, proof: &str) -> crate::client::Answer {
        let form = format!(
            "grant_type=urn:openid:params:grant-type:ciba&auth_req_id={request}&{}",
            self.parties().await
        );
        self.posts_with("/oauth/token", &form, proof).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_in_a_browser_approves_exactly_that_request_and_it_is_used_once() {
    let story = Story::new().await;
    assert_eq!(story.asks().await.unwrap_err(), "APPROVAL_NOBODY");
    let ann = story.approver("ann").await;
    let waiting = story.asks().await.unwrap();
    let id = waiting.approval_id.clone();
    assert_eq!(waiting.state, "pending");
    assert!(
        waiting.page.ends_with(&format!("/ui/approvals/{id}")),
        "{waiting:?}"
    );
    assert_eq!(story.asks().await.unwrap().approval_id, id);
    assert_eq!(story.spends(&id).await.unwrap_err(), "NEEDS_APPROVAL");

    // The page shows what would be done, and what the agent says as its own words.
    assert!(ann.get("/ui/approvals").await.text().contains(&id));
    let page = ann.get(&format!("/ui/approvals/{id}")).await.text();
    for known in [
        "Give a customer money back",
        "inv_1",
        "700",
        "refunder",
        "Needs approval",
    ] {
        assert!(
            page.to_lowercase().contains(&known.to_lowercase()),
            "{known} is not in {page}"
        );
    }
    // In the words of the grant that waits, and of no other with the same action.
    assert!(!page.contains("small change"), "{page}");
    assert!(!page.contains("<h1>Approved"), "{page}");
    assert!(page.contains("&lt;h1&gt;Approved by the CFO"), "{page}");
    assert_eq!(
        page.matches("<button").count(),
        3,
        "log out, approve, refuse: {page}"
    );

    // Five minutes later it takes a proof that she is there.
    story.town.place.pass(301);
    let page = ann.get(&format!("/ui/approvals/{id}")).await.text();
    assert!(
        page.contains("/ui/verify?to=/ui/approvals/") && !page.contains("name=\"vote\""),
        "{page}"
    );
    let refused = ann.votes(&id, "yes").await;
    assert!(
        refused.text().contains("APPROVER_INELIGIBLE"),
        "{}",
        refused.text()
    );
    assert_eq!(ann.verify().await.status, 200);
    let said = ann.votes(&id, "yes").await;
    assert_eq!(said.status, 303, "{}", said.text());
    assert!(
        ann.get(&format!("/ui/approvals/{id}"))
            .await
            .text()
            .contains("approved")
    );

    // Sixty-four gateways at once, and it is used once.
    let spends = futures_util::future::join_all((0..64).map(|_| story.spends(&id))).await;
    assert_eq!(spends.iter().filter(|spent| spent.is_ok()).count(), 1);
    for refused in spends.iter().filter_map(|spent| spent.as_ref().err()) {
        assert_eq!(refused, "APPROVAL_USED");
    }
    let entries = story.town.place.entries();
    for (kind, count) in [
        ("approval.requested", 1),
        ("approval.decided", 1),
        ("approval.used", 1),
    ] {
        let kind = format!("\"kind\":\"{kind}\"");
        assert_eq!(
            entries.iter().filter(|entry| entry.contains(&kind)).count(),
            count,
            "{kind}"
        );
    }
    // Who decided is a commitment in the record, and the agent's words are not in it at all.
    let decided = entries.iter().find(|it| it.contains("approval.decided")).unwrap();
    assert!(
        !decided.contains("\"ann\"") && decided.contains("hmac-sha256:"),
        "{decided}"
    );
    assert!(!entries.concat().contains("CFO"));
    // Used is used: the same request waits anew.
    assert_ne!(story.asks().await.unwrap().approval_id, id);
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_asked_decides_and_only_on_what_they_were_shown() {
    let story = Story::new().await;
    let ann = story.approver("ann").await;
    let zoe = story.town.principal("zoe", &[Role::Approver]).await;
    let id = story.asks().await.unwrap().approval_id;
    let page = format!("/ui/approvals/{id}");
    assert!(zoe.get(&page).await.text().contains("You cannot decide on this"));
    for vote in ["yes", "no"] {
        let refused = zoe.votes(&id, vote).await;
        assert!(
            refused.text().contains("APPROVER_INELIGIBLE"),
            "{}",
            refused.text()
        );
    }
    // Another digest, no digest, no vote, no token of her session.
    let other = format!("digest=sha256%3A{}&vote=yes", "0".repeat(64));
    for (fields, code) in [
        (other.as_str(), "APPROVAL_OUT_OF_SCOPE"),
        ("vote=yes", "BAD_REQUEST"),
        ("digest=x&vote=maybe", "BAD_REQUEST"),
    ] {
        let refused = ann.form(&page, &format!("{page}/vote"), fields).await;
        assert!(refused.text().contains(code), "{fields}: {}", refused.text());
    }
    let forged = ann
        .send(
            Method::POST,
            &format!("{page}/vote"),
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "null"),
                ("content-type", "application/x-www-form-urlencoded"),
            ],
            "token=x&vote=yes",
        )
        .await;
    assert_eq!(forged.status, 403);
    assert_eq!(story.spends(&id).await.unwrap_err(), "NEEDS_APPROVAL");
    // A no is the end, whoever asks again.
    assert_eq!(ann.votes(&id, "no").await.status, 303);
    let again = story.asks().await.unwrap();
    assert_eq!(
        (again.approval_id.as_str(), again.state.as_str()),
        (id.as_str(), "denied")
    );
    assert_eq!(story.spends(&id).await.unwrap_err(), "APPROVAL_DENIED");
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_somebody_who_was_removed_is_worth_nothing() {
    let story = Story::new().await;
    let ann = story.approver("ann").await;
    let id = story.asks().await.unwrap().approval_id;
    assert_eq!(ann.votes(&id, "yes").await.status, 303);
    story.town.remove("ann").await;
    assert_eq!(story.spends(&id).await.unwrap_err(), "APPROVER_INELIGIBLE");
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_asks_for_what_is_true_and_was_its_own_refusal() {
    let story = Story::new().await;
    drop(story.approver("ann").await);
    let changed = |change: fn(&mut Ask)| {
        let mut ask = story.ask.clone();
        change(&mut ask);
        ask
    };
    for (ask, code) in [
        (
            changed(|ask| ask.refusal = DecisionId::from_u128(7)),
            "APPROVAL_REACH",
        ),
        (
            changed(|ask| ask.bound.contracts = vec![identity::Digest::default()]),
            "APPROVAL_STALE",
        ),
        (
            changed(|ask| ask.bound.definition = identity::Digest::default()),
            "APPROVAL_STALE",
        ),
        (
            changed(|ask| ask.bound.task = identity::TaskId::from_u128(9)),
            "APPROVAL_STALE",
        ),
        (changed(|ask| ask.needs.clear()), "APPROVAL_NOT_NEEDED"),
        (
            changed(|ask| ask.needs[0].1 = "nobody".parse().unwrap()),
            "APPROVAL_NOT_NEEDED",
        ),
        (changed(|ask| ask.said = Some("x".repeat(501))), "APPROVAL_SAID"),
        (
            changed(|ask| ask.bound.path = "x".repeat(17_000)),
            "APPROVAL_TOO_LONG",
        ),
    ] {
        assert_eq!(story.asks_for(&ask).await.unwrap_err(), code);
    }
    assert!(story.asks().await.is_ok());
    // A gateway of another org has no say in this one's.
    let other = story.town.place.second_org().await;
    let link = member(&story.town.place, MemberRole::Gateway, Some(other)).await;
    let id = story.asks().await.unwrap().approval_id;
    let mine = Story { link, ..story };
    let ask = serde_json::to_vec(&mine.ask).unwrap();
    let mut client = mine.link.client().await.unwrap();
    let refused = client.ask_approval(AskApprovalRequest { ask }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    assert_eq!(mine.spends(&id).await.unwrap_err(), "APPROVAL_OUT_OF_SCOPE");
    mine.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_is_sent_again_does_not_count_as_its_clients() {
    let story = Story::new().await;
    let _ann = story.approver("ann").await;
    let id = story.asks().await.unwrap().approval_id;
    let begun = story.begins(&id, "leads").await.json();
    let request = begun["auth_req_id"].as_str().unwrap();
    story.town.place.pass(6);
    let proof = story.proof("/oauth/token");
    let pending = (400, "authorization_pending".to_owned());
    assert_eq!(story.polls_with(request, &proof).await.error(), pending);
    // Whoever listened sends it on and on; the client itself keeps to its five seconds.
    for _ in 0..3 {
        let replayed = story.polls_with(request, &proof).await.error();
        assert_eq!(replayed, (400, "invalid_dpop_proof".into()));
    }
    story.town.place.pass(6);
    assert_eq!(story.polls(request).await.error(), pending);
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oauth_client_waits_by_ciba_and_gets_a_token_for_that_request_alone() {
    let story = Story::new().await;
    let ann = story.approver("ann").await;
    let id = story.asks().await.unwrap().approval_id;
    assert_eq!(
        story.begins(&id, "nobody").await.error(),
        (400, "unknown_user_id".into())
    );
    let unknown = "apr_00000000000000000000000000";
    let refused = story.begins(unknown, "leads").await.error();
    assert_eq!(refused, (400, "invalid_authorization_details".into()));

    let begun = story.begins(&id, "leads").await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let request = begun.json()["auth_req_id"].as_str().unwrap().to_owned();
    assert_eq!(begun.json()["interval"], 5);
    let place = &story.town.place;
    assert_eq!(story.polls(&request).await.error(), (400, "slow_down".into()));
    place.pass(11);
    assert_eq!(
        story.polls(&request).await.error(),
        (400, "authorization_pending".into())
    );
    assert_eq!(
        story.polls("somebody-elses").await.error(),
        (400, "expired_token".into())
    );

    // A plain exchange cannot name what is not approved.
    let details = format!("&authorization_details=[{{\"type\":\"agent_task\",\"approval\":\"{id}\"}}]");
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=till{details}&{}",
        story.parties().await
    );
    let early = story.posts("/oauth/token", &form).await.error();
    assert_eq!(early, (400, "invalid_authorization_details".into()));

    assert_eq!(ann.votes(&id, "yes").await.status, 303);
    place.pass(11);
    let issued = story.polls(&request).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    let details = &issued.json()["authorization_details"][0];
    assert_eq!(
        (&details["approval"], &details["actions"][0]),
        (&id.as_str().into(), &"refund.create".into())
    );
    place.pass(11);
    assert_eq!(story.polls(&request).await.error(), (400, "expired_token".into()));
    // Its agent can look how it stands, and nobody else.
    let own = story.instance.mtls(place).await;
    let path = format!("/access/v1/requests/{id}");
    let handle = own.get(&path).await.json();
    assert_eq!(handle["task"]["status"], "approved");
    assert_eq!(handle["result"]["approval"]["id"], id);
    let stranger = Instance::launch(place).await.mtls(place).await;
    for other in [&stranger, &place.client] {
        assert_eq!(other.get(&path).await.status, 404);
    }
    // The token did not use it up: the call does.
    assert_eq!(story.spends(&id).await, Ok(()));
    assert_eq!(own.get(&path).await.json()["task"]["status"], "expired");
    story.town.end().await;
}

/// What an agent writes is legible wherever it stands, and what it sends besides what anybody declared is shown as its own.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_agent_writes_looks_like_something_else() {
    let story = Story::new().await;
    let ann = story.approver("ann").await;
    let mut ask = story.ask.clone();
    ask.bound.resource_id = "inv_1\u{202e}1_vni".into();
    ask.bound.arguments = [
        ("amount".parse().unwrap(), 700.into()),
        ("payee".parse().unwrap(), "\u{440}aypal\u{200b}".into()),
    ]
    .into();
    ask.said = Some("Approved\u{2066} by\u{3000}the CFO".into());
    let beside = |place: &str, value: &str| Beside {
        place: place.into(),
        value: value.into(),
    };
    ask.besides = Besides {
        shown: vec![
            beside("body /account", "DE02</dd><dt>Approved by"),
            beside("header x-batch", "\u{feff}7"),
        ],
        more: 3,
    };
    let id = story.asks_for(&ask).await.unwrap().approval_id;
    let page = ann.get(&format!("/ui/approvals/{id}")).await.text();
    for hidden in ['\u{202e}', '\u{200b}', '\u{2066}', '\u{3000}', '\u{feff}'] {
        assert!(!page.contains(hidden), "{hidden:?} is on the page");
        let written = format!("[U+{:04X}]", u32::from(hidden));
        assert!(page.contains(&written), "{written} is not in {page}");
    }
    assert!(page.contains("two alphabets"), "{page}");
    for shown in [
        "What is sent besides",
        "body /account",
        "DE02&lt;/dd&gt;",
        "3 more",
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let list = ann.get("/ui/approvals").await.text();
    assert!(!list.contains('\u{202e}') && list.contains("[U+202E]"), "{list}");
    // A gateway that would fill the page is not heard.
    ask.bound.resource_id = "inv_2".into();
    ask.besides.shown = vec![beside("body", &"x".repeat(5000))];
    assert_eq!(story.asks_for(&ask).await.unwrap_err(), "APPROVAL_TOO_LONG");
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_is_taken_back_by_whoever_said_it_and_by_nobody_else_who_approves() {
    let story = Story::new().await;
    let ann = story.approver("ann").await;
    let zoe = story.town.principal("zoe", &[Role::Approver]).await;
    let id = story.asks().await.unwrap().approval_id;
    let page = format!("/ui/approvals/{id}");
    assert_eq!(ann.votes(&id, "yes").await.status, 303);
    let back = format!("{page}/withdraw");
    assert!(ann.get(&page).await.text().contains(&back));
    assert!(!zoe.get(&page).await.text().contains(&back));
    let refused = zoe.form(&page, &back, "").await.text();
    assert!(refused.contains("ADMIN_ROLE"), "{refused}");
    // It waits for no proof: minutes later it is still hers to stop.
    story.town.place.pass(301);
    assert_eq!(ann.form(&page, &back, "").await.status, 303);
    assert_eq!(story.spends(&id).await.unwrap_err(), "APPROVAL_EXPIRED");
    story.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_was_revoked_waits_for_nothing() {
    let story = Story::new().await;
    drop(story.approver("ann").await);
    let id = story.asks().await.unwrap().approval_id;
    let parties = story.parties().await;
    let begin = format!(
        "{parties}&audience=till&scope=openid&login_hint=leads&authorization_details=\
         [{{\"type\":\"agent_task\",\"actions\":[\"refund.create\"],\"approval\":\"{id}\"}}]"
    );
    let begun = story.posts("/oauth/bc-authorize", &begin).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let request = begun.json()["auth_req_id"].as_str().unwrap().to_owned();
    let place = &story.town.place;
    let source = place.draw();
    let world = place.installation().store.world();
    let target = broker::world::Target::Instance(story.instance.id);
    let revoked = broker::revoke::revoke(&world, &place.admin(), target, "", &mut source.draw());
    drop(place.grant(revoked).await);
    let again = story.posts("/oauth/bc-authorize", &begin).await.error();
    assert_eq!(again, (400, "invalid_authorization_details".into()));
    place.pass(11);
    let poll = format!("grant_type=urn:openid:params:grant-type:ciba&auth_req_id={request}&{parties}");
    let polled = story.posts("/oauth/token", &poll).await;
    assert_eq!(polled.status, 400, "{}", polled.text());
    assert_ne!(polled.error().1, "authorization_pending");
    assert!(!polled.text().contains("access_token"));
    story.town.end().await;
}
