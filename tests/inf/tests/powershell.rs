//! The PowerShell scripts parse. That is all that is checked of them here: they need Windows to run.
#![forbid(unsafe_code)]

use std::path::Path;

use tree_sitter::{Node, Parser};

/// The scripts people are given.
const SCRIPTS: [&str; 3] = [
    "inf/Move-AddressSettings.ps1",
    "tests/hlk/Test-Installation.ps1",
    "tests/hlk/Test-Traffic.ps1",
];

/// Lines of a script at which the grammar finds no PowerShell.
fn errors(script: &str) -> Vec<usize> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .expect("grammar and library fit");
    let tree = parser.parse(script, None).expect("no time limit is set");
    let mut lines = Vec::new();
    collect(tree.root_node(), &mut lines);
    lines
}

fn collect(node: Node<'_>, lines: &mut Vec<usize>) {
    if node.is_error() || node.is_missing() {
        lines.push(node.start_position().row + 1);
    }
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        collect(child, lines);
    }
}

#[test]
fn every_script_is_powershell() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for script in SCRIPTS {
        let text = std::fs::read_to_string(root.join(script)).expect(script);
        assert_eq!(errors(&text), [], "{script}: lines with errors");
    }
}

#[test]
fn what_is_no_powershell_is_found() {
    for broken in [
        "if ($true) { 'a'",
        "foreach ($x in 1, 2) 'no block'",
        "$a = @{ b = ",
        "param([string $name)",
    ] {
        assert_ne!(errors(broken), [], "{broken}");
    }
    assert_eq!(
        errors("Get-NetAdapter | Where-Object Status -eq 'Up'\n"),
        []
    );
}
