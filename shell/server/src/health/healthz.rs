//! `GET /healthz`: the process answers. Says nothing about whether it can work: a supervisor that restarts on this
//! would make a full disk worse.

/// 200 and `ok`.
pub(super) async fn answer() -> &'static str {
    "ok\n"
}
