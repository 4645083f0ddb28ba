//! What was read before, and where a call carries something: the values that the flow rules look at.

use super::variations::{Dimension, vary};
use crate::contract::{Sensitivity, TrustedFrom};
use crate::flow::{Labels, Readers, Sink};
use identity::Name;
use std::collections::BTreeSet;

/// What the task has seen. Facts that one rule looks at together are varied together.
pub(super) fn labels() -> Dimension {
    let tainted = || Labels {
        taint: Name::unreserved("somewhere").into_iter().collect(),
        ..Labels::NONE
    };
    let mut all = vec![vary("where nobody knows what was read", |scene| {
        scene.labels = None;
    })];
    for sensitivity in Sensitivity::ALL {
        let clean = Labels {
            sensitivity: *sensitivity,
            ..Labels::NONE
        };
        let both = Labels {
            sensitivity: *sensitivity,
            ..tainted()
        };
        all.push(vary(format!("after {sensitivity} data"), move |scene| {
            scene.labels = Some(clean.clone());
        }));
        all.push(vary(
            format!("after {sensitivity} data and untrusted content"),
            move |scene| {
                scene.labels = Some(both.clone());
            },
        ));
    }
    let few = Labels {
        readers: Readers::Only(["somebody".to_owned()].into()),
        ..Labels::NONE
    };
    all.push(vary("after data for few", move |scene| {
        scene.labels = Some(few.clone());
    }));
    let others = Labels {
        tenants: Name::unreserved("somebody-else").into_iter().collect(),
        ..Labels::NONE
    };
    all.push(vary("after another tenant's data", move |scene| {
        scene.labels = Some(others.clone());
    }));
    all
}

/// Where the call carries something, and who named that.
pub(super) fn sinks() -> Dimension {
    let mut all = Vec::new();
    for (clearance, readers) in [
        (Sensitivity::Secret, Readers::Only(["somebody".to_owned()].into())),
        (Sensitivity::Internal, Readers::Everyone),
    ] {
        for (egress, consequential) in [(false, false), (true, false), (false, true), (true, true)] {
            let named: &[&[TrustedFrom]] = if consequential {
                &[&[], &[TrustedFrom::Task], &[TrustedFrom::Directory]]
            } else {
                &[&[]]
            };
            for named in named {
                let sink = Sink {
                    clearance,
                    readers: readers.clone(),
                    egress,
                    consequential,
                    destinations: Vec::new(),
                };
                let mut words = format!("to a place for {clearance} data");
                words.push_str(if egress { " outside" } else { "" });
                words.push_str(if consequential { ", with consequences" } else { "" });
                for from in *named {
                    words = format!("{words}, named by the {from}");
                }
                let named: BTreeSet<TrustedFrom> = named.iter().copied().collect();
                all.push(vary(words, move |scene| {
                    scene.sink = Some(sink.clone());
                    scene.named.clone_from(&named);
                }));
            }
        }
    }
    all
}
