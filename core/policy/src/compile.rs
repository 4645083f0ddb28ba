//! From a contract to a small Cedar policy set of its own.
//!
//! One set per contract hash, never one global set: evaluation is linear in the set. A grant becomes a `permit`, each
//! limit a `forbid … unless` with `@reason`, so that one evaluation returns every limit that is exceeded. Policies are
//! built as trees and validated strictly against a schema made of exactly the attributes they read; an error that
//! remains at run time is a refusal (`decide`), because Cedar itself skips a policy that errors.

use crate::atom::Atom;
use crate::attribute::Attribute;
use crate::contract::{
    Contract, ContractError, ContractHash, DataTerms, ErrorCode, Grant, Mode, Terms, Then,
};
use crate::counter::{Counted, CounterId};
use crate::expression::{Expression, Reads, all, uid};
use crate::fact::Provenance;
use crate::facts::{ArgValue, Facts};
use crate::limit::Limit;
use crate::reason::Reason;
use crate::verdict::GrantRef;
use cedar_policy::pst::{
    ActionConstraint, Clause, Effect, LinkedHashMap, PolicySet as TreeSet, PrincipalConstraint,
    PstConstructionError, ResourceConstraint, SmolStr, StaticPolicy, Template,
};
use cedar_policy::{
    Authorizer, Decision, Effect as CedarEffect, Entities, EntityId, EntityTypeName, EntityUid, Policy,
    PolicyId, PolicySet, Request, Response, Schema, ValidationMode, Validator,
};
use cedar_policy_core::ast;
use identity::{Audience, Name, UnixTime};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What the policies of one contract look at, by its name in the context.
type Values = Arc<BTreeMap<SmolStr, ast::Value>>;

/// The entity that stands for whichever agent asks: a contract may bind many, and its policies look at none of them.
const PRINCIPAL: (&str, &str) = ("Agent", "bearer");
/// Stands for every action or service that the contract does not name. No [`Name`] or listed audience can be spelled so.
const UNLISTED: &str = "(not in this contract)";
/// Most grants whose permits hold the limits as well: each repeats them.
const JOINED_MAX: usize = 32;

/// A contract, ready to be decided by. Immutable; share it in an `Arc`.
pub struct Compiled {
    contract: Contract,
    policies: PolicySet,
    /// One `permit` a grant that holds all limits as well: most decisions end here. See [`Compiled::evaluate`].
    joined: Option<PolicySet>,
    authorizer: Authorizer,
    entities: Entities,
    principal: EntityUid,
    actions: HashMap<Name, EntityUid>,
    /// Actions of the same number are named by the same grants: no policy tells them apart. See [`Evaluations`].
    alike: HashMap<Name, usize>,
    services: HashMap<Audience, EntityUid>,
    unlisted_action: EntityUid,
    unlisted_service: EntityUid,
    attributes: Vec<(SmolStr, Attribute)>,
    rules: HashMap<PolicyId, Rule>,
    grants: Vec<CompiledGrant>,
    limits: Vec<CompiledLimit>,
    counters: Vec<Counter>,
}

/// Which part of the contract a policy was compiled from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rule {
    Grant(usize),
    Limit(usize),
    Custom(usize),
}

/// A grant with what an explanation needs.
pub(crate) struct CompiledGrant {
    pub(crate) grant: GrantRef,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) business_action: BTreeMap<Name, Arc<str>>,
    pub(crate) data: Option<Arc<DataTerms>>,
}

/// A limit with what an explanation needs.
pub(crate) struct CompiledLimit {
    pub(crate) limit: Limit,
    pub(crate) reason: Reason,
    pub(crate) line: u32,
    pub(crate) text: String,
}

/// What has to be counted for a contract.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// Names it in `Facts::counters`.
    pub id: CounterId,
    /// The most.
    pub max: i64,
    /// Whether the task or instance is over once it is reached.
    pub suspends: bool,
    actions: Arc<BTreeSet<Name>>,
}

impl Counter {
    /// How much a call of `action` with `arguments` takes; `None` when that cannot be told, and the call is refused.
    /// What counts refused calls or different names takes nothing here.
    pub fn taken(&self, action: &Name, arguments: &[(&str, ArgValue<'_>)]) -> Option<i64> {
        let Some(argument) = self.id.counted.argument() else {
            return Some(i64::from(self.id.counted == Counted::Calls));
        };
        if !self.actions.contains(action) {
            return Some(0);
        }
        let mut found = arguments.iter().filter(|(name, _)| *name == argument.as_str());
        match (found.next(), found.next()) {
            (Some((_, ArgValue::Int(amount))), None) if *amount >= 0 => Some(*amount),
            _ => None,
        }
    }

    fn of(terms: &Terms) -> Vec<Self> {
        let none = Arc::new(BTreeSet::new());
        let rates = terms.rate.iter().map(|rate| Self {
            id: CounterId::calls(rate.scope, rate.per.get()),
            max: i64::from(rate.max),
            suspends: false,
            actions: none.clone(),
        });
        let budgets = terms.budgets.iter().map(|budget| Self {
            id: budget.counter(),
            max: budget.max,
            suspends: budget.then == Then::Suspend,
            actions: Arc::new(budget.actions.clone()),
        });
        let mut counters: Vec<Self> = Vec::new();
        // A rate and a budget may look at the same counter: it is counted once.
        for counter in rates.chain(budgets) {
            if !counters.iter().any(|known| known.id == counter.id) {
                counters.push(counter);
            }
        }
        counters
    }
}

impl Compiled {
    /// Compiles and strictly validates `contract`. Takes a few milliseconds; keep the result per contract hash.
    pub fn new(contract: Contract) -> Result<Self, Vec<ContractError>> {
        let asserted = asserted_conditions(&contract);
        if !asserted.is_empty() {
            return Err(asserted);
        }
        let file = contract.file().to_owned();
        Self::build(contract).map_err(|error| vec![not_compilable(file, &error)])
    }

    fn build(contract: Contract) -> Result<Self, CompileError> {
        let terms = contract.terms();
        let mut reads = Reads::default();
        let mut policies = LinkedHashMap::new();
        let mut rules = HashMap::new();
        let mut add = |policy: Template, rule: Rule| -> Result<(), CompileError> {
            rules.insert(PolicyId::new(&policy.id.0), rule);
            policies.insert(
                policy.id.clone(),
                StaticPolicy::try_from(policy).map_err(CompileError::new)?,
            );
            Ok(())
        };
        let mut grants = Vec::with_capacity(terms.grants.len());
        for (place, grant) in terms.grants.iter().enumerate() {
            let compiled = compiled_grant(&contract, grant);
            add(permit(&compiled, grant, &[], &mut reads)?, Rule::Grant(place))?;
            grants.push(compiled);
        }
        let mut limits = Vec::new();
        let mut within = Vec::new();
        for (place, limit) in Limit::of(terms).into_iter().enumerate() {
            let compiled = CompiledLimit {
                reason: limit.reason(),
                line: contract.line(&limit.path()),
                text: limit.text(),
                limit,
            };
            let expression = compiled.limit.expression(&mut reads)?;
            within.push(expression.clone());
            add(forbid(&compiled, expression)?, Rule::Limit(place))?;
            limits.push(compiled);
        }
        let joined = joined(terms, &grants, &within, &mut reads)?;
        let mut customs = Vec::with_capacity(terms.rules.len());
        if !terms.rules.is_empty() {
            reads.0.extend(Attribute::FIXED.iter().cloned());
        }
        for (place, rule) in terms.rules.iter().enumerate() {
            let id = PolicyId::new(format!("rule:{}", rule.id));
            let policy = Policy::parse(Some(id.clone()), &rule.cedar)
                .map_err(|error| CompileError(format!("the rule \"{}\": {error}", rule.id)))?;
            if policy.effect() != CedarEffect::Forbid {
                let why = "a rule only takes away: write forbid";
                return Err(CompileError(format!("the rule \"{}\": {why}", rule.id)));
            }
            rules.insert(id, Rule::Custom(place));
            customs.push(policy);
        }
        if let Some(said) = reads
            .0
            .iter()
            .find(|read| read.fact().provenance() == Provenance::Asserted)
        {
            return Err(CompileError(format!(
                "a policy would depend on an asserted fact: {}",
                said.name()
            )));
        }
        let mut policies = PolicySet::from_pst(TreeSet {
            templates: LinkedHashMap::new(),
            policies,
            template_links: Vec::new(),
        })
        .map_err(CompileError::new)?;
        for custom in customs {
            policies.add(custom).map_err(CompileError::new)?;
        }
        validate(&policies, &reads.0, terms.grants.as_slice())?;
        if let Some(joined) = &joined {
            validate(joined, &reads.0, terms.grants.as_slice())?;
        }
        let named = |grants: &[Grant]| -> (BTreeSet<Name>, BTreeSet<Audience>) {
            (
                grants
                    .iter()
                    .flat_map(|grant| grant.actions.iter().cloned())
                    .collect(),
                grants
                    .iter()
                    .flat_map(|grant| grant.services.iter().cloned())
                    .collect(),
            )
        };
        let (actions, services) = named(&terms.grants);
        Ok(Self {
            alike: alike(terms),
            policies,
            joined,
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
            principal: entity_uid(PRINCIPAL.0, PRINCIPAL.1)?,
            actions: actions
                .into_iter()
                .map(|name| entity_uid("Action", name.as_str()).map(|uid| (name, uid)))
                .collect::<Result<_, _>>()?,
            services: services
                .into_iter()
                .map(|name| entity_uid("Service", name.as_str()).map(|uid| (name, uid)))
                .collect::<Result<_, _>>()?,
            unlisted_action: entity_uid("Action", UNLISTED)?,
            unlisted_service: entity_uid("Service", UNLISTED)?,
            attributes: reads
                .0
                .into_iter()
                .map(|attribute| (attribute.name().into(), attribute))
                .collect(),
            rules,
            grants,
            limits,
            counters: Counter::of(terms),
            contract,
        })
    }

    /// The contract.
    pub const fn contract(&self) -> &Contract {
        &self.contract
    }
    /// The contract's name in every decision.
    pub const fn hash(&self) -> ContractHash {
        self.contract.hash()
    }
    /// Whether its limits hold or are only reported.
    pub const fn mode(&self) -> Mode {
        self.contract.terms().mode
    }
    /// What has to be counted for it.
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }
    /// The policies, for benchmarks and for people who read Cedar.
    pub const fn policy_set(&self) -> &PolicySet {
        &self.policies
    }
    /// The schema (JSON form) of all that these contracts look at, under which the policies of each are well typed.
    pub(crate) fn schema_of(all: &[&Self]) -> serde_json::Value {
        let attributes = all.iter().flat_map(|one| &one.attributes);
        let grants = all.iter().flat_map(|one| &one.contract.terms().grants);
        schema(
            attributes.map(|(_, attribute)| attribute),
            grants.flat_map(|grant| &grant.actions),
        )
    }
    /// The entities that every request is evaluated with.
    pub const fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The Cedar request that `facts` become.
    pub fn request_for(&self, facts: &Facts<'_>, now: UnixTime) -> Result<Request, CompileError> {
        self.request(facts, self.context(facts, now))
    }

    /// What the policies look at.
    fn context(&self, facts: &Facts<'_>, now: UnixTime) -> Values {
        let terms = self.contract.terms();
        // A rule in Cedar may look at anything at any time.
        let all = facts.stage.is_call() || !terms.rules.is_empty();
        let values = self.attributes.iter();
        values
            .filter(|(_, attribute)| all || !attribute.is_of_call())
            .filter_map(|(name, attribute)| Some((name.clone(), attribute.value(facts, terms, now)?)))
            .collect::<BTreeMap<_, _>>()
            .into()
    }

    fn request(&self, facts: &Facts<'_>, context: Values) -> Result<Request, CompileError> {
        let action = self.actions.get(facts.action).unwrap_or(&self.unlisted_action);
        let service = self
            .services
            .get(facts.audience)
            .unwrap_or(&self.unlisted_service);
        Request::new(
            self.principal.clone(),
            action.clone(),
            service.clone(),
            ast::Context::Value(context).into(),
            None,
        )
        .map_err(CompileError::new)
    }

    /// Evaluates the policies. Most requests are allowed, and for those one `permit` that holds every limit says the
    /// same as one `permit` and many `forbid`s that do not apply; only those say which limit was exceeded, so they are
    /// evaluated when the first do not allow. A property test holds the two to the same answer.
    pub(crate) fn evaluate(
        &self,
        facts: &Facts<'_>,
        now: UnixTime,
        known: &mut Evaluations,
    ) -> Result<Response, CompileError> {
        let context = self.context(facts, now);
        // Cedar's own rules may name an action; what we compile does so only in the head of a grant.
        let class = self.alike.get(facts.action).copied();
        let class = class.filter(|_| self.contract.terms().rules.is_empty());
        let Some(class) = class else {
            return Ok(self.evaluate_request(&self.request(facts, context)?));
        };
        let same = |it: &&Evaluation| {
            it.contract == self.hash()
                && it.class == class
                && it.service == *facts.audience
                && it.context == context
        };
        if let Some(found) = known.0.iter().find(same) {
            return Ok(found.response.clone());
        }
        let response = self.evaluate_request(&self.request(facts, context.clone())?);
        known.0.push(Evaluation {
            contract: self.hash(),
            class,
            service: facts.audience.clone(),
            context,
            response: response.clone(),
        });
        Ok(response)
    }

    fn evaluate_request(&self, request: &Request) -> Response {
        if let Some(joined) = &self.joined {
            let response = self.authorizer.is_authorized(request, joined, &self.entities);
            let clean = response.diagnostics().errors().next().is_none();
            if clean && response.decision() == Decision::Allow {
                return response;
            }
        }
        self.evaluate_all(request)
    }

    /// Evaluates every policy.
    pub(crate) fn evaluate_all(&self, request: &Request) -> Response {
        self.authorizer
            .is_authorized(request, &self.policies, &self.entities)
    }
    pub(crate) fn rule(&self, id: &PolicyId) -> Option<Rule> {
        self.rules.get(id).copied()
    }
    pub(crate) fn grants(&self) -> &[CompiledGrant] {
        &self.grants
    }
    pub(crate) fn limits(&self) -> &[CompiledLimit] {
        &self.limits
    }
    /// Adds a policy that no contract compiles to, so that tests can see what happens when one errors.
    #[cfg(test)]
    pub(crate) fn with_policy(mut self, text: &str) -> Self {
        let policy = Policy::parse(Some(PolicyId::new("added")), text).unwrap();
        self.policies.add(policy).unwrap();
        self.joined = None;
        self
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({})", self.hash())
    }
}

/// What was evaluated for one request so far. An exchange asks about every action of a contract, and most differ in
/// nothing that a policy looks at: those are evaluated once.
#[derive(Debug, Default)]
pub struct Evaluations(Vec<Evaluation>);

#[derive(Debug)]
struct Evaluation {
    contract: ContractHash,
    class: usize,
    service: Audience,
    context: Values,
    response: Response,
}

/// Numbers the actions so that those have the same number which the same grants name.
fn alike(terms: &Terms) -> HashMap<Name, usize> {
    let mut naming: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
    for (place, grant) in terms.grants.iter().enumerate() {
        for action in &grant.actions {
            naming.entry(action).or_default().push(place);
        }
    }
    let mut classes: Vec<&Vec<usize>> = Vec::new();
    let mut alike = HashMap::with_capacity(naming.len());
    for (action, grants) in &naming {
        let known = classes.iter().position(|class| *class == grants);
        let class = known.unwrap_or_else(|| {
            classes.push(grants);
            classes.len() - 1
        });
        alike.insert((*action).clone(), class);
    }
    alike
}

/// What the policy engine refused, in its own words: a fault of ours or a value it cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy engine refused: {0}")]
pub struct CompileError(String);

impl CompileError {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<PstConstructionError> for CompileError {
    fn from(error: PstConstructionError) -> Self {
        Self::new(error)
    }
}

fn compiled_grant(contract: &Contract, grant: &Grant) -> CompiledGrant {
    CompiledGrant {
        grant: GrantRef {
            id: grant.id.clone(),
            line: contract.line(&format!("grants.{}", grant.id)),
        },
        atoms: Atom::of(grant),
        business_action: grant
            .business_action
            .iter()
            .map(|(action, words)| (action.clone(), words.as_str().into()))
            .collect(),
        data: grant.data.clone().map(Arc::new),
    }
}

/// The grants as permits that hold every limit; `None` where rules in Cedar have a say, or grants are too many.
fn joined(
    terms: &Terms,
    grants: &[CompiledGrant],
    within: &[Expression],
    reads: &mut Reads,
) -> Result<Option<PolicySet>, CompileError> {
    if !terms.rules.is_empty() || grants.len() > JOINED_MAX {
        return Ok(None);
    }
    let mut policies = LinkedHashMap::new();
    for (compiled, grant) in grants.iter().zip(&terms.grants) {
        let policy = permit(compiled, grant, within, reads)?;
        policies.insert(
            policy.id.clone(),
            StaticPolicy::try_from(policy).map_err(CompileError::new)?,
        );
    }
    PolicySet::from_pst(TreeSet {
        templates: LinkedHashMap::new(),
        policies,
        template_links: Vec::new(),
    })
    .map(Some)
    .map_err(CompileError::new)
}

fn permit(
    compiled: &CompiledGrant,
    grant: &Grant,
    within: &[Expression],
    reads: &mut Reads,
) -> Result<Template, CompileError> {
    let actions: Result<Vec<_>, _> = grant
        .actions
        .iter()
        .map(|action| uid("Action", action.as_str()))
        .collect();
    let conditions: Result<Vec<_>, _> = compiled
        .atoms
        .iter()
        .filter(|atom| !matches!(atom, Atom::Action(_)))
        .map(|atom| atom.expression(reads))
        .chain(within.iter().cloned().map(Ok))
        .collect();
    let policy = Template::new(
        format!("grant:{}", grant.id).as_str(),
        Effect::Permit,
        PrincipalConstraint::Any,
        ActionConstraint::In(actions?),
        ResourceConstraint::Any,
    );
    Ok(policy
        .try_with_clauses([Clause::When(all(conditions?))])?
        .with_annotations(annotations([
            ("grant", grant.id.as_str()),
            ("line", &compiled.grant.line.to_string()),
        ])))
}

fn forbid(compiled: &CompiledLimit, within: Expression) -> Result<Template, CompileError> {
    let policy = Template::new(
        format!("limit:{}", compiled.limit.path()).as_str(),
        Effect::Forbid,
        PrincipalConstraint::Any,
        ActionConstraint::Any,
        ResourceConstraint::Any,
    );
    let clause = Clause::Unless(within);
    Ok(policy.try_with_clauses([clause])?.with_annotations(annotations([
        ("reason", compiled.reason.code()),
        ("limit", &compiled.text),
        ("line", &compiled.line.to_string()),
    ])))
}

fn annotations<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, SmolStr> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

/// Strict validation against a schema of exactly the attributes that the policies read.
fn validate(policies: &PolicySet, reads: &BTreeSet<Attribute>, grants: &[Grant]) -> Result<(), CompileError> {
    let actions = grants.iter().flat_map(|grant| &grant.actions);
    let schema = Schema::from_json_value(schema(reads, actions)).map_err(CompileError::new)?;
    let result = Validator::new(schema).validate(policies, ValidationMode::Strict);
    match result.validation_errors().next() {
        None => Ok(()),
        Some(error) => Err(CompileError::new(error)),
    }
}

/// The schema (JSON form) of exactly these attributes and actions.
fn schema<'a>(
    reads: impl IntoIterator<Item = &'a Attribute>,
    actions: impl IntoIterator<Item = &'a Name>,
) -> serde_json::Value {
    let attributes: serde_json::Map<String, serde_json::Value> = reads
        .into_iter()
        .map(|attribute| (attribute.name(), attribute.schema()))
        .collect();
    let applies = json!({
        "principalTypes": ["Agent"],
        "resourceTypes": ["Service"],
        "context": {"type": "Record", "attributes": attributes},
    });
    let actions: serde_json::Map<String, serde_json::Value> = actions
        .into_iter()
        .map(|action| (action.to_string(), json!({"appliesTo": applies})))
        .collect();
    json!({"": {
        "entityTypes": {"Agent": {}, "Service": {}},
        "actions": actions,
    }})
}

fn entity_uid(kind: &str, id: &str) -> Result<EntityUid, CompileError> {
    let kind = EntityTypeName::from_str(kind).map_err(CompileError::new)?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// Conditions of grants that depend on what the agent or an upstream merely says.
fn asserted_conditions(contract: &Contract) -> Vec<ContractError> {
    let mut errors = Vec::new();
    for grant in &contract.terms().grants {
        for atom in Atom::of(grant)
            .iter()
            .filter(|atom| atom.fact().provenance() == Provenance::Asserted)
        {
            errors.push(ContractError {
                code: ErrorCode::AssertedFact,
                file: contract.file().to_owned(),
                line: contract.line(&format!("grants.{}", grant.id)),
                column: 1,
                path: format!("grants.{}.where", grant.id),
                what: format!("the grant \"{}\" depends on: {atom}", grant.id),
                why: "what an agent or an upstream says about itself is no ground for a right".to_owned(),
                fix: "name an argument of the call instead".to_owned(),
            });
        }
    }
    errors
}

fn not_compilable(file: String, error: &CompileError) -> ContractError {
    ContractError {
        code: ErrorCode::NotCompilable,
        file,
        line: 1,
        column: 1,
        path: String::new(),
        what: error.to_string(),
        why: "what cannot be evaluated would have to be refused every time".to_owned(),
        fix: "simplify the part that the engine names".to_owned(),
    }
}
