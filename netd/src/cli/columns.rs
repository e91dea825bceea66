//! Columns as Docker's tables have them, and the order of names in them.

use std::cmp::Ordering;

/// The least width of a cell, with the spaces after it.
const LEAST: usize = 10;
/// Spaces after the widest cell of a column.
const BETWEEN: usize = 3;

/// Lines whose cells end with tabs, as columns (Go's tabwriter with 10, 1, 3). What is after the last
/// tab of a line is no cell of a column.
pub(super) fn aligned(lines: &[String]) -> String {
    let lines: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for line in &lines {
        let cells = line.len().saturating_sub(1);
        widths.resize(widths.len().max(cells), 0);
        for (width, cell) in widths.iter_mut().zip(line.iter().take(cells)) {
            *width = (cell.chars().count() + BETWEEN).max(LEAST).max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let last = line.len().saturating_sub(1);
        for (at, cell) in line.iter().enumerate() {
            let width = widths.get(at).filter(|_| at < last).copied().unwrap_or(0);
            text.push_str(&format!("{cell:width$}"));
        }
        text.push('\n');
    }
    text
}

/// Whether a name comes before another: numbers in them by value, `net2` before `net10`.
pub(super) fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (of_one, of_other) = (digits(one), digits(other));
        let order = if of_one > 0 && of_other > 0 {
            let (number, rest) = one.split_at(of_one);
            let (other_number, other_rest) = other.split_at(of_other);
            (one, other) = (rest, other_rest);
            let significant = |number: &[u8]| {
                let zeros = number.iter().take_while(|byte| **byte == b'0').count();
                number.get(zeros..).unwrap_or_default().to_vec()
            };
            let (a, b) = (significant(number), significant(other_number));
            a.len().cmp(&b.len()).then(a.cmp(&b)).then(number.len().cmp(&other_number.len()))
        } else {
            let (Some((first, rest)), Some((other_first, other_rest))) =
                (one.split_first(), other.split_first())
            else {
                return one.len().cmp(&other.len());
            };
            (one, other) = (rest, other_rest);
            first.cmp(other_first)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_dockers() {
        let lines = ["NETWORK ID\tNAME\tDRIVER\tSCOPE", "7c74b129c09f\ta\tbridge\tlocal"];
        let text = aligned(&lines.map(str::to_owned));
        assert_eq!(
            text,
            "NETWORK ID     NAME      DRIVER    SCOPE\n7c74b129c09f   a         bridge    local\n"
        );
    }

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["net10", "net2", "a", "net", "net02", "b"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "b", "net", "net2", "net02", "net10"]);
    }
}
