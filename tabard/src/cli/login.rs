//! `tabard login`, `tabard logout`, `tabard session`: a session of a person at this terminal.
//!
//! With it the command line works from any host, over the same API as on the server's own. A person lets the terminal
//! in from their browser; see docs/how-to/log-in.md.

use super::admin::{Admin, segment};
use super::agent::applied;
use super::https::Https;
use super::page::{Page, text};
use super::{Exit, Failure, Globals, Place};
use crate::context::{self, Context};
use crate::parts::wall_clock;
use crate::terminal_session::{NoKey, TerminalKey, TerminalSession};
use aws_lc_rs::digest::{SHA256, digest};
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use identity::Digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a terminal waits to be let in, at most.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Debug, Args)]
pub(super) struct Login {
    /// The server's address for people, for a server that no context names yet
    #[arg(long, requires_all = ["ca", "name"], value_name = "URL")]
    url: Option<String>,
    /// The server's root certificate (root.pem in its data directory), brought here by hand
    #[arg(long, requires = "url", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What to call the new context
    #[arg(long, requires = "url", value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// Where people are logged in: your own sessions, and all of them for an admin
    List,
    /// End one
    Revoke {
        /// Its id, ses_…
        id: String,
    },
}

/// Asks to be let in, waits, and keeps the session.
pub(super) fn login(login: &Login, globals: &Globals, page: &Page) -> Result<Exit, Failure> {
    let (name, mut context, url) = target(login, globals)?;
    let https = Https::to(&context, &url)?;
    let no_key = |_: NoKey| Failure::new("TERMINAL_KEY", "This terminal's key cannot be used.");
    let key = TerminalKey::generate().map_err(no_key)?;
    let ask = |path: &str, body: &Value| -> Result<(StatusCode, Value), Failure> {
        let proof = key
            .prove("POST", &format!("{url}{path}"), None, wall_clock())
            .map_err(no_key)?;
        let headers = [("authorization", "Tabard new"), ("dpop", proof.as_str())];
        https.call(Method::POST, path, &headers, Some(body))
    };
    let (status, begun) = ask("/v1/terminal-logins", &json!({}))?;
    if status != StatusCode::OK {
        return Err(Failure::of_problem(status.as_u16(), &begun));
    }
    page.note(&format!(
        "Open {} in your browser, and type in",
        text(&begun, "url")
    ));
    page.note(&format!("    {}", text(&begun, "code")));
    let pause = begun
        .get("interval_secs")
        .and_then(Value::as_u64)
        .unwrap_or(2)
        .clamp(1, 30);
    let ticket = json!({"ticket": text(&begun, "ticket")});
    let began = Instant::now();
    let session = loop {
        std::thread::sleep(Duration::from_secs(pause));
        match ask("/v1/terminal-logins/poll", &ticket)? {
            (StatusCode::OK, session) => break session,
            (StatusCode::ACCEPTED, _) if began.elapsed() < PATIENCE => {}
            (status, problem) => return Err(Failure::of_problem(status.as_u16(), &problem)),
        }
    };
    let expires = text(&session, "expires_at");
    let kept = key.session(
        url.clone(),
        text(&session, "name"),
        expires.clone(),
        text(&session, "secret"),
    );
    kept.write(&name)?;
    if context.issuer.is_empty() {
        context.issuer = text(&begun, "issuer");
        context.people = Some(url);
        context::write(&name, &context)?;
    }
    page.note(&format!(
        "You are {} in context {name} until {expires}.",
        kept.name
    ));
    Ok(Exit::Done)
}

/// Which server, and what is known of it.
fn target(login: &Login, globals: &Globals) -> Result<(String, Context, String), Failure> {
    let (Some(url), Some(ca), Some(name)) = (&login.url, &login.ca, &login.name) else {
        let (name, context) = context::read(globals.context.as_deref())?;
        let url = context.people.clone().ok_or_else(|| {
            Failure::new(
                "PEOPLE_NOWHERE",
                format!("context {name} names no address for people"),
            )
            .because("the server had no [people] section when it wrote the context")
            .fix("Say --url, --ca and --name, or restart the server with the section.")
        })?;
        return Ok((name, context, url));
    };
    let ca_file = std::path::absolute(ca).unwrap_or_else(|_| ca.clone());
    let root = CertificateDer::from_pem_file(&ca_file).map_err(|error| {
        Failure::new(
            "CA_PIN",
            format!("{} cannot be read as a certificate", ca_file.display()),
        )
        .because(error.to_string())
        .fix("Copy root.pem from the server's data directory.")
    })?;
    let mut pin = [0; 32];
    pin.copy_from_slice(digest(&SHA256, &root).as_ref());
    let context = Context {
        admin_socket: None,
        issuer: String::new(),
        people: None,
        ca_pin: Digest::from_bytes(pin),
        ca_file,
        log_vkey: None,
        launch_socket: None,
    };
    Ok((name.clone(), context, url.trim_end_matches('/').to_owned()))
}

/// Ends the session of this terminal, on the server and here.
pub(super) fn logout(globals: &Globals, page: &Page) -> Result<Exit, Failure> {
    let (name, context) = context::read(globals.context.as_deref())?;
    let Some(session) = TerminalSession::read(&name)? else {
        page.note("This terminal is not logged in.");
        return Ok(Exit::Done);
    };
    let ended = Admin::terminal(&context, session).and_then(|admin| {
        let all = admin.get("/v1/sessions")?;
        let own = all.as_array().into_iter().flatten();
        let own = own.filter(|it| it.get("own") == Some(&Value::Bool(true)));
        for it in own {
            admin.delete(&format!("/v1/sessions/{}", segment(&text(it, "id"))))?;
        }
        Ok(())
    });
    // Here it ends in any case.
    TerminalSession::forget(&name)?;
    match ended {
        Ok(()) => page.note("Logged out."),
        Err(_) => page.note("Logged out here; the server did not answer, where the session ends by itself."),
    }
    Ok(Exit::Done)
}

/// `tabard session`.
pub(super) fn session(command: &SessionCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        SessionCommand::List => {
            let all = at.admin.get("/v1/sessions")?;
            if page.is_json() {
                page.json(&all);
                return Ok(Exit::Done);
            }
            let row = |it: &Value| {
                vec![
                    text(it, "id"),
                    it.get("principal")
                        .and_then(Value::as_str)
                        .unwrap_or("(user)")
                        .to_owned(),
                    text(it, "surface"),
                    text(it, "way"),
                    text(it, "opened_at"),
                    text(it, "expires_at"),
                ]
            };
            let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
            page.table(
                &["session", "who", "where", "came in by", "since", "until"],
                &rows,
            );
        }
        SessionCommand::Revoke { id } => {
            let done = at.admin.delete(&format!("/v1/sessions/{}", segment(id)))?;
            applied("ended session", &done, page);
        }
    }
    Ok(Exit::Done)
}
