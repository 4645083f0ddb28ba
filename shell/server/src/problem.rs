//! RFC 9457 problem details: how every surface but the OAuth one says no.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What went wrong, for the caller: a fixed sentence, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No such path, or nothing there.
    NotFound,
    /// Another method than the path has.
    MethodNotAllowed,
    /// Entries are for auditors.
    EntriesNotPublic,
    /// Counters are for the host's own monitoring.
    MetricsNotPublic,
    /// The store stopped, or the installation is not founded.
    NotReady,
    /// A file that should be there cannot be read.
    Unreadable,
}

#[derive(Serialize)]
struct Wire {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
}

impl Problem {
    /// Status, code, title, and what to do.
    const fn parts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "There is nothing here.",
                "The endpoints are listed in /.well-known/oauth-authorization-server.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "The endpoint has another method.",
                "Use GET for documents and POST for /oauth/token.",
            ),
            Self::EntriesNotPublic => (
                StatusCode::FORBIDDEN,
                "ENTRIES_NOT_PUBLIC",
                "Entries are not served here; only their hashes are.",
                "An auditor exports them with: tabard audit export",
            ),
            Self::MetricsNotPublic => (
                StatusCode::FORBIDDEN,
                "METRICS_NOT_PUBLIC",
                "Metrics are served to this host and to members of the trust domain.",
                "Scrape them from the host itself, or with an X.509-SVID as client certificate.",
            ),
            Self::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                "NOT_READY",
                "The server cannot record decisions, so it issues nothing.",
                "Ask the operator to look at `tabard status`.",
            ),
            Self::Unreadable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "LOG_UNREADABLE",
                "A part of the log cannot be read.",
                "Ask the operator to run `tabard audit verify`.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, title, detail) = self.parts();
        let wire = Wire {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail,
            code,
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
