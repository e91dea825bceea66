//! Commands for nf_tables.

use super::shell::{Line, Tool, quote};
use crate::nft::{
    Chain, ChainId, Element, Rule, Set, SetId, Table, TableId, nft_chain, nft_element, nft_rule,
    nft_set_spec, nft_table, quoted,
};

/// The table and all in it, in one transaction. nft 1.0.6 ignores the block of `create table` but
/// for the comment, and the block of `table` does not mind a table that is there already: only
/// both together are exclusive and complete.
pub(super) fn add_table(table: &Table) -> Vec<Line> {
    let comment = if table.comment.is_empty() {
        String::new()
    } else {
        format!(" {{ comment {}; }}", quoted(&table.comment))
    };
    script(&format!("create table {}{comment}\n{}", table.id, nft_table(table)))
}

pub(super) fn del_table(table: &TableId) -> Vec<Line> {
    nft(format!("delete table {}", quote_id(table)))
}

pub(super) fn add_chain(table: &TableId, chain: &Chain) -> Vec<Line> {
    script(&format!("table {table} {{\n{}}}\n", nft_chain(chain)))
}

pub(super) fn add_set(table: &TableId, set: &Set) -> Vec<Line> {
    let word = if set.data.is_empty() { "set" } else { "map" };
    let spec = quote(&format!("{{ {}; }}", nft_set_spec(set)));
    nft(format!("add {word} {} {} {spec}", quote_id(table), quote(&set.name)))
}

pub(super) fn insert_rule(chain: &ChainId, rule: &Rule) -> Vec<Line> {
    nft(format!("insert rule {} {}", quote_chain(chain), quote(&nft_rule(rule))))
}

/// nft removes rules by their handle only, so the handle of the first equal rule is looked up.
pub(super) fn flush_chain(chain: &ChainId) -> Vec<Line> {
    nft(format!("flush chain {}", quote_chain(chain)))
}

pub(super) fn del_rule(chain: &ChainId, rule: &Rule) -> Vec<Line> {
    let chain = quote_chain(chain);
    let pattern = quote(&format!(
        "s/^[[:space:]]*{} # handle \\([0-9]*\\)$/\\1/p",
        escape_pattern(&nft_rule(rule))
    ));
    let handle = format!(
        "\"$({nft} -s -a list chain {chain} | sed -n {pattern} | head -n 1)\"",
        nft = Line::SELF
    );
    nft(format!("delete rule {chain} handle {handle}"))
}

pub(super) fn add_element(set: &SetId, element: &Element) -> Vec<Line> {
    let element = quote(&format!("{{ {} }}", nft_element(element)));
    nft(format!("add element {} {} {element}", quote_id(&set.table), quote(&set.name)))
}

/// By its key alone: the rest may have been changed.
pub(super) fn del_element(set: &SetId, element: &Element) -> Vec<Line> {
    let key = Element { data: Vec::new(), comment: String::new(), ..element.clone() };
    let key = quote(&format!("{{ {} }}", nft_element(&key)));
    nft(format!("delete element {} {} {key}", quote_id(&set.table), quote(&set.name)))
}

fn nft(args: String) -> Vec<Line> {
    vec![Line::new(Tool::Nft, args)]
}

fn script(text: &str) -> Vec<Line> {
    nft(format!("-f - <<'EOF'\n{text}EOF"))
}

fn quote_id(table: &TableId) -> String {
    format!("{} {}", table.family, quote(&table.name))
}

fn quote_chain(chain: &ChainId) -> String {
    format!("{} {}", quote_id(&chain.table), quote(&chain.name))
}

/// The text as a basic regular expression that matches only it (POSIX, 9.3).
fn escape_pattern(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\/.[]*^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
