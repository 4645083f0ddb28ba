use super::*;
use std::fmt::Write as _;

/// One of each, so that a new variant is missed here by nobody: the table is what clients are told.
fn each() -> Vec<NotIssued> {
    let form = |error| NotIssued::Form(error);
    vec![
        NotIssued::Busy,
        NotIssued::NotAForm,
        NotIssued::Body,
        NotIssued::Slow,
        form(ExchangeFormError::Form(FormError::TooLarge)),
        form(ExchangeFormError::Form(FormError::TooMany)),
        form(ExchangeFormError::Form(FormError::Encoding)),
        form(ExchangeFormError::Form(FormError::Repeated("x".into()))),
        form(ExchangeFormError::OtherGrant),
        form(ExchangeFormError::Missing("subject_token")),
        form(ExchangeFormError::TokenType("subject_token_type")),
        form(ExchangeFormError::ActorTypeAlone),
        form(ExchangeFormError::Target),
        form(ExchangeFormError::Scope),
        form(ExchangeFormError::Details(credential::AgentTaskError::Malformed)),
        form(ExchangeFormError::ClientAssertion),
        NotIssued::SubjectKind,
        NotIssued::ActorKind,
        NotIssued::ClientAssertion,
        NotIssued::RequestedKind,
        NotIssued::NoTarget,
        NotIssued::ManyTargets,
        NotIssued::ManyDetails,
        NotIssued::DetailMember("constraints"),
        NotIssued::ScopeAndActions,
        NotIssued::Scope,
        NotIssued::Subject(Rejection::BadSignature),
        NotIssued::OtherClient,
        NotIssued::NoProof,
        NotIssued::TwoProofs,
        NotIssued::proof(Rejection::BadSignature),
        NotIssued::proof(Rejection::NonceNeeded),
        NotIssued::NotFresh(NotFresh::Replayed),
        NotIssued::NotFresh(NotFresh::Full),
        NotIssued::NotFresh(NotFresh::TooLong),
        NotIssued::NoContract,
        NotIssued::Contract(Uncompilable {
            hash: identity::Digest::default(),
            why: "x".into(),
        }),
        NotIssued::Contended,
        NotIssued::Unrecorded(CommitError::Unavailable),
        NotIssued::Keys(KeyError::Generation),
        NotIssued::OtherClass,
        NotIssued::Backchannel(BackchannelError::Approval),
        NotIssued::Backchannel(BackchannelError::Hint),
        NotIssued::Backchannel(BackchannelError::Unknown),
        NotIssued::Backchannel(BackchannelError::Message),
        NotIssued::Backchannel(BackchannelError::Full),
        NotIssued::Pending,
        NotIssued::TooSoon,
        NotIssued::SaidNo,
        NotIssued::Over,
    ]
}

fn line(name: &str, answer: &OAuthError) -> String {
    let retry = answer
        .retry_after_secs
        .map(|secs| format!(" retry {secs}"))
        .unwrap_or_default();
    format!(
        "{name:<22} {} {}{retry}: {}",
        answer.status.as_u16(),
        answer.error,
        answer.sentence
    )
}

#[test]
fn the_error_table_is_frozen() {
    let mut table = String::new();
    for why in each() {
        writeln!(table, "{}", line(why.code(), &why.answer())).unwrap();
    }
    table.push_str("\nA denial, by its first reason:\n");
    for reason in Reason::ALL {
        let (status, error, sentence) = denied(*reason);
        let answer = OAuthError {
            status,
            error,
            sentence,
            decision: None,
            retry_after_secs: None,
        };
        writeln!(table, "{}", line(reason.code(), &answer)).unwrap();
    }
    insta::assert_snapshot!("error_table", table);
}

#[test]
fn no_sentence_tells_what_was_wrong_with_a_credential() {
    let expired = NotIssued::Subject(Rejection::Expired { by_secs: 5 }).answer();
    for other in [
        Rejection::BadSignature,
        Rejection::UnknownKey,
        Rejection::WrongAudience,
        Rejection::BadSubject,
    ] {
        assert_eq!(NotIssued::Subject(other).answer(), expired);
    }
    let old = NotIssued::proof(Rejection::TooOld { by_secs: 5 }).answer();
    for other in [
        Rejection::BadSignature,
        Rejection::WrongRequest,
        Rejection::PrivateKeySent,
    ] {
        assert_eq!(NotIssued::proof(other).answer(), old);
    }
    assert_eq!(NotIssued::NotFresh(NotFresh::Replayed).answer(), old);
    assert_eq!(NotIssued::NoProof.answer(), old);
}

/// RFC 8693 section 2.2.2: a bad subject token is `invalid_request`, never `invalid_grant`.
#[test]
fn a_bad_subject_token_is_an_invalid_request() {
    assert_eq!(
        NotIssued::Subject(Rejection::BadSignature).answer().error,
        "invalid_request"
    );
    assert!(each().iter().all(|why| why.answer().error != "invalid_grant"));
}

#[test]
fn what_the_server_failed_at_is_never_counted_against_a_caller() {
    for why in each() {
        assert_eq!(
            why.ending() == Ending::Failed,
            why.answer().status.is_server_error(),
            "{why:?}"
        );
    }
}
