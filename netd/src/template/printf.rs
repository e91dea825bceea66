//! `printf`.

use std::iter::Peekable;
use std::str::Chars;

use cni::json::Value;

use super::show::show;
use super::{TemplateError, wrong};

/// Nobody reads lines that are longer.
const WIDEST: usize = 4096;

/// How a value is to look.
#[derive(Debug, Default)]
struct Look {
    /// Spaces follow it, where else they are before it.
    left: bool,
    /// At least so many characters.
    width: usize,
    /// At most so many of a text.
    precision: Option<usize>,
}

/// `%s`, `%v`, `%d`, `%t` are the value, `%q` is quoted, `%%` a sign; `-`, a width and, of a text, a
/// precision may be between.
///
/// # Errors
/// What else Go has: text that looks right and is not would be worse.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, TemplateError> {
    let (mut text, mut values) = (String::new(), values.iter());
    let mut signs = format.chars().peekable();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            text.push(sign);
            continue;
        }
        let look = look(&mut signs)?;
        match signs.next() {
            Some('%') => text.push('%'),
            Some(verb @ ('s' | 'v' | 'd' | 't' | 'q')) => match values.next() {
                Some(value) => text.push_str(&look.of(verb, value)?),
                None => text.push_str(&format!("%!{verb}(MISSING)")),
            },
            Some(verb) => {
                return wrong(format!(
                    ":1: printf: {verb:?} in {format:?} is not supported: there are %s %v %d %t %q %%"
                ));
            }
            None => text.push_str("%!(NOVERB)"),
        }
    }
    Ok(text)
}

fn look(signs: &mut Peekable<Chars<'_>>) -> Result<Look, TemplateError> {
    let mut look = Look::default();
    while signs.next_if_eq(&'-').is_some() {
        look.left = true;
    }
    if signs.peek() == Some(&'0') {
        return wrong(":1: printf: flag 0 is not supported: leave it out");
    }
    look.width = number(signs)?;
    if signs.next_if_eq(&'.').is_some() {
        look.precision = Some(number(signs)?);
    }
    Ok(look)
}

/// The number that follows; 0 where there is none.
fn number(signs: &mut Peekable<Chars<'_>>) -> Result<usize, TemplateError> {
    let mut number = 0_usize;
    while let Some(digit) = signs.peek().and_then(|sign| sign.to_digit(10)) {
        signs.next();
        let digit = usize::try_from(digit).unwrap_or_default();
        number = number.saturating_mul(10).saturating_add(digit);
    }
    if number > WIDEST {
        return wrong(format!(":1: printf: a width of more than {WIDEST} is not supported"));
    }
    Ok(number)
}

impl Look {
    fn of(&self, verb: char, value: &Value) -> Result<String, TemplateError> {
        let mut shown = show(value);
        if let Some(precision) = self.precision {
            if !matches!((verb, value), ('s' | 'v' | 'q', Value::String(_))) {
                return wrong(format!(":1: printf: a precision of {shown}, which is no text"));
            }
            shown = shown.chars().take(precision).collect();
        }
        if verb == 'q' {
            shown = format!("{shown:?}");
        }
        let width = self.width;
        Ok(if self.left { format!("{shown:<width$}") } else { format!("{shown:>width$}") })
    }
}
