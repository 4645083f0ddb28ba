//! A service with an API key, in the test's own process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

/// What only the gateway may send.
pub(crate) const KEY: &str = "apart-canary-5f0c1e";
/// What it answers to whoever sends it.
pub(crate) const ANSWER: &str = r#"[{"id":"inv_1"}]"#;

/// Serves until the tests end.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                loop {
                    let mut known = false;
                    let mut any = false;
                    for line in lines.by_ref().map_while(Result::ok) {
                        any = true;
                        if line.is_empty() {
                            break;
                        }
                        known |= line.eq_ignore_ascii_case(&format!("x-api-key: {KEY}"));
                    }
                    if !any {
                        return;
                    }
                    let (status, body) = if known {
                        ("200 OK", ANSWER)
                    } else {
                        ("401 Unauthorized", "{}")
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
