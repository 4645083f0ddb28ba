//! Forms of our pages: read strictly, and only those that carry the token of the visitor's own session.

use super::{HumanPlane, Page, Visit};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use credential::form::FORM_BYTES_MAX;
use credential::{Form, FormError};
use http::StatusCode;
use maud::html;
use std::sync::Arc;

/// A form that a visitor sent from a page of ours. Pages put the token into it with [`Page::token`].
#[derive(Debug)]
pub(crate) struct Posted {
    /// Who.
    pub(crate) visit: Visit,
    /// What they filled in.
    pub(crate) form: Form,
}

impl FromRequest<Arc<HumanPlane>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, human: &Arc<HumanPlane>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit =
            <Visit as axum::extract::FromRequestParts<_>>::from_request_parts(&mut parts, human).await?;
        let form = read(body).await?;
        if form.one("token").is_some_and(|token| visit.made(token)) {
            return Ok(Self { visit, form });
        }
        let page = Page::new("That form is from another session")
            .status(StatusCode::FORBIDDEN)
            .visiting(&visit)
            .body(&html! { p { "Go back, reload the page, and send it again." } });
        Err(page.into_response())
    }
}

/// A form's fields.
pub(super) async fn read(body: axum::body::Body) -> Result<Form, Response> {
    // What breaks off did so before: every request is read whole first (`whole`).
    let read = match axum::body::to_bytes(body, FORM_BYTES_MAX).await {
        Ok(bytes) => Form::parse(&bytes),
        Err(_) => Err(FormError::TooLarge),
    };
    read.map_err(|error| {
        let status = match error {
            FormError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Page::new("That form cannot be read")
            .status(status)
            .body(&html! { p { (error.to_string()) } })
            .into_response()
    })
}
