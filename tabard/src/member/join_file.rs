//! The join token, from a file or stdin: never from the command line, which every process of the host can read.

use crate::cli::Failure;
use server::admin::JoinString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest line in bytes: a secret, a pin, a trust domain of 255 and an issuer.
const LINE_BYTES_MAX: u64 = 2048;

/// Reads the line that `tabard join-token create` printed.
pub(super) fn read(path: &Path) -> Result<JoinString, Failure> {
    let failed = |why: String| {
        Failure::new("JOIN_FILE", format!("{} cannot be used to join", path.display()))
            .because(why)
            .fix("Write the line that `tabard join-token create` printed into it, with mode 0600.")
    };
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        std::io::stdin()
            .take(LINE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| failed(error.to_string()))?;
    } else {
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mode = file.metadata().map_err(|error| failed(error.to_string()))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(failed(format!(
                "it has mode {mode:03o}: others could read the secret in it"
            )));
        }
        file.take(LINE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| failed(error.to_string()))?;
    }
    text.parse::<JoinString>()
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_others_can_read_is_refused_and_no_message_holds_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("join");
        let line = format!(
            "tabard-join.{}.{}.dev.tabard@https://127.0.0.1:1",
            "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
            "0".repeat(64)
        );
        std::fs::write(&path, format!("{line}\n")).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let refused = read(&path).unwrap_err().text(str::to_owned);
        assert!(refused.contains("644") && !refused.contains("BwcH"), "{refused}");
        mode(0o600);
        assert_eq!(read(&path).unwrap().to_string(), line);
        std::fs::write(&path, line.replace("@https", "@http")).unwrap();
        let refused = read(&path).unwrap_err().text(str::to_owned);
        assert!(
            refused.contains("not a join token") && !refused.contains("BwcH"),
            "{refused}"
        );
    }
}
