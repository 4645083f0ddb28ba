//! The pages of the ways in: login, verification, invite. What they do is in `passkeys` and `oidc`.

use super::local_path::LocalPath;
use super::{HumanPlane, Page, Visit};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// Where to go on afterwards.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    to: String,
}

impl Wanted {
    fn path(&self) -> LocalPath {
        LocalPath::parse(&self.to).unwrap_or_else(LocalPath::home)
    }
}

/// A form that the script for passkeys answers. Without the script it says what is missing.
pub(super) fn passkey_form(ceremony: &str, to: &LocalPath, button: &str, more: &Markup) -> Markup {
    html! {
        form data-passkey=(ceremony) data-to=(to.as_str()) {
            (more)
            button type="submit" { (button) }
            p role="status" aria-live="polite" {}
            noscript { p { "Passkeys need JavaScript." } }
        }
    }
}

/// `/ui/login`.
pub(super) async fn show(
    State(human): State<Arc<HumanPlane>>,
    visit: Option<axum::Extension<Visit>>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let to = wanted.path();
    if visit.is_some() {
        return super::see_other(to.as_str());
    }
    let providers = providers(
        &human,
        "/ui/login/account",
        &html! {
            input type="hidden" name="to" value=(to.as_str());
        },
    );
    Page::new("Log in")
        .with_passkeys()
        .body(&html! {
            (passkey_form("login", &to, "Log in with a passkey", &html! {}))
            (providers)
            p .hint {
                "No way in yet? An administrator makes a link for you: "
                code { "tabard principal invite NAME" }
            }
        })
        .into_response()
}

/// One button a provider.
pub(super) fn providers(human: &HumanPlane, action: &str, more: &Markup) -> Markup {
    html! {
        @for name in human.config.providers.keys() {
            form method="post" action=(action) {
                (more)
                input type="hidden" name="provider" value=(name.as_str());
                button type="submit" .second { "Log in at " (name.as_str()) }
            }
        }
    }
}

/// `/ui/verify`: proves again that it is they who are there.
pub(super) async fn show_verify(
    State(human): State<Arc<HumanPlane>>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Page {
    let to = wanted.path();
    let has_passkey = visit
        .visitor()
        .principal()
        .is_some_and(|principal| !principal.passkeys.is_empty());
    let at_provider = visit.visitor().account().is_some();
    let token = html! {
        (Page::token(&visit))
        input type="hidden" name="to" value=(to.as_str());
    };
    Page::new("Is it you?")
        .visiting(&visit)
        .with_passkeys()
        .body(&html! {
            p { "What you are about to do takes a proof that you are there. It holds for five minutes." }
            @if has_passkey { (passkey_form("verify", &to, "Verify with a passkey", &html! {})) }
            @if at_provider { (providers(&human, "/ui/verify/account", &token)) }
        })
}

/// `/ui/invite`: the code is in the fragment of the link, which no server and no log sees.
pub(super) async fn show_invite(State(human): State<Arc<HumanPlane>>) -> Page {
    let code = html! {
        label for="code" { "The code of your invite" }
        input #code name="code" autocomplete="off" spellcheck="false" required;
    };
    let by_account = html! {
        label { "The code of your invite" input name="code" autocomplete="off" spellcheck="false" required; }
    };
    Page::new("Your way in").with_passkeys().body(&html! {
        p { "Enrol a passkey: your device keeps it, and asks for your PIN, finger or face when you use it." }
        (passkey_form("invite", &LocalPath::home(), "Create a passkey", &html! {
            (code)
            label for="label" { "What you call this device" }
            input #label name="label" maxlength="64" value="my device";
        }))
        (providers(&human, "/ui/invite/account", &by_account))
    })
}
