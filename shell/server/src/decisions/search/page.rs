//! Pages of a search: opaque tokens that name the last result and the search that they belong to.

use super::super::question::{Members, NotAQuestion, object};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credential::sha256;
use serde_json::Value;

/// Results of a page unless the request says otherwise.
const LIMIT: usize = 100;
/// Most results of a page.
const LIMIT_MAX: usize = 1000;
/// Most candidates that are looked at for one page: some 30 ms of processor.
pub(super) const CANDIDATES_MAX: usize = 1000;

/// Which page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Most results.
    pub(super) limit: usize,
    /// The name after which to go on.
    pub(super) after: Option<String>,
    /// Of the search.
    hash: String,
}

impl Wanted {
    pub(super) fn of(members: &Members) -> Result<Self, NotAQuestion> {
        let bytes = serde_json::to_vec(&super::essence(members)).unwrap_or_default();
        let hash: String = URL_SAFE_NO_PAD.encode(sha256(&bytes)).chars().take(11).collect();
        let page = object(members, "page", "page")?;
        let member = |name: &str| {
            page.and_then(|page| page.get(name))
                .filter(|value| !value.is_null())
        };
        let limit = match member("limit") {
            None => LIMIT,
            Some(limit) => limit
                .as_u64()
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| *limit > 0)
                .ok_or(NotAQuestion::Member("page.limit"))?
                .min(LIMIT_MAX),
        };
        let after = match member("token") {
            None => None,
            Some(Value::String(token)) if token.is_empty() => None,
            Some(Value::String(token)) => {
                let (of, last) = token.split_once('.').ok_or(NotAQuestion::Page)?;
                let last = URL_SAFE_NO_PAD.decode(last).map_err(|_| NotAQuestion::Page)?;
                let last = String::from_utf8(last).map_err(|_| NotAQuestion::Page)?;
                if of != hash {
                    return Err(NotAQuestion::Page);
                }
                Some(last)
            }
            Some(_) => return Err(NotAQuestion::Page),
        };
        Ok(Self { limit, after, hash })
    }

    /// The token of the page after `last`.
    pub(super) fn token(&self, last: &str) -> String {
        format!("{}.{}", self.hash, URL_SAFE_NO_PAD.encode(last))
    }

    /// Whether a name is on this page or a later one.
    pub(super) fn is_after(&self, name: &str) -> bool {
        self.after.as_ref().is_none_or(|after| name > after.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted(value: &Value) -> Result<Wanted, NotAQuestion> {
        Wanted::of(value.as_object().unwrap())
    }

    #[test]
    fn a_token_goes_on_where_its_own_search_ended_and_nowhere_else() {
        let first = wanted(&json!({"subject": {"type": "agent"}, "page": {"limit": 1}})).unwrap();
        assert_eq!((first.limit, first.after.clone()), (1, None));
        let token = first.token("alice");
        let next = wanted(&json!({"subject": {"type": "agent"}, "page": {"token": token}})).unwrap();
        assert!(next.is_after("bob") && !next.is_after("alice"));
        for other in [
            json!({"subject": {"type": "user"}, "page": {"token": token}}),
            json!({"subject": {"type": "agent"}, "page": {"token": "x"}}),
            json!({"subject": {"type": "agent"}, "page": {"token": 1}}),
        ] {
            assert_eq!(wanted(&other), Err(NotAQuestion::Page), "{other}");
        }
        for limit in [json!(0), json!(-1), json!("1"), json!(1.5)] {
            let page = json!({"page": {"limit": limit}});
            assert_eq!(wanted(&page), Err(NotAQuestion::Member("page.limit")), "{limit}");
        }
        assert_eq!(
            wanted(&json!({"page": {"limit": 1_000_000}})).unwrap().limit,
            1000
        );
    }
}
