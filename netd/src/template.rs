//! Go's templates (`text/template`), the part of them that users of `docker --format` write:
//! fields and chains of fields, `json`, `index`, `range`, `if`, `with`, variables, pipelines, and the
//! functions of [`functions`]. No `define`, `template`, `block`, `break` and `continue`. Objects print
//! as Go's maps do, `map[a:1 b:2]`. The one crate for this, gtmpl, has had no release since 2021.

mod eval;
mod functions;
mod parse;
mod printf;
mod show;
#[cfg(test)]
mod tests;
mod token;

use cni::json::{Object, Value};

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Node>);

/// What a template is about.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// `.` at the start.
    pub root: &'a Value,
    /// Fields that take an argument, as `.Label "k"`: the members of these objects.
    pub methods: &'a Object,
    /// Fields that are left out of JSON where they are empty, and then are the empty text.
    pub optional: &'a [&'a str],
    /// Other names of fields.
    pub aliases: &'a [(&'a str, &'a str)],
}

/// Why a template makes no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template parsing error: template: {0}")]
pub struct TemplateError(pub(crate) String);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    Print(Pipeline),
    /// `if`, or `with`, which makes the value the dot.
    If {
        test: Pipeline,
        is_dot: bool,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipeline,
        each: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands, each with the one before as its last argument; the result may have names.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pipeline {
    names: Vec<String>,
    commands: Vec<Vec<Operand>>,
}

/// A value, and fields of it.
#[derive(Debug, Clone, PartialEq)]
struct Operand {
    base: Base,
    fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Base {
    Dot,
    Variable(String),
    Function(String),
    Literal(Value),
    Inner(Box<Pipeline>),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::nodes(text).map(Self)
    }

    /// Makes the text.
    ///
    /// # Errors
    /// [`TemplateError`], as for a field that there is not.
    pub fn render(&self, data: &Data<'_>) -> Result<String, TemplateError> {
        eval::render(&self.0, data)
    }
}

fn wrong<T>(text: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(text.into()))
}
