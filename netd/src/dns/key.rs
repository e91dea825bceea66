//! Names as they are compared: lower case (RFC 4343), without the last dot.

use hickory_proto::rr::Name;

/// The longest label in bytes (RFC 1035, section 2.3.4).
const LABEL: usize = 63;
/// The longest name in bytes, as text.
const NAME: usize = 253;
/// Digits of a short id, as Docker shows them.
const SHORT: usize = 12;

/// What a question asks for.
pub(super) fn of(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// What somebody wrote; none where no question can ask for it.
pub(super) fn of_text(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let fits = (1..=LABEL).contains(&label.len());
        // Without what is written with an escape in a question's text.
        fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let fits = text.len() <= NAME && text.split('.').all(is_label);
    fits.then(|| text.to_ascii_lowercase())
}

/// The names that a container has by its id.
pub(crate) fn of_id(id: &str) -> impl Iterator<Item = String> {
    let is_hexadecimal = id.len() > SHORT && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let short = id.get(..SHORT).filter(|_| is_hexadecimal);
    short.into_iter().chain([id]).filter_map(of_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_last_dot() {
        for (text, key) in [
            ("Web", Some("web")),
            ("web.", Some("web")),
            ("my_db.Example.ORG", Some("my_db.example.org")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b", None),
            ("b\u{fc}cher", None),
        ] {
            assert_eq!(of_text(text).as_deref(), key, "{text:?}");
            if let (Some(key), Ok(name)) = (key, Name::from_ascii(text)) {
                assert_eq!(of(&name), key, "{text:?}");
            }
        }
        assert_eq!(of_text(&"a".repeat(64)), None);
    }

    #[test]
    fn an_id_is_a_name_where_it_fits_and_a_short_one_where_it_is_hexadecimal() {
        let long = "0123456789abcdef".repeat(4);
        let names = |id: &str| of_id(id).collect::<Vec<_>>();
        // 64 digits fit into no label.
        assert_eq!(names(&long), ["0123456789ab"]);
        assert_eq!(names("0123456789abcdef"), ["0123456789ab", "0123456789abcdef"]);
        assert_eq!(names("0123456789ab"), ["0123456789ab"]);
        assert_eq!(names("pod-7"), ["pod-7"]);
    }
}
