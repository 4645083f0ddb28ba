//! `tabard service renew --watch`: keeps the files of a service fresh.
//!
//! It renews when half of the SVID's life is over, a little earlier or later so that many hosts do not come at once, and
//! tries again with growing pauses where the server cannot be reached. It ends when nothing it could do helps: the server
//! refused, or the SVID has ended. The files stay as they are whenever it is stopped.

use super::folder::{About, Folder};
use super::renewal::renew;
use super::say;
use crate::cli::page::Page;
use crate::cli::{Exit, Failure};
use crate::parts::wall_clock;
use identity::UnixTime;
use std::time::Duration;

/// First and longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// How often it is looked whether an operator wrote other files meanwhile.
const LOOK: Duration = Duration::from_secs(15);
/// How early it is said that the last renewal comes near, in seconds.
const WARN_SECS: u64 = 7 * 86_400;

/// Renews until it is stopped, or until it cannot.
pub(super) fn keep_fresh(folder: &Folder, url: Option<&str>, page: &Page) -> Result<Exit, Failure> {
    let _alone = folder.watch()?;
    let mut seen = None;
    let mut due = UnixTime::from_secs(0);
    let mut pause = PAUSE;
    loop {
        let about = folder.read()?.about;
        let (now, ends) = (wall_clock(), at(&about.expires_at)?);
        if seen.as_ref() != Some(&about.written_at) {
            due = due_at(at(&about.written_at)?, ends, drawn()?);
            pause = PAUSE;
            seen = Some(about.written_at.clone());
            tell(&about, due, now, page)?;
        }
        if ends <= now {
            return Err(Failure::new(
                "SERVICE_SVID_OVER",
                format!("the SVID ended at {}", about.expires_at),
            )
            .because("it could not be renewed in time, and an SVID that has ended renews nothing")
            .fix("Let an operator write a new one: tabard service svid NAME --out DIR")
            .ending(Exit::Over));
        }
        if now < due {
            let left = Duration::from_millis(due.millis_since(now));
            std::thread::sleep(left.min(LOOK));
            continue;
        }
        match renew(folder, url) {
            Ok(issued) => say(&issued, &folder.svid(), page),
            Err(failure) if failure.exit() == Exit::Over => return Err(failure),
            Err(failure) => {
                page.failure(&failure);
                let left = Duration::from_millis(ends.millis_since(now));
                let wait = pause.min(left).mul_f64(0.5 + drawn()?);
                page.note(&format!(
                    "  again in {:.0} s; the SVID is good until {}",
                    wait.as_secs_f64(),
                    about.expires_at
                ));
                std::thread::sleep(wait);
                pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
        }
    }
}

/// What is watched, and what a person has to do in time.
fn tell(about: &About, due: UnixTime, now: UnixTime, page: &Page) -> Result<(), Failure> {
    page.note(&format!(
        "{}: good until {}, renewed at {}",
        about.spiffe_id,
        about.expires_at,
        due.rfc3339()
    ));
    let last = at(&about.renewable_until)?;
    if last <= now.plus_secs(WARN_SECS) {
        page.note(&format!(
            "  it can be renewed until {} only: an operator has to run `tabard service svid` before",
            about.renewable_until
        ));
    }
    Ok(())
}

/// When half of a life is over, give or take a tenth of it. `drawn` is from 0 to 1.
fn due_at(begun: UnixTime, ends: UnixTime, drawn: f64) -> UnixTime {
    let life = Duration::from_millis(ends.millis_since(begun));
    let part = life.mul_f64(0.1_f64.mul_add(drawn - 0.5, 0.5));
    begun.plus_millis(u64::try_from(part.as_millis()).unwrap_or_default())
}

fn at(text: &str) -> Result<UnixTime, Failure> {
    UnixTime::from_rfc3339(text).ok_or_else(|| {
        Failure::new("SERVICE_FILES", format!("{text:?} in service.json is no time"))
            .fix("Let an operator write a new SVID: tabard service svid NAME --out DIR")
    })
}

/// A number from 0 to 1.
fn drawn() -> Result<f64, Failure> {
    let byte = server::entropy::random::<1>().map_err(|error| Failure::new("RUNTIME", error.to_string()))?;
    Ok(byte.iter().map(|byte| f64::from(*byte) / 255.0).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_renewed_about_when_half_of_its_life_is_over() {
        let (begun, ends) = (UnixTime::from_secs(1000), UnixTime::from_secs(1000 + 3600));
        let after = |drawn| due_at(begun, ends, drawn).secs() - 1000;
        assert_eq!((after(0.0), after(0.5), after(1.0)), (1620, 1800, 1980));
        for _ in 0..64 {
            let drawn = drawn().unwrap();
            assert!((0.0..=1.0).contains(&drawn));
        }
    }
}
