//! Which questions are asked about which binding.

use std::collections::{BTreeMap, BTreeSet};

use facts::{Extent, Facts, Layout};

use super::expect::Expectation;
use super::{Finding, Problem, Report, bits};
use crate::probe::{Request, Row};
use crate::source::{Aggregate, Bindings, Constant, Target};
use crate::sourced::Sourced;

/// Questions to the compiler, each with the answer it must give.
#[derive(Debug)]
pub struct Plan<'a> {
    facts: &'a Facts,
    sourced: &'a Sourced,
    requests: Vec<Request>,
    expectations: Vec<Expectation>,
    report: Report,
    /// Names of items of the sourced list that were used.
    used_sourced: BTreeSet<String>,
}

/// Structures that stand in others: where, as the others' names and C paths with a dot at the end.
type Parts = BTreeMap<String, Vec<(String, String)>>;

/// The structure whose fields are being gone through.
struct Owner<'a> {
    bindings: &'a Bindings,
    /// Its C name.
    name: &'a str,
    /// Its Rust path.
    path: &'a str,
    layout: Option<&'a Layout>,
}

impl<'a> Plan<'a> {
    /// An empty plan.
    pub fn new(facts: &'a Facts, sourced: &'a Sourced) -> Self {
        Self {
            facts,
            sourced,
            requests: Vec::new(),
            expectations: Vec::new(),
            report: Report::default(),
            used_sourced: BTreeSet::new(),
        }
    }

    /// The questions.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Compares the answers.
    pub fn compare(mut self, rows: &[Row]) -> Report {
        assert_eq!(rows.len(), self.requests.len(), "one row for each request");
        for ((request, expectation), row) in self.requests.iter().zip(&self.expectations).zip(rows)
        {
            if let Err(problem) = expectation.check(*row) {
                let item = match request {
                    Request::Layout { path } | Request::Constant { path, .. } => path.clone(),
                    Request::Field { path, field } => format!("{path}.{field}"),
                };
                self.report.findings.push(Finding { item, problem });
            }
        }
        self.report
    }

    /// Items of the sourced list that no binding used.
    pub fn unused_sourced(&self) -> Vec<&'a str> {
        let list = self.sourced;
        let names = list.constants.keys().chain(list.structs.keys());
        let names = names.chain(list.fields.keys()).chain(&list.texts);
        names
            .filter(|name| !self.used_sourced.contains(*name))
            .map(String::as_str)
            .collect()
    }

    /// Everything a crate declares. What neither the facts nor the sourced list has is a finding.
    pub fn add_all(&mut self, bindings: &Bindings) {
        let mut parts = Parts::new();
        let mut unknown = Vec::new();
        for (name, aggregate) in &bindings.aggregates {
            if !self.add_struct(bindings, name, aggregate, &mut parts) {
                unknown.push((name, aggregate));
            }
        }
        for (name, aggregate) in unknown {
            // A part of another structure was compared there, field by field.
            if !parts.contains_key(name) {
                self.unknown(&aggregate.path);
            }
        }
        for constant in bindings.constants.values() {
            if !self.add_constant(constant, &parts) {
                self.unknown(&constant.path);
            }
        }
    }

    /// What a crate declares and the facts or the sourced list have. The structures in `required`
    /// must be there.
    pub fn add_known(&mut self, bindings: &Bindings, required: &BTreeSet<&str>) {
        let mut parts = Parts::new();
        let mut unknown = Vec::new();
        for (name, aggregate) in &bindings.aggregates {
            let known = self.add_struct(bindings, name, aggregate, &mut parts);
            let is_opaque = !aggregate.fields.iter().any(|field| field.public);
            if !known && !is_opaque && required.contains(name.as_str()) {
                unknown.push((name, aggregate));
            }
        }
        for (name, aggregate) in unknown {
            if !parts.contains_key(name) {
                self.unknown(&aggregate.path);
            }
        }
        for constant in bindings.constants.values() {
            self.add_constant(constant, &parts);
        }
    }

    fn unknown(&mut self, path: &str) {
        self.report.findings.push(Finding {
            item: path.to_owned(),
            problem: Problem::Unknown,
        });
    }

    fn ask(&mut self, request: Request, expectation: Expectation) {
        self.requests.push(request);
        self.expectations.push(expectation);
    }

    fn add_struct(
        &mut self,
        bindings: &Bindings,
        name: &str,
        aggregate: &Aggregate,
        parts: &mut Parts,
    ) -> bool {
        let c_name = name.strip_prefix('_').unwrap_or(name);
        let layout = self.facts.layout(c_name);
        let sourced = self.sourced.structs.get(c_name).copied();
        let expected = match (layout, sourced) {
            (Some(layout), _) => (layout.size, layout.align),
            (None, Some(expected)) => {
                self.report.from_sourced_list += 1;
                self.used_sourced.insert(c_name.to_owned());
                expected
            }
            (None, None) => return false,
        };
        self.report.structs += 1;
        let path = aggregate.path.clone();
        let request = Request::Layout { path };
        self.ask(request, Expectation::Layout(expected.0, expected.1));
        let owner = Owner {
            bindings,
            name: c_name,
            path: &aggregate.path,
            layout,
        };
        self.add_fields(&owner, aggregate, "", "", parts);
        true
    }

    /// Goes through the fields of `part`, which stands at `c_prefix` in C and at `prefix` in
    /// Rust. They differ where C has an anonymous structure or union.
    fn add_fields(
        &mut self,
        owner: &Owner<'_>,
        part: &Aggregate,
        c_prefix: &str,
        prefix: &str,
        parts: &mut Parts,
    ) {
        for field in &part.fields {
            if field.name.starts_with("_bitfield_") {
                self.report.bit_fields += 1;
                continue;
            }
            let anonymous = field.name.starts_with("__bindgen_anon");
            if !field.public || (field.name.starts_with('_') && !anonymous) {
                self.report.hidden += 1;
                continue;
            }
            let c_path = format!("{c_prefix}{}", field.name.trim_start_matches("r#"));
            let path = format!("{prefix}{}", field.name);
            let inner = match &field.target {
                Target::Value(target) => owner.bindings.aggregate(target),
                Target::Pointer(_) | Target::Other => None,
            };
            let places = self.places(owner, &c_path);
            let known = !places.is_empty();
            let has_parts = self.has_parts(owner, &c_path);
            if known {
                let all_bits = places
                    .iter()
                    .all(|(_, extent)| matches!(extent, Extent::Bits { .. }));
                if all_bits {
                    self.report.bit_fields += 1;
                } else {
                    self.report.fields += 1;
                }
                self.ask_field(owner, &path, Expectation::Field(places));
            }
            match inner {
                Some((name, inner)) if has_parts || !known => {
                    let c_inner = if known {
                        format!("{c_path}.")
                    } else {
                        c_prefix.to_owned()
                    };
                    let place = (owner.name.to_owned(), c_inner.clone());
                    parts.entry(name.to_owned()).or_default().push(place);
                    self.add_fields(owner, inner, &c_inner, &format!("{path}."), parts);
                }
                _ if known => {}
                _ => self.add_unknown_field(owner, &path),
            }
        }
    }

    fn ask_field(&mut self, owner: &Owner<'_>, field: &str, expectation: Expectation) {
        let request = Request::Field {
            path: owner.path.to_owned(),
            field: field.to_owned(),
        };
        self.ask(request, expectation);
    }

    fn add_unknown_field(&mut self, owner: &Owner<'_>, path: &str) {
        let all = owner.layout.map(|layout| layout.fields.as_slice());
        let bits: Vec<u64> = all
            .unwrap_or_default()
            .iter()
            .filter(|field| matches!(field.extent, Extent::Bits { .. }))
            .map(|field| field.offset)
            .collect();
        if bits.is_empty() {
            self.unknown(&format!("{}.{path}", owner.path));
        } else {
            self.report.bit_fields += 1;
            self.ask_field(owner, path, Expectation::BitStorage(bits));
        }
    }

    /// Where the facts, or else the sourced list, put a field.
    fn places(&mut self, owner: &Owner<'_>, c_path: &str) -> Vec<(u64, Extent)> {
        let in_facts: Vec<(u64, Extent)> = owner
            .layout
            .into_iter()
            .flat_map(|layout| layout.fields_at(c_path))
            .map(|field| (field.offset, field.extent))
            .collect();
        if !in_facts.is_empty() {
            return in_facts;
        }
        let name = format!("{}.{c_path}", owner.name);
        let Some(&(offset, size)) = self.sourced.fields.get(&name) else {
            return Vec::new();
        };
        self.report.from_sourced_list += 1;
        self.used_sourced.insert(name);
        vec![(offset, Extent::Bytes(size))]
    }

    fn has_parts(&self, owner: &Owner<'_>, c_path: &str) -> bool {
        let prefix = format!("{c_path}.");
        let in_facts = owner
            .layout
            .is_some_and(|layout| layout.fields.iter().any(|f| f.path.starts_with(&prefix)));
        let prefix = format!("{}.{prefix}", owner.name);
        in_facts
            || self
                .sourced
                .fields
                .keys()
                .any(|name| name.starts_with(&prefix))
    }

    /// What a constant of a type must be if it stands for one of that type's bit fields.
    fn bit_field_values(&self, group: &str, name: &str, parts: &Parts) -> Option<Vec<i128>> {
        let own = (group.to_owned(), String::new());
        let places = parts.get(group).into_iter().flatten().chain([&own]);
        let mut values = Vec::new();
        for (owner, prefix) in places {
            if let Some(layout) = self.facts.layout(owner) {
                values.extend(bits::values(layout, prefix, name));
            }
        }
        (!values.is_empty()).then_some(values)
    }

    fn add_constant(&mut self, constant: &Constant, parts: &Parts) -> bool {
        let qualified = match &constant.group {
            Some(group) => format!("{group}::{}", constant.name),
            None => constant.name.clone(),
        };
        if !constant.scalar {
            let known = self.sourced.texts.contains(&qualified);
            if known {
                self.report.texts += 1;
                self.used_sourced.insert(qualified);
            }
            return known;
        }
        let of_enum = constant
            .group
            .as_deref()
            .and_then(|group| self.facts.enumerator(group, &constant.name));
        let in_facts = match &constant.group {
            // A constant of a type means a bit field of that type rather than a macro.
            Some(group) => of_enum
                .map(|value| vec![value])
                .or_else(|| self.bit_field_values(group, &constant.name, parts)),
            None => None,
        };
        let in_facts = in_facts.or_else(|| Some(vec![self.facts.constant(&constant.name)?]));
        let listed = self.sourced.constants.get(&qualified).copied();
        if listed.is_some() {
            self.report.from_sourced_list += 1;
            self.used_sourced.insert(qualified);
        }
        let expected = match (in_facts, listed) {
            (Some(expected), None) => expected,
            (None, Some(listed)) => vec![listed],
            // The tables hold the low 32 bits of what C computed in 64.
            (Some(expected), Some(listed)) if expected == [listed & 0xffff_ffff] => vec![listed],
            (Some(_), Some(_)) => {
                self.report.findings.push(Finding {
                    item: constant.path.clone(),
                    problem: Problem::Contradiction,
                });
                return true;
            }
            (None, None) => return false,
        };
        self.report.constants += 1;
        let request = Request::Constant {
            path: constant.path.clone(),
            is_variant: constant.is_variant,
        };
        self.ask(request, Expectation::Value(expected));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const LIST: &str = "name,value,source\n\
        OURS,7,a document\nOURS_S,size=4:align=4;A@0:4,a document\n\
        MDL.Extra,@44:4,a document\nTEXT,text,a document\n\
        NDIS_LINK_SPEED_UNKNOWN,0xffffffffffffffff,a document\n\
        NDIS_STATUS_RESOURCES,0x1,a document\n";

    /// Plans for a source, answers with `answer`, and gives the report's findings.
    fn findings(text: &str, answer: impl Fn(&Request) -> Row) -> (Report, Vec<String>) {
        let facts = Facts::load(&Facts::checked_in_folder()).expect("checked in");
        let sourced = Sourced::parse(Path::new("list.csv"), LIST).expect("valid");
        let mut bindings = Bindings::default();
        bindings
            .add_text(Path::new("sys.rs"), "sys", text)
            .expect("parses");
        let mut plan = Plan::new(&facts, &sourced);
        plan.add_all(&bindings);
        let rows: Vec<Row> = plan.requests().iter().map(answer).collect();
        let report = plan.compare(&rows);
        let texts = report.findings.iter().map(ToString::to_string).collect();
        (report, texts)
    }

    const HEADER: &str = "#[repr(C)] pub struct NDIS_OBJECT_HEADER {
        pub Type: u8, pub Revision: u8, pub Size: u16 }";

    fn header(request: &Request) -> Row {
        match request {
            Request::Layout { .. } => [4, 2],
            Request::Field { field, .. } if field == "Type" => [0, 1],
            Request::Field { field, .. } if field == "Revision" => [1, 1],
            _ => [2, 2],
        }
    }

    #[test]
    fn a_right_struct_has_no_finding() {
        let (report, findings) = findings(HEADER, header);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((report.structs, report.fields), (1, 3));
    }

    #[test]
    fn a_wrong_offset_is_found() {
        let (_, findings) = findings(HEADER, |request| match request {
            Request::Field { field, .. } if field == "Size" => [4, 2],
            other => header(other),
        });
        let expected = "sys::NDIS_OBJECT_HEADER.Size: offset 4 and size 2, but it must be 2 and 2";
        assert_eq!(findings, [expected]);
    }

    #[test]
    fn a_wrong_size_and_alignment_are_found() {
        let (_, findings) = findings(HEADER, |request| match request {
            Request::Layout { .. } => [8, 4],
            other => header(other),
        });
        let expected = "sys::NDIS_OBJECT_HEADER: size 8 and alignment 4, but it must be 4 and 2";
        assert_eq!(findings, [expected]);
    }

    #[test]
    fn a_wrong_value_is_found_and_a_right_one_is_not() {
        let text = "pub const NDIS_STATUS_FAILURE: i32 = -1;";
        let (_, wrong) = findings(text, |_| [0xffff_ffff, 4]);
        let expected = "sys::NDIS_STATUS_FAILURE: 0xffffffff in 4 bytes, but it must be 0xc0000001";
        assert_eq!(wrong, [expected]);
        let (report, right) = findings(text, |_| [0xc000_0001, 4]);
        assert!(right.is_empty(), "{right:?}");
        assert_eq!(report.constants, 1);
    }

    #[test]
    fn items_without_fact_or_source_are_found_by_name() {
        let (_, findings) = findings(
            "pub const MADE_UP: u32 = 1; pub struct MADE_UP_S { pub A: u8 }
             pub struct MDL { pub MadeUp: u32 } pub const MADE_UP_TEXT: &str = \"\";",
            |_| [48, 8],
        );
        let names: Vec<&str> = findings
            .iter()
            .filter_map(|finding| finding.split_once(": ").map(|(name, _)| name))
            .collect();
        let expected = [
            "sys::MDL.MadeUp",
            "sys::MADE_UP_S",
            "sys::MADE_UP",
            "sys::MADE_UP_TEXT",
        ];
        assert_eq!(names, expected);
        assert!(
            findings
                .iter()
                .all(|finding| finding.contains("in no fact table"))
        );
    }

    #[test]
    fn the_sourced_list_stands_in_for_facts_and_is_compared() {
        let text = "pub const OURS: u32 = 7; pub struct OURS_S { pub A: u32 }
                    pub struct MDL { pub Extra: u32 } pub const TEXT: &str = \"\";";
        let right = |request: &Request| match request {
            Request::Layout { path } if path == "sys::MDL" => [48, 8],
            Request::Layout { .. } => [4, 4],
            Request::Field { path, .. } if path == "sys::MDL" => [44, 4],
            Request::Field { .. } => [0, 4],
            Request::Constant { .. } => [7, 4],
        };
        let (report, none) = findings(text, right);
        assert!(none.is_empty(), "{none:?}");
        assert_eq!((report.from_sourced_list, report.texts), (4, 1));
        let (_, wrong) = findings(text, |request| match request {
            Request::Constant { .. } => [8, 4],
            other => right(other),
        });
        assert_eq!(wrong, ["sys::OURS: 0x8 in 4 bytes, but it must be 0x7"]);
    }

    #[test]
    fn anonymous_unions_are_gone_through_and_count_as_parts() {
        let text = "pub struct NET_BUFFER { pub u: NET_BUFFER_U }
                    pub union NET_BUFFER_U { pub Link: u128, pub s: NET_BUFFER_S }
                    pub struct NET_BUFFER_S { pub Next: u64, pub CurrentMdl: u64 }";
        let facts = Facts::load(&Facts::checked_in_folder()).expect("checked in");
        let sourced = Sourced::default();
        let mut bindings = Bindings::default();
        bindings
            .add_text(Path::new("sys.rs"), "sys", text)
            .expect("parses");
        let mut plan = Plan::new(&facts, &sourced);
        plan.add_all(&bindings);
        let fields: Vec<&str> = plan
            .requests()
            .iter()
            .filter_map(|request| match request {
                Request::Field { field, .. } => Some(field.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(fields, ["u.Link", "u.s.Next", "u.s.CurrentMdl"]);
        assert!(plan.report.findings.is_empty());
    }

    #[test]
    fn bit_fields_are_counted_and_padding_is_not_asked_for() {
        let text =
            "pub struct _DEVICE_CAPABILITIES { pub _bitfield_1: Unit, pub _pad: u8, gap: u8 }";
        let (report, findings) = findings(text, |_| [64, 4]);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!((report.bit_fields, report.hidden, report.fields), (1, 2, 0));
    }

    #[test]
    fn required_structs_must_be_known() {
        let facts = Facts::load(&Facts::checked_in_folder()).expect("checked in");
        let sourced = Sourced::default();
        let mut bindings = Bindings::default();
        let text = "pub struct _A { pub X: u8 } pub struct _B { pub X: u8 } pub const Z: u8 = 1;";
        bindings
            .add_text(Path::new("sys.rs"), "sys", text)
            .expect("parses");
        let mut plan = Plan::new(&facts, &sourced);
        plan.add_known(&bindings, &BTreeSet::from(["_B"]));
        let items: Vec<&str> = plan
            .report
            .findings
            .iter()
            .map(|f| f.item.as_str())
            .collect();
        assert_eq!(items, ["sys::_B"]);
    }

    #[test]
    fn constants_of_a_type_are_compared_with_its_bit_fields() {
        let text = "pub struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO { pub Value: u64 }
            impl NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO {
                pub const RECEIVE_LOOPBACK: u64 = 1 << 6; pub const MADE_UP: u64 = 1; }";
        let answer = |value| {
            move |request: &Request| match request {
                Request::Layout { .. } => [8, 8],
                Request::Field { .. } => [0, 8],
                Request::Constant { .. } => [value, 8],
            }
        };
        let (_, right) = findings(text, answer(1 << 6));
        assert_eq!(right.len(), 1, "{right:?}");
        assert!(
            right[0].contains("::MADE_UP: in no fact table"),
            "{right:?}"
        );
        let (_, wrong) = findings(text, answer(1 << 5));
        assert!(
            wrong[1].contains("RECEIVE_LOOPBACK: 0x20 in 8 bytes"),
            "{wrong:?}"
        );
    }

    #[test]
    fn the_list_may_widen_a_fact_but_not_contradict_it() {
        let text = "pub const NDIS_LINK_SPEED_UNKNOWN: u64 = u64::MAX;";
        let (_, wide) = findings(text, |_| [u64::MAX, 8]);
        assert!(wide.is_empty(), "{wide:?}");
        let (_, other) = findings("pub const NDIS_STATUS_RESOURCES: u32 = 1;", |_| [1, 4]);
        assert!(other[0].contains("disagree"), "{other:?}");
    }

    #[test]
    fn sourced_items_nobody_uses_are_listed() {
        let facts = Facts::load(&Facts::checked_in_folder()).expect("checked in");
        let sourced = Sourced::parse(Path::new("list.csv"), LIST).expect("valid");
        let plan = Plan::new(&facts, &sourced);
        assert_eq!(
            plan.unused_sourced(),
            [
                "NDIS_LINK_SPEED_UNKNOWN",
                "NDIS_STATUS_RESOURCES",
                "OURS",
                "OURS_S",
                "MDL.Extra",
                "OURS_S.A",
                "TEXT"
            ]
        );
    }
}
