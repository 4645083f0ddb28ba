//! Keys by which services are known.

use identity::{Name, OrgId, SpiffeId, Thumbprint, UnixTime};
use serde::{Deserialize, Serialize};

/// One key of a service: an administrator issued an SVID for it, or the key before it renewed. An SVID of a service counts
/// as long as its key is here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceKey {
    /// The key.
    pub key: Thumbprint,
    /// Whose service.
    pub org: OrgId,
    /// Its name within the org.
    pub service: Name,
    /// What its SVIDs name.
    pub spiffe_id: SpiffeId,
    /// How long each of its SVIDs lives, in seconds, as the administrator asked.
    pub svid_secs: u64,
    /// When its newest SVID ends; the key is forgotten then.
    pub svid_ends_at: UnixTime,
    /// From when on nothing is renewed, as the administrator said; no renewed SVID ends later.
    pub renewable_until: UnixTime,
    /// The key that an administrator's request proved, and that all of this line come from by renewal.
    pub line: Thumbprint,
    /// How many renewals lie between; no two keys of a line have the same.
    pub turn: u32,
}

/// Keys of one line that are known at once. The newest, the one that asked for it, and those of before whose SVIDs have
/// not ended: who renews at half of their life has three.
const KEPT: u32 = 8;

impl ServiceKey {
    /// Whether `next` leaves it behind. Of two keys that were asked for with one, the later counts: whoever holds the other
    /// finds out at their next question, and so does a thief.
    pub(super) fn is_left_behind(&self, next: &Self) -> bool {
        let other_branch = self.turn >= next.turn;
        let long_ago = self.turn.saturating_add(KEPT) <= next.turn;
        self.line == next.line && self.key != next.key && (other_branch || long_ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Change, Revocation, Target, World};
    use identity::{OrgScope, Revision};
    use proptest::prelude::*;

    const ORG: OrgId = OrgId::from_u128(7);
    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn thumbprint(key: u8) -> Thumbprint {
        Thumbprint::from_bytes([key; 32])
    }

    fn key(service: &str, key: u8, line: u8, turn: u32) -> ServiceKey {
        ServiceKey {
            key: thumbprint(key),
            org: ORG,
            service: service.parse().unwrap(),
            spiffe_id: format!("spiffe://t/acme/svc/{service}").parse().unwrap(),
            svid_secs: 10,
            svid_ends_at: NOW.plus_secs(10),
            renewable_until: NOW.plus_secs(100),
            line: thumbprint(line),
            turn,
        }
    }

    fn set(world: &World, next: ServiceKey) -> World {
        world.apply(&[Change::ServiceKeySet(next)], world.revision().next())
    }

    fn live(world: &World) -> Vec<u8> {
        let all = world.service_keys(OrgScope::Every);
        all.filter_map(|known| known.key.as_bytes().first().copied())
            .collect()
    }

    #[test]
    fn of_two_branches_the_later_counts_and_old_keys_are_forgotten() {
        let world = set(&World::default(), key("edge", 1, 1, 0));
        let world = set(&world, key("edge", 2, 1, 1));
        assert_eq!(live(&world), [1, 2]);
        // The answer was lost: the same key asks again.
        let world = set(&world, key("edge", 3, 1, 1));
        assert_eq!(live(&world), [1, 3]);
        let renews =
            |world: &World, key| world.renews(world.service_key(OrgScope::Every, thumbprint(key)).unwrap());
        assert!(renews(&world, 1) && renews(&world, 3));
        // Its successor asked: it asks for decisions until its SVID ends, and renews no more.
        let world = set(&world, key("edge", 4, 1, 2));
        assert_eq!(live(&world), [1, 3, 4]);
        assert!(!renews(&world, 1) && renews(&world, 3) && renews(&world, 4));
        // With its own key again.
        let world = set(&world, key("edge", 4, 1, 3));
        assert!(!renews(&world, 3) && renews(&world, 4));
        // Another line, and another service, are not concerned.
        let world = set(&world, key("edge", 8, 8, 0));
        let world = set(&world, key("vault", 9, 9, 0));
        let world = set(&world, key("edge", 5, 1, 8));
        assert_eq!(live(&world), [3, 4, 5, 8, 9]);
        assert!(renews(&world, 8) && renews(&world, 9));
    }

    #[test]
    fn a_revocation_and_the_end_take_the_keys_away() {
        let revoke = |world: &World, target| {
            let revocation = Revocation {
                target,
                org: Some(ORG),
                forget_at: NOW,
            };
            world.apply(&[Change::Revoked(revocation)], world.revision().next())
        };
        let world = set(&World::default(), key("edge", 1, 1, 0));
        let world = set(&set(&world, key("edge", 2, 2, 0)), key("vault", 3, 3, 0));
        let edge = Target::Service("spiffe://t/acme/svc/edge".parse().unwrap());
        assert_eq!(live(&revoke(&world, edge)), [3]);
        assert_eq!(live(&revoke(&world, Target::Org(ORG))), [0_u8; 0]);
        assert_eq!(live(&revoke(&world, Target::Org(OrgId::from_u128(8)))), [1, 2, 3]);
        assert!(!world.has_service_keys_over(NOW));
        let until = NOW.plus_secs(10);
        assert!(world.has_service_keys_over(until));
        let after = world.apply(&[Change::RevocationsForgotten { until }], Revision(9));
        assert_eq!(live(&after), [0_u8; 0]);
        assert_eq!(
            live(&world.within(OrgScope::Only(OrgId::from_u128(8)))),
            [0_u8; 0]
        );
    }

    proptest! {
        /// Whoever renews, in whatever order and however often: of what began with one key, two renew at most, eight are known
        /// at most, and the one that was issued last is among both.
        #[test]
        fn of_a_line_two_keys_renew(steps in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..60)) {
            let mut world = set(&World::default(), key("edge", 1, 1, 0));
            for (newest, (who, same)) in (2_u8..).zip(steps) {
                let able: Vec<_> = world.service_keys(OrgScope::Every).filter(|it| world.renews(it)).cloned().collect();
                prop_assert!((1..=2).contains(&able.len()), "{able:?}");
                prop_assert!(live(&world).len() <= 8);
                let asks = able.get(who.index(able.len())).unwrap();
                let named = if same { *asks.key.as_bytes().first().unwrap() } else { newest };
                world = set(&world, key("edge", named, 1, asks.turn + 1));
                let now = world.service_key(OrgScope::Every, thumbprint(named)).unwrap();
                prop_assert!(world.renews(now));
            }
        }
    }
}
