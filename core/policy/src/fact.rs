//! Every kind of fact a decision may look at, and where it comes from.
//!
//! This table is the whole of it. The compiler refuses a grant that depends on an `asserted` fact, because that is a
//! right which the agent could give itself by saying so. A limit may look at one: saying less never gives more.

use std::fmt;

/// Where a fact comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Provenance {
    /// Proven by attestation or by our own signature.
    Attested,
    /// Seen by us: the clock, our counters, the very bytes of the request.
    Observed,
    /// Said by whoever opened the task, in an authenticated request.
    Opener,
    /// Said by the decision point that the org named for it, when we asked.
    Pdp,
    /// Said by the agent or by an upstream. Nothing is granted on it.
    Asserted,
}

impl Provenance {
    /// The spelling in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attested => "attested",
            Self::Observed => "observed",
            Self::Opener => "opener",
            Self::Pdp => "pdp",
            Self::Asserted => "asserted",
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $fact:ident = $name:literal, $provenance:ident;)*) => {
        /// A kind of fact.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Fact { $($(#[$doc])* $fact),* }

        impl Fact {
            /// Every kind, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$fact),*];

            /// The name in records and explanations.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$fact => $name),* }
            }
            /// Where it comes from.
            pub const fn provenance(self) -> Provenance {
                match self { $(Self::$fact => Provenance::$provenance),* }
            }
        }
    };
}

facts! {
    /// The org of the agent.
    Org = "org", Attested;
    /// The registered agent.
    Agent = "agent", Attested;
    /// How well its identity is proven.
    Assurance = "assurance", Attested;
    /// Seconds since its evidence was appraised.
    EvidenceAge = "evidence_age", Observed;
    /// Its place in the chain, and the chain's length: only our own server writes chains.
    Link = "link", Attested;
    /// The agent to whom this one passed the work on.
    Next = "next", Attested;
    /// Whether a party stands in the chain twice.
    Loop = "loop", Attested;
    /// The user at the beginning of the chain: authenticated.
    User = "user", Attested;
    /// The groups that the user is in, by the issuer that the org trusts.
    UserGroups = "user.groups", Attested;
    /// Whether the user may do this, by the rights that the org keeps or asks for.
    UserEntitled = "user.entitled", Observed;
    /// What the org's decision point says of that, and how old its word is.
    UserOutside = "user.pdp", Pdp;
    /// The agent process or a child of its run, as the kernel sees it.
    Caller = "caller", Observed;
    /// The task, minted by the broker.
    Task = "task", Attested;
    /// What type of task was opened.
    TaskType = "task.type", Opener;
    /// Who opened it: authenticated.
    TaskOpener = "task.opener", Attested;
    /// The tenant it was opened for.
    TaskTenant = "task.tenant", Opener;
    /// The purpose it was opened for.
    TaskPurpose = "task.purpose", Opener;
    /// When it was opened.
    TaskOpened = "task.opened_at", Observed;
    /// When it ends.
    TaskExpires = "task.expires_at", Observed;
    /// The actions that the credential was issued for.
    TaskScope = "task.scope", Attested;
    /// Exchange or call.
    Stage = "stage", Observed;
    /// What is asked for.
    Action = "action", Observed;
    /// The service that would do it.
    Audience = "audience", Observed;
    /// The kind of thing it would be done to.
    ResourceType = "resource.type", Observed;
    /// Which one.
    ResourceId = "resource.id", Observed;
    /// Whose data that is.
    ResourceTenant = "resource.tenant", Observed;
    /// The arguments, read from exactly the bytes that would be sent.
    Argument = "argument", Observed;
    /// Calls already made, by our own counters.
    Counter = "counter", Observed;
    /// What the task and its instance have seen, by our own labels.
    Labels = "labels", Observed;
    /// What the service's definition says of the data that the action returns.
    ServiceData = "service.data", Observed;
    /// What the service's definition says of where the action leads.
    ServiceSink = "service.sink", Observed;
    /// Whether every destination was named by the opener or stands in the tenant's directory.
    Trusted = "destination.trusted", Opener;
    /// The steps that the task has taken, by our own count.
    Workflow = "workflow", Observed;
    /// Approvals by people for exactly this request.
    Approvals = "approvals", Attested;
    /// When somebody last reviewed the contract.
    Reviewed = "contract.reviewed_at", Observed;
    /// The clock.
    Now = "now", Observed;
    /// What the agent says it is doing.
    Statement = "statement", Asserted;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_merely_says_is_asserted() {
        let asserted: Vec<_> = Fact::ALL
            .iter()
            .filter(|fact| fact.provenance() == Provenance::Asserted)
            .collect();
        assert_eq!(asserted, [&Fact::Statement]);
    }
}
