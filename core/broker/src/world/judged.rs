//! What an org's policy decision point said of a user, question by question.

use super::UserRight;
use identity::{Audience, Name, OrgId, UnixTime};
use serde::{Deserialize, Serialize};

/// Most answers kept of one user: the newest. A user acts through a few agents at a few services at a time.
const ANSWERS_MAX: usize = 1024;

/// What a decision point was asked: whether the user may do that through that agent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The agent.
    pub agent: Name,
    /// At which service.
    pub service: Audience,
    /// What.
    pub action: Name,
    /// For which tenant.
    pub tenant: Option<Name>,
}

/// Its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// To what.
    pub question: Question,
    /// Whether they may.
    pub yes: bool,
    /// When it was asked: a lower bound of when it was answered.
    pub asked_at: UnixTime,
    /// Until when it need not be asked anew. As its answer said; not after `asked_at` where it said nothing.
    pub fresh_until: UnixTime,
    /// Until when calls may rest on it.
    pub until: UnixTime,
}

/// The newest word of a decision point on a user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Judged {
    /// The org that asks it.
    pub org: OrgId,
    /// Who authenticates the user.
    pub issuer: String,
    /// The issuer's name for them.
    pub subject: String,
    /// Its answers, by question.
    pub answers: Vec<Answer>,
}

impl Judged {
    /// The answer to a question that is good at `now`.
    pub fn answer(
        &self,
        agent: &Name,
        service: &Audience,
        action: &Name,
        tenant: Option<&Name>,
        now: UnixTime,
    ) -> Option<&Answer> {
        let asked = |it: &Question| {
            it.agent == *agent
                && it.service == *service
                && it.action == *action
                && it.tenant.as_ref() == tenant
        };
        self.answers
            .iter()
            .find(|answer| asked(&answer.question) && now < answer.until)
    }

    /// The rights that its answers are at `now`.
    pub fn rights(&self, now: UnixTime) -> impl Iterator<Item = UserRight> {
        let yes = self.answers.iter().filter(move |it| it.yes && now < it.until);
        yes.map(|Answer { question, .. }| UserRight {
            agents: [question.agent.clone()].into(),
            services: [question.service.clone()].into(),
            actions: [question.action.clone()].into(),
            tenants: question.tenant.iter().cloned().collect(),
        })
    }

    /// Whether nothing of it is good any more at `now`.
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.answers.iter().all(|answer| answer.until <= now)
    }

    /// This, and whatever `older` knows besides. Of two answers to one question the one that was asked for later counts;
    /// of two of one instant nobody knows which is newer, and both have to say yes.
    #[must_use]
    pub fn and(mut self, older: &Self) -> Self {
        let newest = self.answers.iter().map(|answer| answer.asked_at).max();
        for known in &older.answers {
            let Some(own) = self.answers.iter_mut().find(|own| own.question == known.question) else {
                if newest.is_none_or(|now| now < known.until) {
                    self.answers.push(known.clone());
                }
                continue;
            };
            if known.asked_at > own.asked_at {
                *own = known.clone();
            } else if known.asked_at == own.asked_at {
                own.yes &= known.yes;
            }
        }
        self.answers
            .sort_by_key(|answer| std::cmp::Reverse(answer.asked_at));
        self.answers.truncate(ANSWERS_MAX);
        self.answers
            .sort_by(|one, other| one.question.cmp(&other.question));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(action: &str, yes: bool, asked_at: u64) -> Answer {
        let asked_at = UnixTime::from_secs(asked_at);
        Answer {
            question: Question {
                agent: "clerk".parse().unwrap(),
                service: "erp".parse().unwrap(),
                action: action.parse().unwrap(),
                tenant: None,
            },
            yes,
            asked_at,
            fresh_until: asked_at,
            until: asked_at.plus_secs(100),
        }
    }

    fn judged(answers: &[Answer]) -> Judged {
        Judged {
            org: OrgId::from_u128(1),
            issuer: "https://idp.example".into(),
            subject: "ann".into(),
            answers: answers.to_vec(),
        }
    }

    #[test]
    fn a_later_answer_counts_in_whatever_order_they_come() {
        let (older, newer) = (
            judged(&[answer("read", true, 10)]),
            judged(&[answer("read", false, 20)]),
        );
        for merged in [newer.clone().and(&older), older.clone().and(&newer)] {
            assert_eq!(merged.answers, newer.answers);
        }
        let both = judged(&[answer("read", true, 20)]).and(&newer);
        assert!(!both.answers[0].yes, "of one instant: both have to say yes");
    }

    #[test]
    fn what_was_not_asked_again_stays_until_it_is_over() {
        let known = judged(&[answer("read", true, 10), answer("list", true, 80)]);
        let merged = judged(&[answer("write", false, 120)]).and(&known);
        let left: Vec<&str> = merged
            .answers
            .iter()
            .map(|it| it.question.action.as_str())
            .collect();
        assert_eq!(left, ["list", "write"]);
    }

    #[test]
    fn no_user_takes_more_room_than_that() {
        let many: Vec<Answer> = (0..2 * ANSWERS_MAX as u64)
            .map(|n| answer(&format!("a{n}"), true, 1000 + n % 50))
            .collect();
        let merged = judged(&[answer("newest", true, 1060)]).and(&judged(&many));
        assert_eq!(merged.answers.len(), ANSWERS_MAX);
        assert!(
            merged
                .answers
                .iter()
                .any(|it| it.question.action.as_str() == "newest")
        );
    }
}
