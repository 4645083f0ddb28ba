//! Two orgs in one installation: what is one's is nothing to the other, at every endpoint.

use crate::instance::{Instance, form};
use crate::place::{CONTRACT, Place};

#[tokio::test(flavor = "multi_thread")]
async fn another_orgs_task_and_audience_do_not_exist_at_the_token_endpoint() {
    let place = Place::new().await;
    let victim = Instance::launch(&place).await;
    let other = place.second_org().await;
    place.publish_upstream(place.org, "erp").await;
    let thief = Instance::launch_in(&place, other).await;

    // The other org's task, with the thief's own identity and key.
    let details =
        |task: &str| format!("&authorization_details=[{{\"type\":\"agent_task\",\"task\":\"{task}\"}}]");
    let answer = thief.exchange(&place, &details(&victim.task.to_string())).await;
    assert_eq!(answer.error(), (400, "invalid_authorization_details".into()));
    let same = thief
        .exchange(&place, &details("task_00000000000000000000000000"))
        .await;
    let sentence = |text: &str| text.split(" (dec_").next().unwrap().to_owned();
    let told = |answer: &crate::client::Answer| {
        sentence(answer.json()["error_description"].as_str().unwrap_or_default())
    };
    assert_eq!(
        told(&answer),
        told(&same),
        "not yours and not there read the same"
    );
    let entries = place.entries();
    let denied = entries
        .iter()
        .rev()
        .find(|it| it.contains("token.denied"))
        .unwrap();
    assert!(
        denied.contains("TASK_SCOPE") && denied.contains(&other.to_string()),
        "{denied}"
    );

    // The other org's upstream.
    let svid = thief.jwt_svid(&place, place.issuer()).await;
    let answer = place
        .client
        .post(&form(&svid, "erp"), &[thief.proof(&place)])
        .await;
    assert_eq!(answer.error(), (400, "invalid_target".into()));
    let entries = place.entries();
    let denied = entries
        .iter()
        .rev()
        .find(|it| it.contains("token.denied"))
        .unwrap();
    assert!(denied.contains(&other.to_string()), "{denied}");

    // The other org's SVID with a key of one's own.
    let svid = victim.jwt_svid(&place, place.issuer()).await;
    let answer = place
        .client
        .post(&form(&svid, "invoices"), &[thief.proof(&place)])
        .await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    let entries = place.entries();
    assert!(
        entries
            .iter()
            .rev()
            .any(|it| it.contains("PROOF_OF_POSSESSION_FAILED"))
    );

    // Both work where they belong.
    assert_eq!(victim.exchange(&place, "").await.status, 200);
    let own = thief.exchange(&place, "").await;
    assert_eq!(own.status, 200, "{}", own.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_ones_own_other_run_is_not_for_this_run() {
    let place = Place::new().await;
    let (one, two) = (Instance::launch(&place).await, Instance::launch(&place).await);
    let details = format!(
        "&authorization_details=[{{\"type\":\"agent_task\",\"task\":\"{}\"}}]",
        two.task
    );
    let answer = one.exchange(&place, &details).await;
    assert_eq!(answer.error(), (400, "invalid_authorization_details".into()));
    let entries = place.entries();
    let denied = entries
        .iter()
        .rev()
        .find(|it| it.contains("token.denied"))
        .unwrap();
    assert!(denied.contains("TASK_SCOPE"), "{denied}");
    // One run's SVID with the other's key.
    let svid = one.jwt_svid(&place, place.issuer()).await;
    let answer = place
        .client
        .post(&form(&svid, "invoices"), &[two.proof(&place)])
        .await;
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    assert_eq!(two.exchange(&place, &details).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_contract_published_in_another_org_takes_nothing_away() {
    let place = Place::new().await;
    let victim = Instance::launch(&place).await;
    // Text for text, so that it has the same hash.
    let other = place.second_org_with(CONTRACT).await;
    let answer = victim.exchange(&place, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let other = Instance::launch_in(&place, other).await;
    assert_eq!(other.exchange(&place, "").await.status, 200);
}
