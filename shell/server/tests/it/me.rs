//! What acts for a user: they stop whatever they want, and see all of what was done for them and nothing else.

use crate::delegation::ask;
use crate::idp::Idp;
use crate::instance::Instance;
use crate::oidc::Setting;
use crate::people::Browser;
use identity::OrgScope;
use serde_json::json;

/// A user token of now for `subject`, by the provider of the setting.
fn token(setting: &Setting, subject: &str) -> String {
    let claims = Idp::claims(&setting.town.place, |it| {
        it["iss"] = json!(setting.op.issuer);
        it["sub"] = json!(subject);
    });
    setting.op.key.jws(r#"{"alg":"ES256","typ":"JWT"}"#, &claims)
}

/// Takes away what the org lets the user do.
async fn nothing_more(setting: &Setting) {
    let place = &setting.town.place;
    let (draw, world) = (place.draw(), place.installation().store.world());
    let removed = broker::user::remove(
        &world,
        &place.admin(),
        place.org,
        &setting.op.issuer,
        "4711",
        &mut draw.draw(),
    );
    drop(place.grant(removed).await);
}

fn stopped(setting: &Setting, agent: &str) -> bool {
    let place = &setting.town.place;
    let world = place.installation().store.world();
    let said = world.said(OrgScope::Only(place.org), place.org, &setting.op.issuer, "4711");
    said.stops(&agent.parse().unwrap())
}

async fn stop(setting: &Setting, user: &Browser, agent: &str) -> u16 {
    let fields = format!("org={}&agent={agent}", setting.town.place.org);
    user.form("/ui/me", "/ui/me/stop", &fields).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_never_refused() {
    let setting = Setting::new().await;
    setting.trust().await;
    let user = setting.town.browser();
    assert_eq!(setting.log_in(&user).await.status, 303);
    // Nothing acts at this very moment: the org took it back, and gives it again later.
    nothing_more(&setting).await;
    let page = user.get("/ui/me").await.text();
    assert!(page.contains("No agent can act for you."), "{page}");
    assert_eq!(stop(&setting, &user, "demo-billing").await, 303);
    setting.trust().await;
    assert!(stopped(&setting, "demo-billing"));
    assert!(user.get("/ui/me").await.text().contains("You stopped it."));
    // Twice is no mistake, and neither is one that the org does not have yet.
    assert_eq!(stop(&setting, &user, "demo-billing").await, 303);
    assert_eq!(stop(&setting, &user, "not-there-yet").await, 303);
    assert!(stopped(&setting, "not-there-yet"));
    nothing_more(&setting).await;
    let page = user.get("/ui/me").await.text();
    assert!(
        page.contains("demo-billing") && page.contains("not-there-yet"),
        "{page}"
    );
    // What users write has an end, which leaves alone what could act.
    for n in 0..63 {
        assert_eq!(stop(&setting, &user, &format!("ahead-{n}")).await, 303, "{n}");
    }
    assert_eq!(stop(&setting, &user, "one-too-many").await, 422);
    assert_eq!(stop(&setting, &user, "demo-billing").await, 303);
    // No user of ours says anything in an org that does not know their issuer.
    let rival = setting.town.place.second_org().await;
    let fields = format!("org={rival}&agent=demo-billing");
    assert_eq!(user.form("/ui/me", "/ui/me/stop", &fields).await.status, 422);
    setting.town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_done_for_a_user_is_shown_page_by_page() {
    let setting = Setting::new().await;
    setting.trust().await;
    let (user, place) = (setting.town.browser(), &setting.town.place);
    assert_eq!(setting.log_in(&user).await.status, 303);
    let path = format!("/ui/me/{}/demo-billing", place.org);
    let nothing = "Nothing is in the record of this server.";
    assert!(user.get(&path).await.text().contains(nothing));

    let agent = Instance::launch(place).await;
    let (mine, other) = (token(&setting, "4711"), token(&setting, "4712"));
    let does = async |whose: &str| {
        let answer = ask(
            place,
            &agent,
            (whose, "id_token"),
            "invoices",
            "&scope=invoices.read",
        )
        .await;
        answer.status.as_u16()
    };
    // 101 of theirs are one more than a page; those of others do not count, and do not show.
    for n in 0..101 {
        if n % 20 == 0 {
            assert_eq!(does(&other).await, 400, "the org knows nobody of that name");
        }
        assert_eq!(does(&mine).await, 200, "{n}");
    }
    let rows = |page: &str| page.matches("<td data-label=\"When\"").count();
    let newest = user.get(&path).await.text();
    assert_eq!(rows(&newest), 100);
    assert!(!newest.contains("refused"), "{newest}");
    let older = newest
        .split_once("?before=")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0
        .to_owned();
    let last = user.get(&format!("{path}?before={older}")).await.text();
    assert_eq!(rows(&last), 1, "{last}");
    assert!(
        last.contains("This is the oldest.") && last.contains("Newest"),
        "{last}"
    );
    let beyond = user.get(&format!("{path}?before=0")).await.text();
    assert!(beyond.contains("Nothing older is in the record"), "{beyond}");
    for odd in ["x", "1,2", &"1.".repeat(20)] {
        assert_eq!(
            user.get(&format!("{path}?before={odd}")).await.status,
            400,
            "{odd}"
        );
    }
    // A principal who comes in by a passkey is no user, and sees nobody's.
    let ann = setting.town.principal("ann", &[broker::world::Role::Admin]).await;
    assert_eq!(ann.get(&path).await.status, 404);
    setting.town.end().await;
}
