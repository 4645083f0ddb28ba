//! Why a measurement could not be made. Nobody decides by it: it is printed beside the row that stays empty.

/// Any error.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A fault of our own words.
pub(crate) fn fault(why: impl Into<String>) -> Fault {
    Fault::from(why.into())
}
