//! The command line by the rules of Go's `flag` package, which flanneld's unit files follow:
//! `-x`, `--x`, `-x=v`, `-x v`; a switch takes its value only by `=`.

use super::draft::Draft;
use super::table::{self, Value};
use super::{OptionsError, Request};

/// What stands on the command line.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    /// Names and values in order.
    pub(super) given: Vec<(&'static str, String)>,
    /// The file of options.
    pub(super) config: Option<String>,
    /// Help or version was asked for.
    pub(super) request: Option<Request>,
}

pub(super) fn parse(args: &[String]) -> Result<CommandLine, OptionsError> {
    let mut line = CommandLine::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, inline) = split(arg)?;
        match name {
            "h" | "help" => {
                line.request = Some(Request::Help);
                return Ok(line);
            }
            "version" if inline != Some("false") => {
                line.request = Some(Request::Version);
                return Ok(line);
            }
            "version" => {}
            "config" => {
                let value = inline.map(str::to_owned).or_else(|| args.next().cloned());
                line.config = Some(value.ok_or_else(|| missing("config", "FILE"))?);
            }
            name => {
                let Some(row) = table::find(name) else {
                    return Err(OptionsError::Usage(format!("there is no option --{name}")));
                };
                let value = match (row.value, inline) {
                    (_, Some(value)) => value.to_owned(),
                    (Value::Switch, None) => "true".to_owned(),
                    (Value::One(word) | Value::Many(word) | Value::List(word), None) => {
                        args.next().cloned().ok_or_else(|| missing(row.name, word))?
                    }
                    (Value::Refused, None) => {
                        let why = Draft::default().put(row, "").err().unwrap_or_default();
                        return Err(OptionsError::Usage(format!("--{}: {why}", row.name)));
                    }
                };
                line.given.push((row.name, value));
            }
        }
    }
    Ok(line)
}

/// The words of a command that clap reads, with flanneld's options written as clap has them: `-x`
/// of the table becomes `--x`. What is not in the table stays as it is.
#[must_use]
pub fn with_two_dashes(words: &[String]) -> Vec<String> {
    let known = |word: &str| {
        let rest =
            word.strip_prefix('-').filter(|rest| rest.len() > 1 && !rest.starts_with('-'))?;
        let name = rest.split_once('=').map_or(rest, |(name, _)| name);
        table::find(name)
            .map(|row| word.replacen(&format!("-{name}"), &format!("--{}", row.name), 1))
    };
    words.iter().map(|word| known(word).unwrap_or_else(|| word.clone())).collect()
}

/// The name, and the value after `=`.
fn split(arg: &str) -> Result<(&str, Option<&str>), OptionsError> {
    let bare = arg.strip_prefix('-').map(|rest| rest.strip_prefix('-').unwrap_or(rest));
    let Some(flag) = bare.filter(|flag| !flag.is_empty() && !flag.starts_with(['-', '='])) else {
        let remedy = "options begin with a dash, and a switch is turned off by --switch=false";
        return Err(OptionsError::Usage(format!("{arg:?} is no option: {remedy}")));
    };
    Ok(flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value))))
}

fn missing(name: &str, word: &str) -> OptionsError {
    OptionsError::Usage(format!("--{name} needs a value: --{name} {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_flannels_get_a_second_dash_and_nothing_else_does() {
        let of = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            with_two_dashes(&words).join(" ")
        };
        assert_eq!(
            of("lease list -etcd-endpoints http://a:1 -etcd-prefix=/x=y -etcd_cafile f"),
            "lease list --etcd-endpoints http://a:1 --etcd-prefix=/x=y --etcd-cafile f"
        );
        for same in ["lease list --etcd-prefix /x -o json", "config set - -h", "-f -v7 -", "--"] {
            assert_eq!(of(same), same);
        }
    }
}
