//! Which file will be executed for a command line: found once, opened once, and executed through that descriptor.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The program of a launch.
#[derive(Debug)]
pub struct Program {
    /// What is executed; for a script its interpreter.
    pub executable: File,
    /// Where that was found.
    pub path: PathBuf,
    /// The arguments it gets, its own name first.
    pub argv: Vec<String>,
    /// The script, if it is one: code that has to be measured beside the executable.
    pub script: Option<PathBuf>,
}

/// Why a command line can not be launched.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// An empty command.
    #[error("there is no command to run")]
    Empty,
    /// Not in any directory of the fixed PATH.
    #[error("{0} was not found in {PATHS}")]
    NotFound(String),
    /// Found, but not a regular executable file.
    #[error("{0} is not an executable file")]
    NotExecutable(PathBuf),
    /// A script whose interpreter is a script, or which names none.
    #[error("{0} is a script without a usable interpreter line")]
    Interpreter(PathBuf),
    /// The file could not be read.
    #[error("{path} can not be read: {error}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Program {
    /// Finds the program of `argv`. A name with a slash is taken from `cwd`, another one is looked up.
    pub fn find(argv: &[String], cwd: &Path) -> Result<Self, ProgramError> {
        let [name, arguments @ ..] = argv else {
            return Err(ProgramError::Empty);
        };
        let path = locate(name, cwd)?;
        let executable = open(&path)?;
        let Some(line) = interpreter_line(&executable, &path)? else {
            return Ok(Self {
                executable,
                path,
                argv: argv.to_vec(),
                script: None,
            });
        };
        let script = path;
        let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line.as_str(), ""));
        let argument = argument.trim();
        let no_interpreter = || ProgramError::Interpreter(script.clone());
        // `env` would execute another program, which would end the binding: do its lookup here.
        let (interpreter, argument) = match (interpreter, argument) {
            ("/usr/bin/env" | "/bin/env", "") => return Err(no_interpreter()),
            ("/usr/bin/env" | "/bin/env", words) => {
                let words = words.strip_prefix("-S ").unwrap_or(words).trim();
                let (name, rest) = words.split_once([' ', '\t']).unwrap_or((words, ""));
                (locate(name, Path::new("/"))?, rest.trim())
            }
            (path, argument) if path.starts_with('/') => (PathBuf::from(path), argument),
            _ => return Err(no_interpreter()),
        };
        let executable = open(&interpreter)?;
        if interpreter_line(&executable, &interpreter)?.is_some() {
            return Err(no_interpreter());
        }
        let mut full = vec![interpreter.display().to_string()];
        if !argument.is_empty() {
            full.push(argument.to_owned());
        }
        full.push(script.display().to_string());
        full.extend_from_slice(arguments);
        Ok(Self {
            executable,
            path: interpreter,
            argv: full,
            script: Some(script),
        })
    }
}

fn locate(name: &str, cwd: &Path) -> Result<PathBuf, ProgramError> {
    if name.contains('/') {
        return Ok(cwd.join(name));
    }
    let candidates = PATHS.split(':').map(|dir| Path::new(dir).join(name));
    candidates
        .into_iter()
        .find(|path| is_executable(path))
        .ok_or_else(|| ProgramError::NotFound(name.to_owned()))
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

fn open(path: &Path) -> Result<File, ProgramError> {
    if !is_executable(path) {
        return Err(ProgramError::NotExecutable(path.to_owned()));
    }
    File::open(path).map_err(|error| ProgramError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// What follows `#!`, if the file begins with it (`execve(2)`: at most 255 bytes are looked at).
fn interpreter_line(file: &File, path: &Path) -> Result<Option<String>, ProgramError> {
    let mut start = Vec::with_capacity(INTERPRETER_BYTES_MAX);
    let read = Start { file, at: 0 }
        .take(INTERPRETER_BYTES_MAX as u64)
        .read_to_end(&mut start);
    read.map_err(|error| ProgramError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let Some(line) = start.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = std::str::from_utf8(line).map_err(|_| ProgramError::Interpreter(path.to_owned()))?;
    Ok(Some(text.trim().to_owned()))
}

/// Reads without moving the file's own position, which its digest starts from.
struct Start<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Start<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let got = self.file.read_at(into, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

const INTERPRETER_BYTES_MAX: usize = 255;
const PATHS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(dir: &Path, text: &str) -> String {
        let path = dir.join("s");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn find(argv: &[&str], cwd: &Path) -> Result<Program, ProgramError> {
        let argv: Vec<_> = argv.iter().map(ToString::to_string).collect();
        Program::find(&argv, cwd)
    }

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        let program = find(&["sh", "-c", "x"], Path::new("/")).unwrap();
        assert!(program.path.ends_with("bin/sh"));
        assert_eq!(program.argv, ["sh", "-c", "x"]);
        assert!(matches!(
            find(&["no-such-thing"], Path::new("/")),
            Err(ProgramError::NotFound(_))
        ));
        assert!(matches!(
            find(&["/etc/passwd"], Path::new("/")),
            Err(ProgramError::NotExecutable(_))
        ));
        assert!(matches!(find(&[], Path::new("/")), Err(ProgramError::Empty)));
    }

    #[test]
    fn a_script_is_run_by_its_interpreter_and_named_for_measurement() {
        let dir = tempfile::tempdir().unwrap();
        for line in ["#!/bin/sh -e\n", "#!/usr/bin/env -S sh -e\n"] {
            let path = script(dir.path(), line);
            let program = find(&["./s", "arg"], dir.path()).unwrap();
            assert!(program.path.ends_with("bin/sh"));
            assert_eq!(program.script.as_deref(), Some(dir.path().join("./s").as_path()));
            assert_eq!(program.argv[1], "-e");
            assert_eq!(program.argv[3], "arg");
            assert!(path.ends_with("/s"));
        }
    }

    #[test]
    fn a_script_run_by_a_script_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "#!relative\n");
        assert!(matches!(
            find(&[&path], dir.path()),
            Err(ProgramError::Interpreter(_))
        ));
    }
}
