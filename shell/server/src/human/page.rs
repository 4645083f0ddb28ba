//! The frame of every page: head, who is here, where else to go, and the page's own content.
//!
//! Content is built with `maud`'s macro, which escapes whatever is put into it; nothing here makes markup of a text.

use super::Visit;
use super::local_path::LocalPath;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

/// Pages that a principal finds in the bar.
const FOR_PRINCIPALS: &[(&str, &str)] = &[
    ("/ui/", "Home"),
    ("/ui/approvals", "Approvals"),
    ("/ui/proposals", "Proposals"),
    ("/ui/exceptions", "Exceptions"),
    ("/ui/sessions", "Sessions"),
    ("/ui/passkeys", "Passkeys"),
    ("/ui/terminal", "Command line"),
    ("/ui/me", "Acts for me"),
];
/// Pages that a user finds there.
const FOR_USERS: &[(&str, &str)] = &[
    ("/ui/", "Home"),
    ("/ui/me", "What acts for me"),
    ("/ui/sessions", "Sessions"),
];

/// A page under way.
#[derive(Debug)]
pub(crate) struct Page {
    title: String,
    status: StatusCode,
    visit: Option<Visit>,
    passkeys: bool,
    refresh: Option<String>,
    body: Option<Markup>,
}

impl Page {
    /// A page of that title, for nobody yet.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            status: StatusCode::OK,
            visit: None,
            passkeys: false,
            refresh: None,
            body: None,
        }
    }
    /// The token of the visitor's session, hidden in a form: [`super::Posted`] looks for it.
    pub(crate) fn token(visit: &Visit) -> Markup {
        html! { input type="hidden" name="token" value=(visit.form_token()); }
    }
    /// An instant, for people and for programs.
    pub(crate) fn time(at: identity::UnixTime) -> Markup {
        Self::written_time(&at.rfc3339())
    }
    /// The same of one that is written as RFC 3339 already.
    pub(crate) fn written_time(text: &str) -> Markup {
        html! { time datetime=(text) { (readable(text)) } }
    }
    /// A page that only leads on, so that the next request is one of our own site's.
    pub(super) fn moving_on(to: &LocalPath) -> Self {
        Self::again(to.as_str().to_owned())
    }
    /// The same, to this very path with its query.
    pub(super) fn again(here: String) -> Self {
        let mut page = Self::new("One moment");
        page = page.body(&html! { p { a href=(here) { "Go on" } } });
        page.refresh = Some(here);
        page
    }
    /// A page that leads to an identity provider, whose address the operator wrote down.
    pub(super) fn leaving(name: &str, there: String) -> Self {
        let mut page = Self::new(format!("On to {name}"));
        page = page.body(&html! { p { a href=(there) { "Go on" } } });
        page.refresh = Some(there);
        page
    }

    /// With another status than 200.
    #[must_use]
    pub(crate) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
    /// For somebody who is logged in.
    #[must_use]
    pub(crate) fn visiting(mut self, visit: &Visit) -> Self {
        self.visit = Some(visit.clone());
        self
    }
    /// With the script for passkeys, which acts on forms that have `data-passkey`.
    #[must_use]
    pub(crate) const fn with_passkeys(mut self) -> Self {
        self.passkeys = true;
        self
    }
    /// With its content.
    #[must_use]
    pub(crate) fn body(mut self, body: &Markup) -> Self {
        self.body = Some(body.clone());
        self
    }

    fn render(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if let Some(to) = &self.refresh {
                        meta http-equiv="refresh" content=(format!("0;url={to}"));
                    }
                    title { (self.title) " · Tabard" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href="/ui/style.css";
                    @if self.passkeys { script src="/ui/passkey.js" defer {} }
                }
                body {
                    a .skip href="#main" { "Skip to the content" }
                    header {
                        p .brand { a href="/ui/" { "Tabard" } }
                        @if let Some(visit) = &self.visit { (bar(visit)) }
                    }
                    main #main {
                        h1 { (self.title) }
                        @if let Some(body) = &self.body { (body) }
                    }
                }
            }
        }
    }
}

fn bar(visit: &Visit) -> Markup {
    let pages = match visit.visitor().principal() {
        Some(_) => FOR_PRINCIPALS,
        None => FOR_USERS,
    };
    html! {
        nav aria-label="Pages" {
            ul { @for (path, name) in pages { li { a href=(path) { (name) } } } }
        }
        form .who method="post" action="/ui/logout" {
            (Page::token(visit))
            span { (visit.visitor().name()) }
            button type="submit" .quiet { "Log out" }
        }
    }
}

/// `2026-11-22T12:00:00.123Z` as `2026-11-22 12:00 UTC`.
fn readable(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => rfc3339.to_owned(),
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (self.status, Html(self.render().into_string())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        let evil = r#"</title><script>alert(1)</script>"'><img src=x onerror=alert(1)>"#;
        let page = Page::new(evil)
            .body(&html! { p title=(evil) { (evil) } a href=(LocalPath::home().as_str()) { (evil) } })
            .render()
            .into_string();
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains(r#"title="</title>"#), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 5, "{page}");
    }

    #[test]
    fn times_are_for_people() {
        assert_eq!(readable("2026-11-22T12:00:00.123Z"), "2026-11-22 12:00 UTC");
        assert_eq!(readable("odd"), "odd");
    }
}
