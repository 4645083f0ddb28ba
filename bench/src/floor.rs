//! Floors: what nobody could do without, on this machine, now.

use crate::cpu;
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::load;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// ES256 in CPU microseconds, keys parsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Es256 {
    pub(crate) sign: f64,
    pub(crate) verify: f64,
}

impl Es256 {
    /// Measures both for some 100 ms.
    pub(crate) fn measure(effort: Effort<'_>) -> Result<Self, Fault> {
        let count = effort.pick(20, 2_000, 2_000);
        let broken = || fault("ES256 does not work here");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| broken())?;
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?;
        // As long as an access token.
        let (message, random) = ([7; 1200], SystemRandom::new());
        let signature = pair.sign(&random, &message).map_err(|_| broken())?;
        let mut good = 0;
        let sign = cpu::micros_each(count, || good += u32::from(pair.sign(&random, &message).is_ok()));
        let verify = cpu::micros_each(count, || {
            good += u32::from(public.verify_sig(&message, signature.as_ref()).is_ok());
        });
        (good == 2 * count)
            .then_some(Self { sign, verify })
            .ok_or_else(broken)
    }

    /// The mean of two: before and after what they are a floor of.
    pub(crate) fn mean(self, other: Self) -> Self {
        Self {
            sign: f64::midpoint(self.sign, other.sign),
            verify: f64::midpoint(self.verify, other.verify),
        }
    }
}

/// Appends to one file from many writers: whoever waits is written and synced together.
pub(crate) struct GroupCommitFile {
    queue: mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)>,
}

impl GroupCommitFile {
    pub(crate) fn create(path: &Path) -> Result<Self, Fault> {
        let mut file = File::create(path)?;
        let (queue, mut waiting) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(4096);
        let write = move || -> std::io::Result<()> {
            let (mut group, mut bytes) = (Vec::new(), Vec::new());
            while waiting.blocking_recv_many(&mut group, 4096) > 0 {
                for (entry, _) in &group {
                    bytes.extend_from_slice(entry);
                }
                file.write_all(&bytes)?;
                file.sync_data()?;
                bytes.clear();
                for (_, written) in group.drain(..) {
                    if written.send(()).is_err() {
                        return Ok(()); // whoever measured has gone
                    }
                }
            }
            Ok(())
        };
        drop(
            std::thread::Builder::new()
                .name("floor-write".into())
                .spawn(write)?,
        );
        Ok(Self { queue })
    }

    pub(crate) async fn append(&self, entry: Vec<u8>) -> Result<(), Fault> {
        let (written, done) = oneshot::channel();
        let stopped = || fault("the file of the floor cannot be written");
        self.queue.send((entry, written)).await.map_err(|_| stopped())?;
        done.await.map_err(|_| stopped())
    }
}

/// 99th percentile of one group commit of one writer beside `folder`, in milliseconds.
pub(crate) async fn commit_p99_ms(folder: &Path, count: u32) -> Result<f64, Fault> {
    let file = GroupCommitFile::create(&folder.join("floor.log"))?;
    let mut times = load::latencies()?;
    for _ in 0..count {
        let begun = Instant::now();
        file.append(vec![7; 1024]).await?;
        load::note(&mut times, begun.elapsed());
    }
    Ok(load::quantile_ms(&times, 0.99))
}

/// 99th percentile of one round trip of a byte over loopback TCP, in milliseconds.
pub(crate) async fn round_trip_p99_ms(count: u32) -> Result<f64, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte).await? > 0 {
            stream.write_all(&byte).await?;
        }
        Ok::<(), std::io::Error>(())
    });
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut times = load::latencies()?;
    for _ in 0..count {
        let begun = Instant::now();
        stream.write_all(&[1]).await?;
        stream.read_exact(&mut [0]).await?;
        load::note(&mut times, begun.elapsed());
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    drop(stream);
    echo.await??;
    Ok(load::quantile_ms(&times, 0.99))
}
