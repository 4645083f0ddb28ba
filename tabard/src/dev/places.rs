//! Where a developer's installation keeps things: data, sockets, the key that seals, and the checkpoint that is kept
//! apart from the data.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Folders and files of one `tabard dev`.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Everything durable but what has to be elsewhere.
    pub(crate) data: PathBuf,
    /// Sockets.
    pub(crate) run: PathBuf,
    /// The key-encryption key, outside the data.
    pub(crate) kek: PathBuf,
    /// The newest checkpoint, outside the data.
    pub(crate) checkpoint: PathBuf,
}

/// Longest path of a Unix socket, in bytes (sockaddr_un), less the longest file name of ours in the folder.
const RUN_BYTES_MAX: usize = 107 - 45;

impl Places {
    /// The usual ones, under the user's own folders; all below `data` when that is given.
    pub(crate) fn of(data: Option<PathBuf>) -> Result<Self, String> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let under = |variable: &str, default: &str| {
            let set = std::env::var_os(variable)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute());
            set.or_else(|| home.as_ref().map(|home| home.join(default)))
        };
        let nowhere = || "there is no home directory: set HOME, or say --data DIR".to_owned();
        let (data, state) = match data {
            Some(data) => {
                let data =
                    std::path::absolute(&data).map_err(|error| format!("{}: {error}", data.display()))?;
                let beside = PathBuf::from(format!("{}.keep", data.display()));
                (data, beside)
            }
            None => (
                under("XDG_DATA_HOME", ".local/share")
                    .ok_or_else(nowhere)?
                    .join("tabard/dev"),
                under("XDG_STATE_HOME", ".local/state")
                    .ok_or_else(nowhere)?
                    .join("tabard"),
            ),
        };
        let run = data.join("run");
        if run.as_os_str().len() > RUN_BYTES_MAX {
            return Err(format!(
                "{} is too long for Unix sockets: say --data with a shorter path",
                run.display()
            ));
        }
        Ok(Self {
            kek: state.join("dev.kek"),
            checkpoint: state.join("dev.checkpoint"),
            run,
            data,
        })
    }

    /// Makes the folders, for the owner alone. The folder of the runs' sockets is the one that runs may enter.
    pub(crate) fn make(&self) -> io::Result<()> {
        let apart = self.kek.parent().map(Path::to_owned).unwrap_or_default();
        for folder in [&self.data, &self.run, &apart, &self.gateway()] {
            private(folder)?;
        }
        std::fs::create_dir_all(self.runs())?;
        std::fs::set_permissions(self.runs(), std::fs::Permissions::from_mode(0o711))?;
        Ok(())
    }

    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.run.join("admin.sock")
    }
    pub(crate) fn launch_socket(&self) -> PathBuf {
        self.run.join("launch.sock")
    }
    pub(crate) fn workload_socket(&self) -> PathBuf {
        self.run.join("workload.sock")
    }
    pub(crate) fn runs(&self) -> PathBuf {
        self.run.join("r")
    }
    pub(crate) fn server(&self) -> PathBuf {
        self.data.join("server")
    }
    pub(crate) fn gateway(&self) -> PathBuf {
        self.data.join("gateway")
    }
}

fn private(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}
