//! The settings against the table.

use keywords::{Keyword, Kind};

use crate::{Expected, Finding, Inf, Rule};

/// Key of the settings' descriptions, below the adapter's.
const PARAMETERS: &str = r"Ndi\params\";

/// What describes a keyword: key below `Ndi\params`, name and value of each line.
fn rows(keyword: &Keyword) -> Vec<[String; 3]> {
    let mut rows = vec![
        ("", "ParamDesc", keyword.text.to_owned()),
        ("", "Type", keyword.inf_type().to_owned()),
    ];
    if let Some(default) = keyword.default() {
        rows.push(("", "Default", default.to_string()));
    }
    let mut choices = Vec::new();
    match keyword.kind {
        Kind::Integer(integer) => rows.extend([
            ("", "Min", integer.min.to_string()),
            ("", "Max", integer.max.to_string()),
            ("", "Step", integer.step.to_string()),
            ("", "Base", "10".to_owned()),
        ]),
        Kind::Enumeration(enumeration) => {
            choices.extend(enumeration.choices.iter().map(|choice| {
                [
                    format!(r"{}\enum", keyword.name),
                    choice.value.to_string(),
                    choice.label.to_owned(),
                ]
            }));
        }
        Kind::Edit(edit) => {
            rows.push(("", "LimitText", edit.limit.to_string()));
            if edit.upper_case {
                rows.push(("", "UpperCase", "1".to_owned()));
            }
        }
    }
    if keyword.optional {
        rows.push(("", "Optional", "1".to_owned()));
    }
    rows.into_iter()
        .map(|(key, name, value)| [format!("{}{key}", keyword.name), name.to_owned(), value])
        .chain(choices)
        .collect()
}

/// The lines that describe a keyword, as they may stand in an INF file.
pub fn expected_lines(keyword: &Keyword) -> Vec<String> {
    rows(keyword)
        .into_iter()
        .map(|[key, name, value]| format!("HKR, {PARAMETERS}{key}, {name}, 0, \"{value}\""))
        .collect()
}

pub(crate) fn check(inf: &Inf, expected: Expected<'_>, findings: &mut Vec<Finding>) {
    let mut found = Vec::new();
    for entry in inf.sections().iter().flat_map(|section| &section.entries) {
        let key = entry.value(1);
        let below = key
            .get(..PARAMETERS.len())
            .filter(|start| start.eq_ignore_ascii_case(PARAMETERS))
            .and_then(|start| key.get(start.len()..));
        if let Some(below) = below {
            let value = inf.expand(entry.value(4)).unwrap_or_default();
            let row = [below.to_owned(), entry.value(2).to_owned(), value];
            found.push((entry.line, row));
        }
    }
    for keyword in expected.settings {
        for (row, line) in rows(keyword).iter().zip(expected_lines(keyword)) {
            if !found.iter().any(|(_, have)| have == row) {
                findings.push(Finding {
                    rule: Rule::Settings,
                    line: 0,
                    text: format!("missing: {line}"),
                });
            }
        }
    }
    let wanted: Vec<[String; 3]> = expected.settings.iter().flat_map(|k| rows(k)).collect();
    for (at, (line, row)) in found.iter().enumerate() {
        let again = found.iter().take(at).any(|(_, earlier)| earlier == row);
        if again || !wanted.contains(row) {
            findings.push(Finding {
                rule: Rule::Settings,
                line: *line,
                text: format!("not in the table, or a second time: {}", row.join(", ")),
            });
        }
    }
}
