//! The first page, and the page that is not there.

use super::{HumanPlane, Page, Visit};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::html;
use std::sync::Arc;

/// `/`: leads to the first page.
pub(super) async fn front() -> Response {
    super::see_other("/ui/")
}

/// `/ui/`.
pub(super) async fn show(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Page {
    let session = visit.visitor().session();
    let verified = visit.visitor().is_verified(human.now());
    let page = Page::new(format!("Hello, {}", visit.visitor().name())).visiting(&visit);
    page.body(&html! {
        dl .facts {
            @if let Some(principal) = visit.visitor().principal() {
                dt { "Your roles" }
                dd { @for role in &principal.roles { span .badge { (role.word()) } " " } }
            } @else {
                dt { "You are" }
                dd { "a user on whose behalf agents may act" }
            }
            dt { "You came in by" }
            dd { (super::sessions::came_in_by(session)) }
            dt { "This session ends" }
            dd { (Page::time(session.expires_at)) ", or after 15 minutes without use" }
            dt { "Proven to be you" }
            dd {
                @if verified { "within the last five minutes" }
                @else { "not lately. " a href="/ui/verify" { "Verify" } " before you do what cannot be taken back." }
            }
        }
    })
}

/// Everything else.
pub(super) async fn nothing() -> Page {
    Page::new("There is nothing here")
        .status(StatusCode::NOT_FOUND)
        .body(&html! { p { "The page may have moved. " a href="/ui/" { "Go to the first page" } } })
}
