//! Which column of a file is what: from the user's words to a schema, from a schema to the fields of a file.

use std::collections::{HashMap, HashSet};

use cirrus_protocol::manifest::CsvSchema;

use super::super::Head;
use super::super::error::{Fault, LoadError, listed};
use super::super::hash::{Purpose, key, salt};
use super::super::options::ColumnOptions;
use super::super::rows::Labels;
use super::super::source::HEAD_BYTES;
use super::record::{Records, field};

/// What the fields of a file's records are.
#[derive(Debug)]
pub(super) struct Layout {
    /// Between fields.
    pub(super) delimiter: u8,
    /// Length of the header record with its line end; 0 without one.
    pub(super) header_bytes: usize,
    /// Names of the fields.
    pub(super) names: Vec<String>,
    /// One plan for each field.
    pub(super) fields: Vec<Field>,
    /// How many fields' values are needed by pairs.
    pub(super) slots: usize,
    /// Pairs, by slot.
    pub(super) pairs: Vec<(usize, usize)>,
    /// Columns of the statistics, with whether they are numeric.
    pub(super) columns: Vec<(String, bool)>,
}

/// What to do with one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// What it is.
    pub(super) role: Role,
    /// Under which its text is hashed.
    pub(super) salt: u64,
    /// Its place in the statistics.
    pub(super) column: usize,
    /// Where its hash is kept for pairs.
    pub(super) slot: Option<usize>,
}

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// No feature by itself.
    Unused,
    /// The label.
    Label,
    /// A category.
    Category,
    /// A number: the keys of its value and of its absence.
    Number {
        /// Key of the value.
        present: u32,
        /// Key of the absence.
        missing: u32,
    },
}

/// The schema that a user's options make of a file.
pub(super) fn schema(head: &Head<'_>, options: &ColumnOptions) -> Result<CsvSchema, LoadError> {
    let delimiter = delimiter(head, options.delimiter)?;
    let header = options.header.unwrap_or(true);
    let (names, _) = names(head, delimiter, header)?;
    let label = options.label.clone().unwrap_or_else(|| "label".to_owned());
    let mut rest: Vec<&String> = names.iter().collect();
    let mut taken = HashSet::new();
    let labels = [label.clone()];
    let lists: [(&'static str, &[String]); 4] = [
        ("label", &labels),
        ("categorical", &options.categorical),
        ("numeric", &options.numeric),
        ("ignored", &options.ignored),
    ];
    for (role, columns) in lists {
        for column in columns {
            if !names.contains(column) {
                return Err(missing(head, column, role, &names));
            }
            if !taken.insert(column) {
                return Err(refused(head, format!("column `{column}` is named twice; give it one role")));
            }
        }
    }
    rest.retain(|name| !taken.contains(name));
    let mut categorical = options.categorical.clone();
    if categorical.is_empty() {
        categorical.extend(rest.into_iter().cloned());
    } else if !rest.is_empty() {
        let rest = listed(rest.iter());
        let problem = format!("no role for the columns {rest}; name them as categorical, numeric or ignored");
        return Err(refused(head, problem));
    }
    check_pairs(head, &options.pairs, &label, &names)?;
    let schema = CsvSchema {
        label,
        categorical,
        numeric: options.numeric.clone(),
        pairs: options.pairs.clone(),
        delimiter,
        header,
    };
    if schema.categorical.is_empty() && schema.numeric.is_empty() && schema.pairs.is_empty() {
        return Err(refused(head, "no column to learn from; name a categorical or numeric one".to_owned()));
    }
    Ok(schema)
}

fn check_pairs(
    head: &Head<'_>,
    pairs: &[[String; 2]],
    label: &String,
    names: &[String],
) -> Result<(), LoadError> {
    let mut seen = HashSet::new();
    for [a, b] in pairs {
        if let Some(column) = [a, b].into_iter().find(|column| !names.contains(column)) {
            return Err(missing(head, column, "one of a pair", names));
        }
        let problem = if a == b {
            "pairs a column with itself, which says nothing new"
        } else if a == label || b == label {
            "contains the label, which is not known when predicting"
        } else if !seen.insert(if a < b { (a, b) } else { (b, a) }) {
            "is named twice"
        } else {
            continue;
        };
        return Err(refused(head, format!("the pair `{a}:{b}` {problem}; leave it out")));
    }
    Ok(())
}

fn delimiter(head: &Head<'_>, asked: Option<char>) -> Result<char, LoadError> {
    let by_name = if head.extension().as_deref() == Some("tsv") { '\t' } else { ',' };
    let delimiter = asked.unwrap_or(by_name);
    if !delimiter.is_ascii() || matches!(delimiter, '"' | '\n' | '\r' | '\0') {
        let expected = "one ASCII character, no quotation mark and no line end".to_owned();
        return Err(LoadError::Option { option: "delimiter", found: format!("{delimiter:?}"), expected });
    }
    Ok(delimiter)
}

/// The columns' names, and the length of the header that holds them.
fn names(head: &Head<'_>, delimiter: char, header: bool) -> Result<(Vec<String>, usize), LoadError> {
    // An ASCII character by the check above, or by the manifest's.
    let delimiter = delimiter as u8;
    let end = Records::default().end(head.text, 0, delimiter);
    if end == head.text.len() && !head.whole {
        let problem = format!("the first line does not end within {HEAD_BYTES} bytes; is this a CSV file?");
        return Err(refused(head, problem));
    }
    let record = &head.text[..end];
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut names = Vec::new();
    let mut next = Some(0);
    while let Some(at) = next {
        let (name, after) = field(record, at, delimiter).map_err(|fault| head.line_error(fault))?;
        next = after;
        if !header {
            names.push((names.len() + 1).to_string());
            continue;
        }
        let name = std::str::from_utf8(&name).map_err(|_| {
            let expected = "column names in UTF-8";
            head.line_error(Fault::at(at, &name, expected))
        })?;
        names.push(name.to_owned());
    }
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
        return Err(refused(head, format!("two columns are called `{twice}`; rename one of them")));
    }
    let header_bytes = if header { (end + 1).min(head.text.len()) } else { 0 };
    Ok((names, header_bytes))
}

impl Layout {
    /// Finds the columns of `schema` in a file.
    ///
    /// # Errors
    /// A column is missing; the label only if rows need one.
    pub(super) fn new(
        schema: &CsvSchema,
        head: &Head<'_>,
        hash_bits: u8,
        labels: Labels,
    ) -> Result<Self, LoadError> {
        let (names, header_bytes) = names(head, schema.delimiter, schema.header)?;
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let place = |column: &String, role| {
            places.get(column.as_str()).copied().ok_or_else(|| missing(head, column, role, &names))
        };
        let unused = |name: &String| Field {
            role: Role::Unused,
            salt: salt(Purpose::Category, name),
            column: usize::MAX,
            slot: None,
        };
        let mut fields: Vec<Field> = names.iter().map(unused).collect();
        let mut columns = Vec::new();
        match place(&schema.label, "label") {
            Ok(at) => fields[at].role = Role::Label,
            Err(error) if labels == Labels::Required => return Err(error),
            Err(_) => {}
        }
        for name in &schema.categorical {
            let at = place(name, "categorical")?;
            fields[at] = Field { role: Role::Category, column: columns.len(), ..fields[at] };
            columns.push((name.clone(), false));
        }
        for name in &schema.numeric {
            let at = place(name, "numeric")?;
            let role = Role::Number {
                present: key(salt(Purpose::Number, name), hash_bits),
                missing: key(salt(Purpose::Missing, name), hash_bits),
            };
            fields[at] = Field { role, column: columns.len(), ..fields[at] };
            columns.push((name.clone(), true));
        }
        let mut slots = 0;
        let mut pairs = Vec::with_capacity(schema.pairs.len());
        for pair in &schema.pairs {
            let mut slot = |column| {
                let field = &mut fields[place(column, "one of a pair")?];
                let slot = *field.slot.get_or_insert(slots);
                slots = slots.max(slot + 1);
                Ok::<_, LoadError>(slot)
            };
            pairs.push((slot(&pair[0])?, slot(&pair[1])?));
        }
        let delimiter = schema.delimiter as u8;
        Ok(Self { delimiter, header_bytes, names, fields, slots, pairs, columns })
    }
}

fn missing(head: &Head<'_>, column: &str, role: &'static str, names: &[String]) -> LoadError {
    LoadError::MissingColumn {
        file: head.file.clone(),
        column: column.to_owned(),
        role,
        columns: listed(names.iter()),
    }
}

fn refused(head: &Head<'_>, problem: String) -> LoadError {
    LoadError::Columns { file: head.file.clone(), problem }
}
