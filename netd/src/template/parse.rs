//! From text to nodes.

use super::token::{Token, tokens};
use super::{Base, Node, Operand, Pipeline, TemplateError, wrong};

/// How deep blocks and parentheses may be in each other.
const DEEPEST: usize = 64;

/// The nodes of a whole template.
pub(super) fn nodes(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        None => Ok(nodes),
        Some(Piece::Action(words)) => wrong(format!(":1: unexpected {}", keyword(&words))),
        Some(Piece::Text(_)) => wrong(":1: unexpected text"),
    }
}

enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// Texts and actions; `{{-` and `-}}` take the spaces beside them away.
fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut all = Vec::new();
    let (mut rest, mut trim) = (text, false);
    loop {
        let (before, action) = match rest.split_once("{{") {
            Some((before, action)) => (before, Some(action)),
            None => (rest, None),
        };
        let before = if trim { before.trim_start() } else { before };
        let Some(action) = action else {
            push(&mut all, before);
            return Ok(all);
        };
        let trims = action.starts_with("- ") || action == "-";
        push(&mut all, if trims { before.trim_end() } else { before });
        let action = if trims { action.get(1..).unwrap_or_default() } else { action };
        let Some(end) = end(action) else { return wrong(":1: unclosed action") };
        let (inside, after) = action.split_at_checked(end).unwrap_or((action, ""));
        rest = after.get(2..).unwrap_or_default();
        trim = inside.ends_with(" -");
        let inside = if trim { inside.strip_suffix('-').unwrap_or(inside) } else { inside };
        let inside = inside.trim();
        if !(inside.starts_with("/*") && inside.ends_with("*/")) {
            all.push(Piece::Action(tokens(inside)?));
        }
    }
}

fn push(all: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        all.push(Piece::Text(text.to_owned()));
    }
}

/// Where an action ends: not inside of a quoted text.
fn end(action: &str) -> Option<usize> {
    let (mut quote, mut is_escaped) = (None, false);
    for (at, sign) in action.char_indices() {
        match quote {
            Some(open) => {
                if sign == open && !is_escaped {
                    quote = None;
                }
                is_escaped = sign == '\\' && !is_escaped && open == '"';
            }
            None if sign == '"' || sign == '`' => quote = Some(sign),
            None if action.get(at..).is_some_and(|rest| rest.starts_with("}}")) => return Some(at),
            None => {}
        }
    }
    None
}

type Pieces = std::vec::IntoIter<Piece>;

/// Nodes up to `end` or `else`, which is given back.
fn block(pieces: &mut Pieces, depth: usize) -> Result<(Vec<Node>, Option<Piece>), TemplateError> {
    if depth > DEEPEST {
        return wrong(":1: blocks are too deep in each other");
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let words = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(words) => words,
        };
        match keyword(&words) {
            "end" | "else" => return Ok((nodes, Some(Piece::Action(words)))),
            "if" | "with" | "range" => nodes.push(structure(&words, pieces, depth + 1)?),
            "define" | "template" | "block" | "break" | "continue" => {
                return wrong(format!(":1: {} is not supported here", keyword(&words)));
            }
            _ => nodes.push(Node::Print(pipeline(&words)?)),
        }
    }
    Ok((nodes, None))
}

fn keyword(words: &[Token]) -> &str {
    if let Some(Token::Word(word)) = words.first() { word } else { "" }
}

fn structure(words: &[Token], pieces: &mut Pieces, depth: usize) -> Result<Node, TemplateError> {
    let word = keyword(words);
    let head = pipeline(words.get(1..).unwrap_or_default())?;
    let (then, end) = block(pieces, depth)?;
    let otherwise = match end {
        None => return wrong(":1: unexpected EOF"),
        Some(Piece::Action(words)) if keyword(&words) == "else" => match words.get(1..) {
            Some(chained) if !chained.is_empty() => vec![structure(chained, pieces, depth + 1)?],
            Some(_) | None => match block(pieces, depth)? {
                (nodes, Some(Piece::Action(words))) if keyword(&words) == "end" => nodes,
                _ => return wrong(":1: unexpected EOF"),
            },
        },
        Some(_) => Vec::new(),
    };
    Ok(match word {
        "range" => Node::Range { over: head, each: then, otherwise },
        word => Node::If { test: head, is_dot: word == "with", then, otherwise },
    })
}

fn pipeline(words: &[Token]) -> Result<Pipeline, TemplateError> {
    let mut reader = Reader { words, depth: 0 };
    let pipeline = reader.pipeline()?;
    match reader.words {
        [] => Ok(pipeline),
        _ => wrong(":1: unexpected \")\" in command"),
    }
}

struct Reader<'t> {
    words: &'t [Token],
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<&'t Token> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        let mut pipeline = Pipeline { names: self.names(), commands: Vec::new() };
        loop {
            let command = self.command()?;
            if command.is_empty() {
                return wrong(":1: missing value for command");
            }
            pipeline.commands.push(command);
            match self.words.first() {
                Some(Token::Sign("|")) => drop(self.next()),
                _ => return Ok(pipeline),
            }
        }
    }

    /// `$a :=` and `$a, $b :=`.
    fn names(&mut self) -> Vec<String> {
        let (names, count) = match self.words {
            [Token::Variable(one), Token::Sign(":="), ..] => (vec![one.clone()], 2),
            [
                Token::Variable(one),
                Token::Sign(","),
                Token::Variable(other),
                Token::Sign(":="),
                ..,
            ] => (vec![one.clone(), other.clone()], 4),
            _ => return Vec::new(),
        };
        self.words = self.words.get(count..).unwrap_or_default();
        names
    }

    fn command(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut operands: Vec<Operand> = Vec::new();
        while let Some(token) = self.words.first() {
            if matches!(token, Token::Sign("|" | ")")) {
                break;
            }
            self.next();
            let base = match token {
                Token::Field(name, true) if !operands.is_empty() => {
                    operands.iter_mut().next_back().into_iter().for_each(|operand| {
                        operand.fields.push(name.clone());
                    });
                    continue;
                }
                Token::Field(name, _) => {
                    operands.push(Operand { base: Base::Dot, fields: vec![name.clone()] });
                    continue;
                }
                Token::Dot => Base::Dot,
                Token::Variable(name) => Base::Variable(name.clone()),
                Token::Word(name) => Base::Function(name.clone()),
                Token::Literal(value) => Base::Literal(value.clone()),
                Token::Sign("(") => Base::Inner(Box::new(self.inner()?)),
                Token::Sign(sign) => return wrong(format!(":1: unexpected {sign:?} in command")),
            };
            operands.push(Operand { base, fields: Vec::new() });
        }
        Ok(operands)
    }

    fn inner(&mut self) -> Result<Pipeline, TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return wrong(":1: parentheses are too deep in each other");
        }
        let inner = self.pipeline()?;
        self.depth -= 1;
        match self.next() {
            Some(Token::Sign(")")) => Ok(inner),
            _ => wrong(":1: unclosed left paren"),
        }
    }
}
