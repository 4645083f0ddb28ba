//! What a request, or an answer to one of ours, says its body is.

use credential::MediaType;
use http::{HeaderMap, HeaderValue, header};

/// Whether it says that, once, and with whatever parameters.
pub(crate) fn is(headers: &HeaderMap, essence: &str) -> bool {
    let lines = headers.get_all(header::CONTENT_TYPE).iter();
    MediaType::of(lines.map(HeaderValue::as_bytes)).is_some_and(|said| said.is(essence))
}
