//! The words inside an action.

use cni::json::Value;

use super::{TemplateError, wrong};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `.`
    Dot,
    /// `.Name`; whether it follows what is before without a space.
    Field(String, bool),
    /// `$`, `$name`
    Variable(String),
    /// A function or a keyword.
    Word(String),
    Literal(Value),
    /// `|`, `(`, `)`, `,`, `:=`
    Sign(&'static str),
}

/// The words of an action.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut all = Vec::new();
    let mut rest = text;
    let mut spaced = true;
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            ' ' | '\t' | '\r' | '\n' => {
                spaced = true;
                rest = rest.trim_start();
                continue;
            }
            '"' => quoted(rest)?,
            '`' => raw(rest)?,
            '.' => dot(rest, spaced),
            '$' => {
                let (name, after) = name(rest.get(1..).unwrap_or_default());
                (Token::Variable(name.to_owned()), after)
            }
            '-' | '0'..='9' => number(rest)?,
            _ if first.is_alphabetic() || first == '_' => {
                let (name, after) = name(rest);
                (word(name), after)
            }
            _ => sign(rest)?,
        };
        all.push(token);
        (rest, spaced) = (after, false);
    }
    Ok(all)
}

fn word(name: &str) -> Token {
    match name {
        "true" => Token::Literal(Value::Bool(true)),
        "false" => Token::Literal(Value::Bool(false)),
        "nil" => Token::Literal(Value::Null),
        name => Token::Word(name.to_owned()),
    }
}

fn dot(text: &str, spaced: bool) -> (Token, &str) {
    let after = text.get(1..).unwrap_or_default();
    match name(after) {
        ("", _) => (Token::Dot, after),
        (field, after) => (Token::Field(field.to_owned(), !spaced), after),
    }
}

fn name(text: &str) -> (&str, &str) {
    let end = text.find(|sign: char| !sign.is_alphanumeric() && sign != '_');
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Go's escapes in a text are JSON's, for what people write.
fn quoted(text: &str) -> Result<(Token, &str), TemplateError> {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, sign)| {
        let is_end = *sign == '"' && !is_escaped;
        is_escaped = *sign == '\\' && !is_escaped;
        is_end
    });
    let parts = end.and_then(|(end, _)| text.split_at_checked(end + 1));
    let Some((literal, after)) = parts else { return wrong(":1: unterminated quoted string") };
    match serde_json::from_str(literal) {
        Ok(text) => Ok((Token::Literal(Value::String(text)), after)),
        Err(error) => wrong(format!(":1: {literal}: {error}")),
    }
}

fn raw(text: &str) -> Result<(Token, &str), TemplateError> {
    let inside = text.get(1..).and_then(|inside| inside.split_once('`'));
    let Some((literal, after)) = inside else { return wrong(":1: unterminated raw quoted string") };
    Ok((Token::Literal(Value::String(literal.to_owned())), after))
}

fn number(text: &str) -> Result<(Token, &str), TemplateError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let length = digits.find(|sign: char| !sign.is_ascii_digit() && sign != '.');
    let end = text.len() - digits.len() + length.unwrap_or(digits.len());
    let (number, after) = text.split_at_checked(end).unwrap_or((text, ""));
    match serde_json::from_str(number) {
        Ok(value) => Ok((Token::Literal(Value::Number(value)), after)),
        Err(_) => wrong(format!(":1: bad number syntax: {number:?}")),
    }
}

fn sign(text: &str) -> Result<(Token, &str), TemplateError> {
    for sign in ["|", "(", ")", ",", ":="] {
        if let Some(after) = text.strip_prefix(sign) {
            return Ok((Token::Sign(sign), after));
        }
    }
    let first = text.chars().next().unwrap_or_default();
    wrong(format!(":1: unexpected {first:?} in command"))
}
