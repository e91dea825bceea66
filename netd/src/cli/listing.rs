//! Lists as Docker's `ls` and `ps` print them: `--format` as a table, a raw form, JSON or a template.

use cni::json::{Object, Value};

use super::columns::aligned;
use crate::template::{Data, Template, TemplateError};

/// What a list has without `--format`.
pub(super) struct Kind {
    /// The template of a table, cells between tabs.
    pub(super) table: &'static str,
    /// The template of `raw`.
    pub(super) raw: &'static str,
    /// The template of `raw` with ids alone.
    pub(super) raw_ids: &'static str,
    /// The heading of each field that may be in a table.
    pub(super) headings: &'static [(&'static str, &'static str)],
}

/// How rows are printed.
pub(super) struct Listing {
    kind: &'static Kind,
    template: Template,
    /// Columns, with headings unless only ids are shown.
    is_table: bool,
    has_headings: bool,
}

impl Listing {
    /// What `--format` asks for.
    ///
    /// # Errors
    /// The template makes no sense.
    pub(super) fn read(
        kind: &'static Kind,
        format: &str,
        only_ids: bool,
    ) -> Result<Self, TemplateError> {
        let format = format.replace("\\t", "\t").replace("\\n", "\n");
        // Docker's word for nothing.
        let format = if format.is_empty() { "table".to_owned() } else { format };
        let of_table = format.strip_prefix("table").map(str::trim_start);
        let text = match (of_table, format.as_str(), only_ids) {
            (Some(""), _, false) => kind.table,
            (Some(""), _, true) => "{{.ID}}",
            (_, "raw", false) => kind.raw,
            (_, "raw", true) => kind.raw_ids,
            (_, "json", _) => "{{json .}}",
            (Some(template), ..) => template,
            (None, template, _) => template,
        };
        let (is_table, template) = (of_table.is_some(), Template::parse(text)?);
        Ok(Self { kind, template, is_table, has_headings: is_table && text != "{{.ID}}" })
    }

    /// A row of these fields, and of these that take an argument.
    ///
    /// # Errors
    /// The template asks for something that there is not.
    pub(super) fn row(&self, row: Object, methods: &Object) -> Result<String, TemplateError> {
        let root = Value::Object(row);
        self.template.render(&Data { root: &root, methods, optional: &[], aliases: &[] })
    }

    /// All of it; `methods` are the fields that take an argument.
    ///
    /// # Errors
    /// As [`Self::row`].
    pub(super) fn text(
        &self,
        mut rows: Vec<String>,
        methods: &Object,
    ) -> Result<String, TemplateError> {
        if self.has_headings {
            let mut row = Object::new();
            self.kind.headings.iter().for_each(|(key, heading)| row.insert(key, *heading));
            rows.insert(0, self.row(row, methods)?);
        }
        Ok(match self.is_table {
            true => aligned(&rows),
            false => rows.iter().map(|row| format!("{row}\n")).collect(),
        })
    }
}
