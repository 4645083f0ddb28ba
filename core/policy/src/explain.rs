//! A verdict as text for operators. Never for callers: it names limits, values and grants.

use crate::compile::Compiled;
use crate::facts::Facts;
use crate::verdict::{Basis, Denial, Verdict};
use identity::UnixTime;
use std::fmt;

/// What was decided and why, then every fact with where it comes from. Ends with a line feed.
pub fn explain(compiled: &Compiled, facts: &Facts<'_>, now: UnixTime, verdict: &Verdict) -> String {
    Explanation {
        compiled,
        facts,
        now,
        verdict,
    }
    .to_string()
}

struct Explanation<'a> {
    compiled: &'a Compiled,
    facts: &'a Facts<'a>,
    now: UnixTime,
    verdict: &'a Verdict,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.facts;
        let asked = format!(
            "{} on {} ({})",
            facts.action,
            facts.audience,
            facts.stage.as_str()
        );
        match self.verdict {
            Verdict::Deny(_) => writeln!(f, "DENY  {asked}")?,
            Verdict::Allow(allowed) => match allowed.basis() {
                Basis::Granted { .. } if allowed.exception().is_some() => {
                    writeln!(f, "ALLOW {asked}: by an exception, would be DENIED")?;
                }
                Basis::Granted {
                    grant,
                    business_action,
                } => {
                    writeln!(f, "ALLOW {asked}")?;
                    writeln!(
                        f,
                        "  by grant {} (line {}): {business_action}",
                        grant.id, grant.line
                    )?;
                }
                Basis::Shadow(_) => writeln!(f, "ALLOW {asked}: shadow mode, would be DENIED")?,
            },
        }
        let metadata = &self.compiled.contract().terms().metadata;
        writeln!(
            f,
            "  contract {} version {} {}",
            metadata.name,
            metadata.version,
            self.compiled.hash()
        )?;
        if let Verdict::Allow(allowed) = self.verdict
            && let Some(used) = allowed.exception()
        {
            let terms = &used.terms;
            let until = terms.until.rfc3339();
            writeln!(
                f,
                "  exception {} until {until}, owned by {}: {}",
                terms.id,
                terms.owner,
                terms.reason.as_str()
            )?;
            write_denial(f, &used.refused)?;
        }
        if let Some(denial) = self.verdict.denial() {
            write_denial(f, denial)?;
        }
        writeln!(f, "facts")?;
        for row in facts.rows(self.now) {
            writeln!(
                f,
                "  {:<22} {:<9} {}",
                row.name,
                row.fact.provenance().as_str(),
                row.text()
            )?;
        }
        Ok(())
    }
}

fn write_denial(f: &mut fmt::Formatter<'_>, denial: &Denial) -> fmt::Result {
    for detail in &denial.reasons {
        write!(f, "  {} (line {}", detail.reason, detail.line)?;
        if let Some(grant) = &detail.grant {
            write!(f, ", grant {grant}")?;
        }
        writeln!(f, ")")?;
        writeln!(f, "    limit  {}", detail.limit)?;
        writeln!(f, "    actual {}", detail.actual)?;
        writeln!(f, "    fix    {}", detail.fix)?;
    }
    if let Some(nearest) = &denial.nearest {
        let failed: Vec<String> = nearest.failed.iter().map(ToString::to_string).collect();
        let grant = &nearest.grant;
        writeln!(
            f,
            "  nearest grant {} (line {}); failed: {}",
            grant.id,
            grant.line,
            failed.join("; ")
        )?;
    }
    writeln!(
        f,
        "  the caller sees {}: {}",
        denial.caller_code(),
        denial.caller_sentence()
    )
}
