//! The World as the data plane looks at it: upstreams compiled, keys parsed. Made anew when the World changes, with
//! everything that did not change taken over; a request loads it once.

use crate::destination::Destination;
use broker::World;
use broker::upstream::delivery;
use broker::world::KeyClass;
use credential::{Jwk, TokenClass, VerifyingKey, VerifyingKeys};
use identity::{Audience, Name, OrgId, OrgScope, UpstreamId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What a view is made with besides the World.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) connect_timeout: Duration,
}

/// One version of the World, ready for requests.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) world: Arc<World>,
    pub(crate) table: Arc<Table>,
    pub(crate) keys: Arc<Keys>,
}

/// Upstreams by what requests call them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    by_id: HashMap<UpstreamId, Arc<Destination>>,
    by_name: HashMap<(OrgId, Name), UpstreamId>,
    by_host: HashMap<(OrgId, String), UpstreamId>,
    /// What agents hand to people, and the name that it is called by.
    delivery: Option<(Name, Arc<Destination>)>,
    /// Every `aud` that this gateway answers to.
    pub(crate) audiences: Vec<Audience>,
    /// Definitions that could not be compiled.
    skipped: usize,
}

/// The keys that access tokens are verified with.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) verifying: VerifyingKeys,
    material: Vec<Arc<broker::world::PublicKey>>,
}

impl View {
    pub(crate) fn of(world: Arc<World>, before: Option<&Self>, reach: &Reach) -> Self {
        let table = match before {
            Some(before) if before.table.is_of(&world) => before.table.clone(),
            _ => Arc::new(Table::of(&world, before.map(|before| &*before.table), reach)),
        };
        let keys = match before {
            Some(before) if before.keys.is_of(&world) => before.keys.clone(),
            _ => Arc::new(Keys::of(&world)),
        };
        Self { world, table, keys }
    }
}

impl Table {
    fn of(world: &World, before: Option<&Self>, reach: &Reach) -> Self {
        let mut table = Self::default();
        for upstream in world.upstreams(OrgScope::Every) {
            let known = before
                .and_then(|before| before.by_id.get(&upstream.id))
                .filter(|known| Arc::ptr_eq(&known.upstream, upstream));
            let made = known
                .cloned()
                .or_else(|| Destination::of(upstream, &reach.tls, reach.connect_timeout).map(Arc::new));
            let Some(destination) = made else {
                tracing::error!(upstream = %upstream.name, "its definition cannot be compiled: it stays closed");
                table.skipped += 1;
                continue;
            };
            table
                .by_name
                .insert((upstream.org, upstream.name.clone()), upstream.id);
            for host in &upstream.hosts {
                table.by_host.insert((upstream.org, host.clone()), upstream.id);
            }
            if !table.audiences.contains(&upstream.audience) {
                table.audiences.push(upstream.audience.clone());
            }
            table.by_id.insert(upstream.id, destination);
        }
        let known = before.and_then(|before| before.delivery.clone());
        table.delivery = known.or_else(|| {
            let upstream = Arc::new(delivery::definition()?);
            let destination = Destination::of(&upstream, &reach.tls, reach.connect_timeout)?;
            Some((upstream.name.clone(), Arc::new(destination)))
        });
        if let Some((_, delivery)) = &table.delivery {
            table.audiences.push(delivery.upstream.audience.clone());
        }
        table
    }

    fn is_of(&self, world: &World) -> bool {
        let mut count = 0;
        let same = world.upstreams(OrgScope::Every).all(|upstream| {
            count += 1;
            self.by_id
                .get(&upstream.id)
                .is_some_and(|known| Arc::ptr_eq(&known.upstream, upstream))
        });
        same && self.skipped == 0 && count == self.by_id.len()
    }

    pub(crate) fn named(&self, org: OrgId, name: &Name) -> Option<&Arc<Destination>> {
        if let Some((own, delivery)) = &self.delivery
            && own == name
        {
            return Some(delivery);
        }
        self.by_name
            .get(&(org, name.clone()))
            .and_then(|id| self.by_id.get(id))
    }

    pub(crate) fn at_host(&self, org: OrgId, host: &str) -> Option<&Arc<Destination>> {
        self.by_host
            .get(&(org, host.to_owned()))
            .and_then(|id| self.by_id.get(id))
    }
}

impl Keys {
    fn of(world: &World) -> Self {
        let material: Vec<_> = world.keys(KeyClass::AccessToken).cloned().collect();
        let verifying = material
            .iter()
            .filter_map(|key| {
                let jwk = Jwk::parse(key.material.as_bytes()).ok()?;
                VerifyingKey::new(&jwk.key, Some(&key.kid), jwk.algorithm?, TokenClass::AccessToken).ok()
            })
            .collect();
        Self {
            verifying: VerifyingKeys::new(verifying),
            material,
        }
    }

    fn is_of(&self, world: &World) -> bool {
        let mut known = self.material.iter();
        world
            .keys(KeyClass::AccessToken)
            .all(|key| known.next().is_some_and(|known| Arc::ptr_eq(known, key)))
            && known.next().is_none()
    }
}
