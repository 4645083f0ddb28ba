//! When to stop, and what a service manager is told.

use std::os::unix::net::UnixDatagram;
use tokio::signal::unix::{SignalKind, signal};

/// Ready on SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn stop() {
    let on = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "a signal cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = on(SignalKind::interrupt()) => {}
        () = on(SignalKind::terminate()) => {}
        () = on(SignalKind::hangup()) => {}
    }
}

/// Tells the service manager, if one listens (`sd_notify(3)`). One that does not hear is no reason to stop.
pub(crate) fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let sent = UnixDatagram::unbound().and_then(|from| {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;
        match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => {
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                from.send_to_addr(state.as_bytes(), &address)
            }
            None => from.send_to(state.as_bytes(), &socket),
        }
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
