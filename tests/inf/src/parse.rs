//! Reads an INF file into sections.

use std::collections::BTreeMap;

use crate::{Finding, Rule};

/// A line of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the file, from 1.
    pub line: usize,
    /// What stands before `=`, unquoted; tokens as written.
    pub key: Option<String>,
    /// The values between commas, unquoted; tokens as written.
    pub values: Vec<String>,
}

impl Entry {
    /// Value number `at`, empty if there is none.
    pub fn value(&self, at: usize) -> &str {
        self.values.get(at).map_or("", String::as_str)
    }

    /// Whether the key is `name`, whatever its case.
    pub fn is(&self, name: &str) -> bool {
        self.key
            .as_deref()
            .is_some_and(|key| key.eq_ignore_ascii_case(name))
    }
}

/// A section; sections of one name are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name as first written.
    pub name: String,
    /// Line of its first heading.
    pub line: usize,
    /// Its lines.
    pub entries: Vec<Entry>,
}

impl Section {
    /// The entries of that key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.is(key))
    }

    /// The first entry of that key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(key))
    }
}

/// An INF file.
#[derive(Clone, Debug, Default)]
pub struct Inf {
    sections: Vec<Section>,
    by_name: BTreeMap<String, usize>,
}

impl Inf {
    /// Reads a file; what is no INF syntax becomes findings.
    pub fn parse(text: &str, findings: &mut Vec<Finding>) -> Self {
        let mut inf = Self::default();
        let mut current = None;
        for (line, text) in logical_lines(text) {
            let mut wrong = |text: &str| {
                findings.push(Finding {
                    rule: Rule::Syntax,
                    line,
                    text: text.to_owned(),
                });
            };
            if !text.is_ascii() {
                wrong("not ASCII");
            }
            let content = without_comment(&text).trim();
            if let Some(rest) = content.strip_prefix('[') {
                match rest.strip_suffix(']') {
                    Some(name) => current = Some(inf.section_at(name.trim(), line)),
                    None => wrong("a section's name without ]"),
                }
            } else if !content.is_empty() {
                if !content.matches('"').count().is_multiple_of(2) {
                    wrong("an open quote");
                }
                match current.and_then(|at: usize| inf.sections.get_mut(at)) {
                    Some(section) => section.entries.push(entry(line, content)),
                    None => wrong("a line before the first section"),
                }
            }
        }
        inf
    }

    fn section_at(&mut self, name: &str, line: usize) -> usize {
        let next = self.sections.len();
        let at = *self
            .by_name
            .entry(name.to_ascii_lowercase())
            .or_insert(next);
        if at == next {
            self.sections.push(Section {
                name: name.to_owned(),
                line,
                entries: Vec::new(),
            });
        }
        at
    }

    /// The section of that name, whatever its case.
    pub fn section(&self, name: &str) -> Option<&Section> {
        let at = self.by_name.get(&name.to_ascii_lowercase())?;
        self.sections.get(*at)
    }

    /// All sections, in their order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The entries of a section; none if it is missing.
    pub fn entries(&self, name: &str) -> &[Entry] {
        self.section(name).map_or(&[], |section| &section.entries)
    }

    /// A text with its `%tokens%` replaced; `Err` is the first that `[Strings]` lacks. Directory
    /// numbers such as `%13%` stay, `%%` is one percent sign.
    pub fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            let (token, behind) = after.split_once('%').ok_or_else(|| after.to_owned())?;
            if token.is_empty() {
                expanded.push('%');
            } else if token.bytes().all(|byte| byte.is_ascii_digit()) {
                expanded.push_str(&format!("%{token}%"));
            } else {
                let string = self.section("Strings").and_then(|s| s.entry(token));
                expanded.push_str(string.ok_or_else(|| token.to_owned())?.value(0));
            }
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// Lines with those joined that end in a backslash, each with the number of its first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (at, line) in text.lines().enumerate() {
        let content = without_comment(line).trim_end();
        let joined = content.strip_suffix('\\');
        let piece = joined.unwrap_or(line);
        match lines.last_mut() {
            Some((_, last)) if continues => last.push_str(piece),
            _ => lines.push((at + 1, piece.to_owned())),
        }
        continues = joined.is_some();
    }
    lines
}

/// Text up to a semicolon outside of quotes.
fn without_comment(line: &str) -> &str {
    position(line, ';').map_or(line, |at| &line[..at])
}

/// Where a character first stands outside of quotes.
fn position(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    text.char_indices()
        .find(|(_, found)| {
            quoted ^= *found == '"';
            !quoted && *found == wanted
        })
        .map(|(at, _)| at)
}

fn entry(line: usize, content: &str) -> Entry {
    let (key, values) = match position(content, '=') {
        Some(at) => (Some(unquote(&content[..at])), &content[at + 1..]),
        None => (None, content),
    };
    let mut parts = Vec::new();
    let mut rest = values;
    while let Some(at) = position(rest, ',') {
        parts.push(unquote(&rest[..at]));
        rest = &rest[at + 1..];
    }
    parts.push(unquote(rest));
    Entry {
        line,
        key,
        values: parts,
    }
}

/// Takes the quotes off; two quotes inside quotes are one.
fn unquote(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Inf {
        let mut findings = Vec::new();
        let inf = Inf::parse(text, &mut findings);
        assert_eq!(findings, []);
        inf
    }

    #[test]
    fn lines_are_keys_and_values_without_quotes_and_comments() {
        let inf = parse("[A]\nKey = one , \"two, ; = \"\"x\"\"\",, four ; comment\nHKR,,V\n");
        let entries = inf.entries("a");
        assert_eq!(entries[0].key.as_deref(), Some("Key"));
        assert_eq!(entries[0].values, ["one", "two, ; = \"x\"", "", "four"]);
        assert_eq!(entries[1].key, None);
        assert_eq!(entries[1].values, ["HKR", "", "V"]);
        assert_eq!(entries[1].line, 3);
    }

    #[test]
    fn lines_are_joined_and_sections_of_one_name_are_one() {
        let inf = parse("[A]\nx = 1, \\ ; more follows\n 2\n[B]\n[a]\ny = 3\n");
        assert_eq!(inf.entries("A")[0].values, ["1", "2"]);
        assert_eq!(inf.entries("A").len(), 2);
        assert_eq!(inf.sections().len(), 2);
    }

    #[test]
    fn tokens_are_replaced_but_for_directories() {
        let inf = parse("[Strings]\nName = \"X\"\n");
        assert_eq!(inf.expand("%Name%-%13%-%%a%%").as_deref(), Ok("X-%13%-%a%"));
        assert_eq!(inf.expand("%Other%"), Err("Other".to_owned()));
    }
}
