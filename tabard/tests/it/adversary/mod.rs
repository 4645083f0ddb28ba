//! What an attacker on the same machine can try against the shipped binary, and what stops it.
//!
//! Each test is named after its attack and starts a real `tabard dev`. Where a refusal is recorded, the test reads its
//! entry with `tabard audit`. Attacks on one protocol alone are tested in the crate that speaks it; `docs/adversary.md`
//! lists all of them and where each is.

mod approvals;
mod child_tasks;
mod delegation;
mod exceptions;
mod foresight;
pub(crate) mod home;
mod installation;
mod isolation;
mod neighbours;
mod people;
mod record;
mod revocation;
mod secrets;
mod transcript;
