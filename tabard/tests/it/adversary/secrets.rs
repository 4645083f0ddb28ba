//! A canary: the secret of an upstream that sends everything it gets back, looked for everywhere.

use super::home::missing;
use super::installation::Installation;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Has bytes that every encoding below changes.
const CANARY: &str = "canary+0417/Zx~9=kept&out???~~~>>>of%sight";

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn percent(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// All forms of the canary in which it would be found. Base64 is looked for at each of its three alignments.
fn forms() -> Vec<(&'static str, String)> {
    let mut forms = vec![
        ("plain", CANARY.to_owned()),
        ("hex", hex(CANARY.as_bytes())),
        ("HEX", hex(CANARY.as_bytes()).to_uppercase()),
        ("percent", percent(CANARY)),
    ];
    for at in 0..3 {
        // Whole groups only: what stands before and after the canary changes the digits at its ends.
        let inner = &CANARY.as_bytes()[at..at + (CANARY.len() - at) / 3 * 3];
        forms.push(("base64", STANDARD_NO_PAD.encode(inner)));
        forms.push(("base64url", URL_SAFE_NO_PAD.encode(inner)));
    }
    forms
}

fn find(bytes: &[u8]) -> Option<&'static str> {
    let has = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
    forms()
        .into_iter()
        .find(|(_, form)| has(form.as_bytes()))
        .map(|(name, _)| name)
}

fn assert_clean(bytes: &[u8], at: &str) {
    assert_eq!(find(bytes), None, "in {at}: {}", String::from_utf8_lossy(bytes));
}

/// Answers every request with all of it and the key in every form, in a header and in the body.
fn echo(mut peer: TcpStream, seen: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match peer.read(&mut buffer)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    seen.lock().unwrap().extend_from_slice(&request);
    // Answers of which the gateway makes an error of its own.
    if request.starts_with(b"GET /refuse ") {
        let answer = format!(
            "HTTP/1.1 401 {CANARY}\r\nwww-authenticate: {CANARY}\r\nconnection: close\r\n\r\n{CANARY}"
        );
        return peer.write_all(answer.as_bytes());
    }
    if request.starts_with(b"GET /break ") {
        return peer.write_all(format!("HTTP/9.9 {CANARY}\r\n{CANARY}\r\n\r\n").as_bytes());
    }
    let mut body = request;
    body.extend_from_slice(b"echoed\n");
    for form in [
        hex(CANARY.as_bytes()),
        hex(CANARY.as_bytes()).to_uppercase(),
        percent(CANARY),
    ] {
        body.extend_from_slice(format!("{form}\n").as_bytes());
    }
    // As it stands inside of a longer text in base64, as Basic credentials do.
    for before in ["", "a", "ab"] {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{before}{CANARY}:c"));
            body.extend_from_slice(format!("{text}\n").as_bytes());
        }
    }
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-echo: {CANARY}\r\nconnection: close\r\n\r\n"
    );
    peer.write_all(head.as_bytes())?;
    peer.write_all(&body)
}

/// A page of memory, on x86-64 and on the arm64 kernels of Debian.
const PAGE_BYTES: usize = 4096;
/// A page is in memory, or swapped out: the two highest bits of its entry (proc_pid_pagemap(5)).
const USED: u64 = 0b11 << 62;

/// What a process can be made to tell: its environment, its command line, and all memory that it could have written to.
/// `None` if it may not be looked into, or is gone.
fn inside(pid: u32) -> Option<Vec<u8>> {
    let of = |name: &str| format!("/proc/{pid}/{name}");
    let maps = std::fs::read_to_string(of("maps")).ok()?;
    let memory = std::fs::File::open(of("mem")).ok()?;
    let pages = std::fs::File::open(of("pagemap")).ok()?;
    let mut all = [
        std::fs::read(of("environ")).ok()?,
        std::fs::read(of("cmdline")).ok()?,
    ]
    .concat();
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).unwrap());
        // An allocator maps far more than it uses: what no page stands behind holds nothing.
        let count = usize::try_from(to - from).unwrap() / PAGE_BYTES;
        let mut entries = vec![0; count * 8];
        if pages
            .read_exact_at(&mut entries, from / PAGE_BYTES as u64 * 8)
            .is_err()
        {
            entries.fill(u8::MAX);
        }
        for (page, entry) in (from..to).step_by(PAGE_BYTES).zip(entries.chunks_exact(8)) {
            let mut bytes = [0; PAGE_BYTES];
            let used = u64::from_le_bytes(entry.try_into().unwrap()) & USED != 0;
            // Guard pages and pages that went away meanwhile cannot be read.
            if used && memory.read_exact_at(&mut bytes, page).is_ok() {
                all.extend_from_slice(&bytes);
            }
        }
    }
    Some(all)
}

/// Every process of the machine that has `ancestor` above it.
fn below(ancestor: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| std::iter::successors(Some(*pid), |pid| parent(*pid)).any(|pid| pid == ancestor))
        .collect()
}

/// Looks into every file below `folder`; how many there were.
fn search(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files += search(&entry.path());
        } else if kind.is_file() {
            // A file may go while it is looked for: the store renames what it writes.
            if let Ok(bytes) = std::fs::read(entry.path()) {
                assert_eq!(find(&bytes), None, "in {}", entry.path().display());
                files += 1;
            }
        }
    }
    files
}

#[test]
fn an_upstreams_secret_is_nowhere_but_at_the_upstream() {
    for before in ["", "a", "ab"] {
        let text = URL_SAFE_NO_PAD.encode(format!("{before}{CANARY}:c"));
        assert!(
            find(text.as_bytes()).is_some(),
            "the search finds it behind {before:?}"
        );
    }
    assert!(find(percent(CANARY).as_bytes()).is_some() && find(hex(CANARY.as_bytes()).as_bytes()).is_some());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = seen.clone();
    std::thread::spawn(move || {
        for peer in listener.incoming().map_while(Result::ok) {
            // A gateway that goes away in the middle is none of this test's business.
            drop(echo(peer, &shown));
        }
    });

    let mut dev = Installation::start();
    let manifest = dev.home.path().join("echo.yaml");
    let text = format!(
        "apiVersion: tabard/v1\nkind: Upstream\nmetadata: {{name: echo}}\naudience: invoices\n\
        base_url: http://127.0.0.1:{port}\nhosts: [echo.demo]\ntenant_header: x-tenant\n\
        credential:\n  api_key: {{header: x-api-key, secret: stdin}}\n\
        routes:\n  - {{method: GET, path: /echo, action: invoices.read, resource: {{type: invoice}}}}\n  \
        - {{method: GET, path: /refuse, action: invoices.read, resource: {{type: invoice}}}}\n  \
        - {{method: GET, path: /break, action: invoices.read, resource: {{type: invoice}}}}\n"
    );
    std::fs::write(&manifest, text).unwrap();
    let mut apply = dev.home.command(&dev.home.tabard);
    apply
        .args(["upstream", "apply"])
        .arg(&manifest)
        .stdin(std::process::Stdio::piped());
    let mut applying = apply.spawn().unwrap();
    applying
        .stdin
        .take()
        .unwrap()
        .write_all(CANARY.as_bytes())
        .unwrap();
    let applied = super::home::Ended::of(applying);
    assert_eq!(applied.code, Some(0), "{}", applied.err);
    assert_clean(
        format!("{}{}", applied.out, applied.err).as_bytes(),
        "`tabard upstream apply`",
    );
    dev.recorded("upstream.published", &["echo"]);

    // The child shows its own environment and command line besides what it was answered.
    let script = "cat /proc/$$/environ /proc/$$/cmdline; curl -si http://echo.demo/echo";
    let ended = dev.billing(&["sh", "-c", script]);
    assert!(
        find(&seen.lock().unwrap()).is_some(),
        "the upstream got the secret: {}\n{}",
        ended.out,
        ended.err
    );
    assert!(
        ended.out.contains("http_proxy=") && ended.out.contains("echoed"),
        "{}\n{}",
        ended.out,
        ended.err
    );
    assert_clean(ended.out.as_bytes(), "the run");
    assert_clean(ended.err.as_bytes(), "the story");
    dev.recorded("gateway.call", &["echo"]);
    // What the gateway says about answers that it can not pass on.
    for (path, code) in [
        ("refuse", "UPSTREAM_CREDENTIAL_REFUSED"),
        ("break", "UPSTREAM_UNREACHABLE"),
    ] {
        let ended = dev.billing(&["curl", "-si", &format!("http://echo.demo/{path}")]);
        assert!(ended.out.contains(code), "{}\n{}", ended.out, ended.err);
        assert_clean(ended.out.as_bytes(), code);
        assert_clean(ended.err.as_bytes(), "the story of an error");
    }
    look_into_a_run(&dev);
    for told in [
        &["upstream", "show", "echo"][..],
        &["audit", "query", "--last", "1h"],
        &["status"],
    ] {
        let shown = dev.tabard(&[&["-o", "json"], told].concat()).ok();
        assert_clean(shown.as_bytes(), &told.join(" "));
    }
    // Every file: data, keys, contexts, logs; while it runs and after it stopped.
    assert!(search(dev.home.path()) > 10);
    dev.stop();
    assert!(search(dev.home.path()) > 10);
}

/// Memory, environment and command line of every process of a run that was answered with the secret in all its forms;
/// then it crashes, and leaves no core dump to look into.
fn look_into_a_run(dev: &Installation) {
    // The answer stays in a variable of the shell: what it was sent is in its memory.
    let script = "ulimit -c unlimited 2>/dev/null; mark=looked-into-4711; \
                  answer=$(curl -si http://echo.demo/echo); echo $$ $(pwd); read go; kill -ABRT $$";
    let mut launch = dev.home.command(&dev.home.tabard);
    launch
        .args(["run", "--as", "demo-billing", "--", "sh", "-c", script])
        .stdin(std::process::Stdio::piped());
    let mut run = launch.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(run.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let (pid, folder) = line.trim_end().split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    let Some(shell) = inside(pid) else {
        missing("looking into another process of one's own uid needs ptrace_scope 0, or root");
        run.kill().unwrap();
        run.wait().unwrap();
        return;
    };
    let holds = |memory: &[u8], text: &[u8]| memory.windows(text.len()).any(|window| window == text);
    // The search would find it: the answer that the secret came in is there.
    assert!(holds(&shell, b"looked-into-4711") && holds(&shell, b"echoed"));
    assert_eq!(find(&shell), None, "in the memory of the run's process");
    // The supervisor above it, which holds the run's socket, and whatever else there is.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let supervisor: u32 = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    for other in below(supervisor).into_iter().chain([run.id()]) {
        // Not even its own user may look into a supervisor; root can.
        if let Some(memory) = inside(other) {
            assert_eq!(find(&memory), None, "in the memory of process {other}");
        }
    }
    // No process of the machine has it in its environment or command line.
    for entry in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        for name in ["environ", "cmdline"] {
            if let Ok(bytes) = std::fs::read(entry.path().join(name)) {
                assert_eq!(find(&bytes), None, "in {}", entry.path().join(name).display());
            }
        }
    }
    run.stdin.take().unwrap().write_all(b"go\n").unwrap();
    run.wait().unwrap();
    assert!(Path::new(folder).starts_with(dev.home.path()), "{folder}");
    let names = ["core".to_owned(), format!("core.{pid}")];
    // The supervisor forbids core files, and what it forbids its run cannot allow itself again.
    let mut cores = std::fs::read_dir(folder).unwrap().map_while(Result::ok);
    assert!(!cores.any(|entry| names.iter().any(|name| entry.file_name() == name.as_str())));
}
