//! The use cases, one module a verb, as pure functions; the World they look at and the Plans they make.
//!
//! Every privileged operation is five lines: *gather* (shell) -> *decide* (here) -> *record* (store) -> *sign*
//! (server) -> *respond* (shell). This crate is the only maker of the proofs that the later steps spend:
//! [`Fresh`], [`Permit`](permit::Permit) and the rest. It has no clock, no random source, no socket and no file.

pub mod admin;
pub mod approve;
pub mod attest;
pub mod behalf;
pub mod chain;
pub mod claims;
pub mod consent;
pub mod directory;
pub mod draft;
pub mod draw;
pub mod enforce;
pub mod exception;
pub mod exchange;
mod facts;
pub mod foresee;
#[doc(hidden)]
pub mod fuzzing;
pub mod home;
pub mod identify;
pub mod inventory;
pub mod issue;
pub mod ledger;
pub mod member;
pub mod overreach;
pub mod pdp;
pub mod permit;
pub mod plan;
pub mod principal;
pub mod refusal;
pub mod replay;
pub mod revoke;
pub mod rotate;
pub mod run;
pub mod service;
pub mod session;
pub mod simulate;
pub mod succession;
pub mod task;
pub mod tighten;
pub mod token_for;
pub mod trust;
pub mod unidentified;
pub mod upstream;
pub mod user;
pub mod webhook;
pub mod world;

pub use draw::Draw;
pub use enforce::CallPermit;
pub use identify::Identified;
pub use permit::Permit;
pub use plan::{Outcome, Plan};
pub use refusal::{Cause, Refusal};
pub use replay::Fresh;
pub use token_for::{log_origin, token_for};
pub use world::{Change, World};
