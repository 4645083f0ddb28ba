//! What is counted: the name of one counter, the same in every version of a contract that has it.

use crate::contract::{Parameter, RateScope};
use std::fmt;

/// One counter of the Ledger, apart from whose it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CounterId {
    /// What is counted.
    pub counted: Counted,
    /// What is counted together.
    pub scope: RateScope,
    /// Over how many seconds; 0 for as long as the task or instance lasts.
    pub per_secs: u64,
}

/// What a counter counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Counted {
    /// Calls.
    Calls,
    /// Records asked for by this argument.
    Records(Parameter),
    /// The sum of this argument.
    Value(Parameter),
    /// Refused calls.
    Denials,
    /// Different audiences of credentials.
    Audiences,
    /// Different actions of credentials.
    Actions,
    /// Different domains of data.
    Domains,
}

impl Counted {
    /// The argument whose value is summed, if one is.
    pub const fn argument(&self) -> Option<&Parameter> {
        match self {
            Self::Records(argument) | Self::Value(argument) => Some(argument),
            Self::Calls | Self::Denials | Self::Audiences | Self::Actions | Self::Domains => None,
        }
    }
    /// Whether different names are counted instead of events.
    pub const fn is_distinct(&self) -> bool {
        matches!(self, Self::Audiences | Self::Actions | Self::Domains)
    }
}

impl CounterId {
    /// Whether it is looked at when a credential is asked for. The others are when a call is made.
    pub const fn is_of_exchange(&self) -> bool {
        matches!(self.counted, Counted::Audiences | Counted::Actions)
    }
    /// Calls within a sliding length of time.
    pub const fn calls(scope: RateScope, per_secs: u64) -> Self {
        Self {
            counted: Counted::Calls,
            scope,
            per_secs,
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls => f.write_str("calls"),
            Self::Records(argument) => write!(f, "records:{argument}"),
            Self::Value(argument) => write!(f, "value:{argument}"),
            Self::Denials => f.write_str("denials"),
            Self::Audiences => f.write_str("audiences"),
            Self::Actions => f.write_str("actions"),
            Self::Domains => f.write_str("domains"),
        }
    }
}

impl fmt::Display for CounterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.per_secs == 0 {
            return write!(f, "{}/{}", self.counted, self.scope);
        }
        write!(f, "{}/{}/{}s", self.counted, self.scope, self.per_secs)
    }
}

impl std::str::FromStr for CounterId {
    type Err = &'static str;
    /// Reads what [`fmt::Display`] writes: counters in entries are read again when decisions are replayed.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const NOT_ONE: &str = "not the name of a counter";
        let mut parts = text.split('/');
        let (counted, scope) = (parts.next().ok_or(NOT_ONE)?, parts.next().ok_or(NOT_ONE)?);
        let per_secs = match parts.next() {
            None => 0,
            Some(per) => per
                .strip_suffix('s')
                .and_then(|per| per.parse().ok())
                .ok_or(NOT_ONE)?,
        };
        if parts.next().is_some() {
            return Err(NOT_ONE);
        }
        let argument = |text: &str| text.parse::<Parameter>().map_err(|_| NOT_ONE);
        let counted = match counted.split_once(':') {
            Some(("records", name)) => Counted::Records(argument(name)?),
            Some(("value", name)) => Counted::Value(argument(name)?),
            Some(_) => return Err(NOT_ONE),
            None => match counted {
                "calls" => Counted::Calls,
                "denials" => Counted::Denials,
                "audiences" => Counted::Audiences,
                "actions" => Counted::Actions,
                "domains" => Counted::Domains,
                _ => return Err(NOT_ONE),
            },
        };
        let scope = RateScope::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == scope)
            .ok_or(NOT_ONE)?;
        Ok(Self {
            counted,
            scope,
            per_secs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_as_it_is_written() {
        for text in [
            "calls/agent/60s",
            "value:amount_minor/task/86400s",
            "records:limit/instance",
            "denials/task/300s",
            "domains/task",
        ] {
            assert_eq!(text.parse::<CounterId>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "calls",
            "calls/agent/60",
            "calls/agent/60s/x",
            "sum:x/task",
            "calls/world/1s",
        ] {
            assert!(text.parse::<CounterId>().is_err(), "{text}");
        }
    }
}
