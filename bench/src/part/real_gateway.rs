//! A real `tabard gateway`: the shipped binary, which joins with a token, keeps a journal and refuses on the wire.

use crate::client::Connection;
use crate::fault::{Fault, fault};
use crate::place::Place;
use broker::world::MemberRole;
use credential::sha256;
use http::{Request, StatusCode};
use http_body_util::Full;
use identity::Digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use server::admin::JoinString;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

/// Longest wait until it serves.
const START: Duration = Duration::from_secs(30);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(10);

/// One that serves; killed when dropped.
pub(crate) struct RealGateway {
    pub(crate) address: SocketAddr,
    _process: Child,
    _data: TempDir,
}

impl RealGateway {
    /// Starts the `tabard` beside this program, and waits until it follows the place's server.
    pub(crate) async fn start(place: &Place, number: u32) -> Result<Self, Fault> {
        let program = std::env::current_exe()?.with_file_name("tabard");
        if !program.exists() {
            let what = format!(
                "{} is missing: cargo build --release -p tabard",
                program.display()
            );
            return Err(fault(what));
        }
        let data = tempfile::tempdir()?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let join = JoinString {
            secret: place.join_token(MemberRole::Gateway, number).await?,
            issuer: place.running.issuer().to_owned(),
            trust_domain: place.installation().config.trust_domain.clone(),
            pin: Digest::from_bytes(sha256(&CertificateDer::from_pem_file(place.root_pem())?)),
        };
        let mut process = Command::new(program)
            .args(["gateway", "--join-file", "-", "--listen", &address.to_string()])
            .arg("--public-url")
            .arg(format!("http://{address}"))
            .arg("--data")
            .arg(data.path().join("data"))
            .arg("--kek")
            .arg(data.path().join("kek"))
            .env("TABARD_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = process.stdin.take() {
            stdin.write_all(join.to_string().as_bytes()).await?;
        }
        let said = process
            .stderr
            .take()
            .ok_or_else(|| fault("a gateway without stderr"))?;
        let mut lines = BufReader::new(said).lines();
        let ready = async {
            let mut all = String::new();
            while let Some(line) = lines.next_line().await? {
                if line.contains("until ^C") {
                    return Ok(());
                }
                all.push_str(&line);
            }
            Err(fault(format!("tabard gateway ended: {all}")))
        };
        tokio::time::timeout(START, ready)
            .await
            .map_err(|_| fault("tabard gateway does not start"))??;
        // Whatever it says later goes nowhere, and must not block it.
        drop(tokio::spawn(async move {
            while let Ok(Some(_)) = lines.next_line().await {}
        }));
        let gateway = Self {
            address,
            _process: process,
            _data: data,
        };
        tokio::time::timeout(START, gateway.opened())
            .await
            .map_err(|_| fault("tabard gateway does not open"))??;
        Ok(gateway)
    }

    /// Until it has heard its server: before that every route is closed.
    async fn opened(&self) -> Result<(), Fault> {
        let mut connection = self.connect().await?;
        loop {
            let request = Request::get("/").header("host", self.address.to_string());
            let (status, _, _) = connection.answer(request.body(Full::default())?).await?;
            if status != StatusCode::SERVICE_UNAVAILABLE {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A connection that is kept.
    pub(crate) async fn connect(&self) -> Result<Connection, Fault> {
        Connection::open(self.address, None).await
    }
}
