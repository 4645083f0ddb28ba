//! The log: its newest head, its files, and reading it back.

mod export;
mod files;
mod head;
mod reader;
mod sealer;

pub use export::ExportError;
pub(crate) use export::export;
pub(crate) use files::LogFiles;
pub(crate) use head::Head;
pub use reader::LogReader;
pub(crate) use sealer::{SealedTo, Sealer};
