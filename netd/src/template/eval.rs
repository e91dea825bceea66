//! From nodes and data to text.

use cni::json::{Object, Value};

use super::functions::call;
use super::show::show;
use super::{Base, Data, Node, Operand, Pipeline, TemplateError, wrong};

/// The text of nodes.
pub(super) fn render(nodes: &[Node], data: &Data<'_>) -> Result<String, TemplateError> {
    let mut eval = Eval { data, variables: Vec::new(), text: String::new() };
    eval.nodes(nodes, data.root)?;
    Ok(eval.text)
}

struct Eval<'d> {
    data: &'d Data<'d>,
    /// The latest last; `$` is the root.
    variables: Vec<(String, Value)>,
    text: String,
}

impl Eval<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let depth = self.variables.len();
        for node in nodes {
            match node {
                Node::Text(text) => self.text.push_str(text),
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.names.is_empty() {
                        self.text.push_str(&show(&value));
                    } else {
                        self.name(&pipeline.names, [value]);
                    }
                }
                Node::If { test, is_dot, then, otherwise } => {
                    let value = self.pipeline(test, dot)?;
                    let inner = self.variables.len();
                    self.name(&test.names, [value.clone()]);
                    let nodes = if is_true(&value) { then } else { otherwise };
                    let is_dot = *is_dot && is_true(&value);
                    self.nodes(nodes, if is_dot { &value } else { dot })?;
                    self.variables.truncate(inner);
                }
                Node::Range { over, each, otherwise } => self.range(over, each, otherwise, dot)?,
            }
        }
        self.variables.truncate(depth);
        Ok(())
    }

    fn range(
        &mut self,
        over: &Pipeline,
        each: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<(), TemplateError> {
        let items: Vec<(Value, Value)> = match self.pipeline(over, dot)? {
            Value::Array(items) => {
                (0_u64..).map(|at| Value::Number(at.into())).zip(items).collect()
            }
            Value::Object(object) => sorted(&object),
            Value::Null => Vec::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                return wrong(format!(":1: range can't iterate over {}", show(&other)));
            }
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, value) in items {
            let inner = self.variables.len();
            match over.names.as_slice() {
                [_, _] => self.name(&over.names, [key, value.clone()]),
                names => self.name(names, [value.clone()]),
            }
            self.nodes(each, &value)?;
            self.variables.truncate(inner);
        }
        Ok(())
    }

    fn name<const N: usize>(&mut self, names: &[String], values: [Value; N]) {
        self.variables.extend(names.iter().cloned().zip(values));
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or_default())
    }

    fn command(
        &mut self,
        command: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Null) };
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        if let Base::Function(name) = &first.base {
            return self.fields(&call(name, &arguments)?, &first.fields);
        }
        match (arguments.as_slice(), first.fields.as_slice()) {
            ([], _) => self.operand(first, dot),
            ([argument], [method]) => self.method(method, argument),
            _ => wrong(":1: can't give argument to non-function"),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let value = match &operand.base {
            Base::Dot => return self.fields(dot, &operand.fields),
            Base::Variable(name) if name.is_empty() => {
                return self.fields(self.data.root, &operand.fields);
            }
            Base::Variable(name) => {
                let named = self.variables.iter().rev().find(|(known, _)| known == name);
                match named {
                    Some((_, value)) => value.clone(),
                    None => return wrong(format!(":1: undefined variable \"${name}\"")),
                }
            }
            Base::Function(name) => call(name, &[])?,
            Base::Literal(value) => value.clone(),
            Base::Inner(pipeline) => self.pipeline(pipeline, dot)?,
        };
        self.fields(&value, &operand.fields)
    }

    fn fields(&self, value: &Value, fields: &[String]) -> Result<Value, TemplateError> {
        let empty = Value::String(String::new());
        let mut at = value;
        for field in fields {
            at = self.field(at, field)?.unwrap_or(&empty);
        }
        Ok(at.clone())
    }

    /// `None` of one that is left out because it is empty.
    fn field<'v>(&self, value: &'v Value, field: &str) -> Result<Option<&'v Value>, TemplateError> {
        let nothing =
            || format!(":1: executing \"\" at <.{field}>: map has no entry for key {field:?}");
        let Value::Object(object) = value else { return wrong(nothing()) };
        let alias = self.data.aliases.iter().find(|(other, _)| *other == field);
        let found = object.get(field).or_else(|| object.get(alias?.1));
        match found {
            Some(found) => Ok(Some(found)),
            None if self.data.optional.contains(&field) => Ok(None),
            None => wrong(nothing()),
        }
    }

    fn method(&self, method: &str, argument: &Value) -> Result<Value, TemplateError> {
        let of = self.data.methods.get(method).and_then(Value::as_object);
        let (Some(of), Some(key)) = (of, argument.as_str()) else {
            let text = format!(":1: executing \"\" at <.{method}>: {method} has arguments");
            return wrong(text);
        };
        Ok(of.get(key).cloned().unwrap_or_else(|| Value::String(String::new())))
    }
}

/// The members of an object in order of their keys, as Go has maps.
fn sorted(object: &Object) -> Vec<(Value, Value)> {
    let mut all: Vec<(&str, &Value)> = object.iter().collect();
    all.sort_by_key(|(key, _)| *key);
    all.into_iter().map(|(key, value)| (Value::String(key.to_owned()), value.clone())).collect()
}

/// Go's truth: not empty, not zero.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => object.iter().next().is_some(),
    }
}
