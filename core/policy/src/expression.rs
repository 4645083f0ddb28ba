//! Cedar expressions, built as trees. No policy text is ever put together from strings.

use crate::attribute::Attribute;
use cedar_policy::pst::{
    BinaryOp, EntityType, EntityUID, Expr, Literal, Name, NonEmpty, PstConstructionError, UnaryOp, Var,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A Cedar expression.
pub(crate) type Expression = Arc<Expr>;

/// Hands out attribute expressions and remembers which attributes were asked for.
#[derive(Default)]
pub(crate) struct Reads(pub(crate) BTreeSet<Attribute>);

impl Reads {
    /// `context.attribute`
    pub(crate) fn get(&mut self, attribute: Attribute) -> Expression {
        let attr = attribute.name().into();
        self.0.insert(attribute);
        Arc::new(Expr::GetAttr {
            expr: context(),
            attr,
        })
    }
    /// `context has attribute`
    pub(crate) fn has(&mut self, attribute: Attribute) -> Expression {
        let attrs = NonEmpty::new(attribute.name().into());
        self.0.insert(attribute);
        Arc::new(Expr::HasAttr {
            expr: context(),
            attrs,
        })
    }
}

fn context() -> Expression {
    Arc::new(Expr::Var(Var::Context))
}

/// The requested service.
pub(crate) fn resource() -> Expression {
    Arc::new(Expr::Var(Var::Resource))
}

/// A whole number.
pub(crate) fn long(number: i64) -> Expression {
    Arc::new(Expr::Literal(Literal::Long(number)))
}

/// A whole number that is never negative; far larger than any that a contract can hold when it does not fit.
pub(crate) fn count(number: u64) -> Expression {
    long(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `true` or `false`.
pub(crate) fn boolean(value: bool) -> Expression {
    Arc::new(Expr::Literal(Literal::Bool(value)))
}

/// A text.
pub(crate) fn text(text: &str) -> Expression {
    Arc::new(Expr::Literal(Literal::String(text.into())))
}

/// An entity.
pub(crate) fn entity(uid: EntityUID) -> Expression {
    Arc::new(Expr::Literal(Literal::EntityUID(uid)))
}

/// The name of an entity: `kind::"id"`.
pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUID, PstConstructionError> {
    Ok(EntityUID {
        ty: EntityType(Name::unqualified(kind)?),
        eid: id.into(),
    })
}

/// Whether the requested action is one of these.
pub(crate) fn action_in<'a>(
    actions: impl IntoIterator<Item = &'a identity::Name>,
) -> Result<Expression, PstConstructionError> {
    let actions: Result<Vec<_>, _> = actions
        .into_iter()
        .map(|action| uid("Action", action.as_str()).map(entity))
        .collect();
    Ok(binary(
        BinaryOp::Contains,
        set(actions?),
        Arc::new(Expr::Var(Var::Action)),
    ))
}

/// `[items]`
pub(crate) fn set(items: impl IntoIterator<Item = Expression>) -> Expression {
    Arc::new(Expr::Set(items.into_iter().collect()))
}

/// `[texts]`
pub(crate) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Expression {
    set(texts.into_iter().map(|item| text(item.as_ref())))
}

/// `left op right`
pub(crate) fn binary(op: BinaryOp, left: Expression, right: Expression) -> Expression {
    Arc::new(Expr::BinaryOp { op, left, right })
}

/// `!expr`
pub(crate) fn not(expr: Expression) -> Expression {
    Arc::new(Expr::UnaryOp {
        op: UnaryOp::Not,
        expr,
    })
}

/// All of them; `true` for none.
pub(crate) fn all(expressions: impl IntoIterator<Item = Expression>) -> Expression {
    expressions
        .into_iter()
        .reduce(|left, right| binary(BinaryOp::And, left, right))
        .unwrap_or_else(|| boolean(true))
}

/// Any of them; `false` for none.
pub(crate) fn any(expressions: impl IntoIterator<Item = Expression>) -> Expression {
    expressions
        .into_iter()
        .reduce(|left, right| binary(BinaryOp::Or, left, right))
        .unwrap_or_else(|| boolean(false))
}
