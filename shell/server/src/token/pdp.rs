//! Asks the decision point that an org named for an issuer's users, before the exchange is decided.
//!
//! Its word is a fact and not the decision. It gets two seconds, one attempt, and no redirect; whatever is not an answer to
//! exactly what was asked is none, and says nothing. What its operators may see of a failure is a fixed sentence: nothing
//! that came over the wire gets into the record.

use super::errors::NotIssued;
use crate::content_type;
use crate::fetch::{FetchError, Limits, send};
use crate::installation::Installation;
use crate::tls::trusting;
use broker::pdp::{ANSWER_BYTES_MAX, Asking, NoAnswer, heard};
use broker::world::{DecisionPoint, Judged};
use credential::media_type;
use http::request::Builder;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use std::time::Duration;

/// What an answer may take. An agent waits for it with everything it does for a user.
const ANSWER: Limits = Limits {
    time: Duration::from_secs(2),
    bytes: ANSWER_BYTES_MAX,
};

/// Asks, and records what it says, or that it said nothing. Whether it said something: if not, the decision knows nothing of
/// what the user may do, and refuses.
pub(super) async fn hear(installation: &Installation, asking: &Asking) -> Result<bool, NotIssued> {
    let answered = ask(installation, asking).await;
    let has_spoken = answered.is_ok();
    let source = installation.draw_source(Some(asking.org()), installation.clock.now())?;
    let plan = heard(&installation.store.world(), asking, answered, &mut source.draw());
    drop(installation.store.commit(plan).await?);
    Ok(has_spoken)
}

/// Asks, once.
async fn ask(installation: &Installation, asking: &Asking) -> Result<Judged, NoAnswer> {
    // A decision point that hangs must not take the places of exchanges that need none.
    let _place = installation.hearings.try_acquire().map_err(|_| NoAnswer::Busy)?;
    let asked_at = installation.clock.now();
    let answered = answered(installation, asking).await;
    if let Err(why) = &answered {
        tracing::warn!(pdp = asking.point().url, %why, "a decision point gave no answer");
    }
    let (headers, body) = answered?;
    asking.answers(&body, cache_control(&headers).as_deref(), asked_at)
}

async fn answered(
    installation: &Installation,
    asking: &Asking,
) -> Result<(HeaderMap, bytes::Bytes), NoAnswer> {
    let body = String::from_utf8(asking.request()?).map_err(|_| NoAnswer::Malformed)?;
    let point = asking.point();
    let authorities = point.authorities.as_ref().map(String::as_bytes);
    let tls = trusting(authorities).map_err(|error| unreachable(point, &error.into()))?;
    let request = authorized(installation, asking, Request::post("/"))?
        .header(header::CONTENT_TYPE, media_type::JSON)
        .header(REQUEST_ID, request_id()?);
    let answer = send(tls, &point.url, request, body, ANSWER)
        .await
        .map_err(|error| match error {
            FetchError::Late(_) => NoAnswer::Late,
            FetchError::TooLarge(_) => NoAnswer::TooLarge,
            error => unreachable(point, &error),
        })?;
    if answer.status() != StatusCode::OK {
        return Err(NoAnswer::Status(answer.status().as_u16()));
    }
    if !content_type::is(answer.headers(), media_type::JSON) {
        return Err(NoAnswer::NotJson);
    }
    let (head, body) = answer.into_parts();
    Ok((head.headers, body))
}

/// Why not, for the operator's log: an entry says only that it was so.
fn unreachable(point: &DecisionPoint, error: &FetchError) -> NoAnswer {
    tracing::warn!(pdp = point.url, %error, "a decision point cannot be reached");
    NoAnswer::Unreachable
}

/// AuthZEN section 10.1.5: so that both sides can speak of one request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn request_id() -> Result<String, NoAnswer> {
    let bytes: [u8; 16] = crate::entropy::random().map_err(|_| NoAnswer::Busy)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// With the token that was sealed for it, where there is one.
fn authorized(installation: &Installation, asking: &Asking, request: Builder) -> Result<Builder, NoAnswer> {
    let version = asking.point().secret_version;
    if version == 0 {
        return Ok(request);
    }
    let sealed = &installation.pdp_secrets;
    let secret = sealed
        .get(asking.org(), asking.issuer(), version)
        .map_err(|error| {
            tracing::error!(%error, "a decision point's token cannot be opened");
            NoAnswer::Secret
        })?;
    let mut value = [b"Bearer ", secret.expose().as_slice()].concat();
    let header = HeaderValue::from_bytes(&value).map_err(|_| NoAnswer::Secret);
    zeroize::Zeroize::zeroize(&mut value);
    let mut header = header?;
    header.set_sensitive(true);
    Ok(request.header(header::AUTHORIZATION, header))
}

/// All of the header's lines as one. One that is no text may have said anything: nothing is used again.
fn cache_control(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter();
    let lines: Option<Vec<&str>> = lines.map(|line| line.to_str().ok()).collect();
    lines
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join(","))
}
