//! Labels: what a task has seen, and whether what it does next may carry that away.
//!
//! A gateway sees calls and answers, not what a model remembers. So whatever was read in a task is taken to be in
//! everything the task does afterwards: labels only rise. They are raised before a read is forwarded, from the
//! service's definition (or the grant, where that says nothing), and are checked at every sink.

use crate::contract::Sensitivity;
use identity::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who may see something: everyone, or only these.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// Nothing says otherwise.
    #[default]
    Everyone,
    /// These users, groups or channels, by the names that services use.
    Only(BTreeSet<String>),
}

impl Readers {
    /// Whether everyone here may see it there too.
    pub fn within(&self, allowed: &Self) -> bool {
        match (self, allowed) {
            (_, Self::Everyone) => true,
            (Self::Everyone, Self::Only(_)) => false,
            (Self::Only(these), Self::Only(allowed)) => these.is_subset(allowed),
        }
    }
    fn narrow(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Everyone) => {}
            (Self::Everyone, Self::Only(_)) => *self = other.clone(),
            (Self::Only(these), Self::Only(others)) => these.retain(|reader| others.contains(reader)),
        }
    }
}

/// What a task has seen so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Labels {
    /// The most sensitive of it.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// Its domains.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub domains: BTreeSet<Name>,
    /// Who may see all of it.
    #[serde(default)]
    pub readers: Readers,
    /// The untrusted sources in it: services whose content others can write.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taint: BTreeSet<Name>,
    /// Whose data it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tenants: BTreeSet<Name>,
}

impl Labels {
    /// Nothing was seen.
    pub const NONE: Self = Self {
        sensitivity: Sensitivity::Public,
        domains: BTreeSet::new(),
        readers: Readers::Everyone,
        taint: BTreeSet::new(),
        tenants: BTreeSet::new(),
    };

    /// Takes in what else was seen. Labels only rise: joining never lowers one, in whichever order things were seen.
    pub fn join(&mut self, other: &Self) {
        self.sensitivity = self.sensitivity.max(other.sensitivity);
        add(&mut self.domains, &other.domains);
        self.readers.narrow(&other.readers);
        add(&mut self.taint, &other.taint);
        add(&mut self.tenants, &other.tenants);
    }

    /// Whether `self` is at least as high as `other` in every respect.
    pub fn covers(&self, other: &Self) -> bool {
        let mut joined = self.clone();
        joined.join(other);
        joined == *self
    }
}

/// Mostly all are there already: then nothing is copied.
fn add(names: &mut BTreeSet<Name>, others: &BTreeSet<Name>) {
    for name in others {
        if !names.contains(name) {
            names.insert(name.clone());
        }
    }
}

/// What a service says of the data that one of its actions returns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataLabels {
    /// How sensitive.
    pub sensitivity: Sensitivity,
    /// Its domains.
    #[serde(default)]
    pub domains: BTreeSet<Name>,
    /// Who may see it.
    #[serde(default)]
    pub readers: Readers,
    /// Whether others than the org's own people can write into it: mail, web pages, reviews, shared files.
    #[serde(default)]
    pub untrusted: bool,
    /// The fields it returns, where contracts can exclude some.
    #[serde(default)]
    pub fields: BTreeSet<Name>,
}

/// What a service says of an action that carries something out, or changes something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// The most sensitive data that may go there.
    pub clearance: Sensitivity,
    /// Who will see what is sent there.
    #[serde(default)]
    pub readers: Readers,
    /// Whether it leaves the org.
    #[serde(default)]
    pub egress: bool,
    /// Whether it does something that somebody would want to have been asked about.
    #[serde(default)]
    pub consequential: bool,
    /// The arguments that say where it goes, or whom it concerns.
    #[serde(default)]
    pub destinations: Vec<Name>,
}

/// What is known of the flow when a call is decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowFacts<'a> {
    /// What the task and its instance have seen before this call; `None` when that is not known.
    pub labels: Option<&'a Labels>,
    /// What the action returns, by its service's definition.
    pub data: Option<&'a DataLabels>,
    /// What the action carries out, by its service's definition.
    pub sink: Option<&'a Sink>,
    /// Whether there is a destination, and each was named by the opener or stands in the tenant's directory.
    pub trusted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> impl Strategy<Value = BTreeSet<Name>> {
        proptest::collection::btree_set("[a-c]", 0..3)
            .prop_map(|names| names.iter().map(|name| name.parse().unwrap()).collect())
    }

    fn readers() -> impl Strategy<Value = Readers> {
        prop_oneof![
            Just(Readers::Everyone),
            proptest::collection::btree_set("[x-z]", 0..3).prop_map(Readers::Only),
        ]
    }

    pub(crate) fn labels() -> impl Strategy<Value = Labels> {
        (0_usize..4, names(), readers(), names(), names()).prop_map(
            |(sensitivity, domains, readers, taint, tenants)| Labels {
                sensitivity: Sensitivity::ALL[sensitivity],
                domains,
                readers,
                taint,
                tenants,
            },
        )
    }

    proptest! {
        #[test]
        fn labels_never_shrink_and_their_order_means_nothing(a in labels(), b in labels(), c in labels()) {
            let mut once = a.clone();
            once.join(&b);
            prop_assert!(once.covers(&a) && once.covers(&b));
            let mut other = b.clone();
            other.join(&a);
            prop_assert_eq!(&once, &other);
            once.join(&c);
            let mut regrouped = b;
            regrouped.join(&c);
            let mut all = a;
            all.join(&regrouped);
            prop_assert_eq!(once, all);
        }
    }

    #[test]
    fn what_everyone_may_see_is_not_within_what_some_may() {
        let some = Readers::Only(["ann".to_owned()].into());
        assert!(some.within(&Readers::Everyone));
        assert!(!Readers::Everyone.within(&some));
        assert!(Readers::Only(BTreeSet::new()).within(&some));
    }
}
