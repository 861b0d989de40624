//! Every size, offset and value of `xen-abi` is that of Debian's `libxen-dev`.
use std::fs;
use std::path::Path;

use xen_headers::{CName, Fact, Row, c_names, compare, parse_c_names, program, rows, unmatched};

/// What the C program prints; `caller` keeps tests that run at once apart.
fn printed(caller: &str) -> String {
    let names = c_names().expect("data/c-names.txt");
    let text = program::text(rows(), &names).expect("C program");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(caller);
    fs::create_dir_all(&directory).expect("directory for the C program");
    match program::run(&text, &directory) {
        Ok(printed) => printed,
        Err(message) => panic!("{message}"),
    }
}

#[test]
fn every_item_agrees_with_the_headers() {
    let names = c_names().expect("data/c-names.txt");
    match compare(rows(), &names, &printed("agree")) {
        Ok(agreed) => {
            let nowhere = names
                .values()
                .filter(|n| matches!(n, CName::Nowhere(_)))
                .count();
            show(format_args!(
                "compared {agreed} items of xen-abi; {nowhere} are in no header"
            ));
            assert_eq!(agreed + nowhere, rows().len());
        }
        Err(wrong) => panic!("{} items differ:\n{}", wrong.len(), wrong.join("\n")),
    }
}

#[test]
fn a_wrong_value_is_found() {
    let names = c_names().expect("data/c-names.txt");
    let mut changed: Vec<Row> = rows().to_vec();
    for row in &mut changed {
        row.fact = match row.fact {
            Fact::Type { size, align } => Fact::Type {
                size,
                align: align + 1,
            },
            Fact::Field { offset, size } => Fact::Field {
                offset: offset + 1,
                size,
            },
            Fact::Alias { size } => Fact::Alias { size: size + 1 },
            Fact::Value(v) => Fact::Value(v + 1),
            Fact::Names(names) => Fact::Names(names.split_last().expect("not empty").1),
        };
    }
    let nowhere = names
        .values()
        .filter(|n| matches!(n, CName::Nowhere(_)))
        .count();
    let wrong = compare(&changed, &names, &printed("wrong")).expect_err("all are wrong");
    assert_eq!(wrong.len(), rows().len() - nowhere);
}

#[test]
fn an_item_without_a_name_and_a_name_without_an_item_are_found() {
    let names = parse_c_names("a::GONE|GONE\n").expect("table");
    let row = Row {
        item: "a::NEW",
        fact: Fact::Value(1),
    };
    let found = unmatched(&[row], &names);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_bad_table_is_refused() {
    for text in ["no separator", "a::B|", "a::B|!", "a::B|X\na::B|X"] {
        assert!(parse_c_names(text).is_err(), "{text}");
    }
}

/// Prints a line that is shown also when the test passes (libtest holds back what `println!` prints).
fn show(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
