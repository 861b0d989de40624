//! The INF files of the repository.
#![forbid(unsafe_code)]

use std::path::Path;

use inf::{Class, Expected, Inf, hlk, lint};
use keywords::{PLANNED, TABLE};
use xenbus_core::enumerate::{HARDWARE_IDS, check_id};

const XENBUS: Expected<'_> = Expected {
    name: "xenbus",
    class: Class::System,
    // Xen's platform device (xen/include/public/pci.h) and the second id of Citrix's toolstacks.
    hardware_ids: &[r"PCI\VEN_5853&DEV_0001", r"PCI\VEN_5853&DEV_0002"],
    settings: &[],
    package: None,
};

const NETFRONT: Expected<'_> = Expected {
    name: "netfront",
    class: Class::Net,
    hardware_ids: &HARDWARE_IDS,
    settings: TABLE,
    package: None,
};

fn read(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../inf")
        .join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn assert_clean(expected: Expected<'_>) {
    let findings = lint(&read(&format!("{}.inf", expected.name)), expected);
    for finding in &findings {
        println!("{}.inf: {finding}", expected.name);
    }
    assert!(
        findings.is_empty(),
        "{} findings, listed above",
        findings.len()
    );
}

#[test]
fn xenbus_inf_keeps_every_rule() {
    assert_clean(XENBUS);
}

#[test]
fn netfront_inf_keeps_every_rule_and_lists_the_settings_of_the_table() {
    assert_clean(NETFRONT);
}

/// Hardware ids go through the bus driver's own check, and into the id Windows builds of it.
#[test]
fn the_ids_are_what_the_bus_driver_can_report() {
    for id in HARDWARE_IDS {
        assert_eq!(check_id(id), Ok(()));
    }
}

/// The three types are what the driver tells NDIS: by the numbers in the headers.
#[test]
fn media_types_are_those_of_the_headers() {
    let facts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/facts/nt-enums.csv");
    let facts = std::fs::read_to_string(facts).unwrap();
    let number = |name: &str| {
        facts
            .lines()
            .find_map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                fields
                    .contains(&name)
                    .then(|| fields.last().map(|v| (*v).to_owned()))?
            })
            .unwrap_or_else(|| panic!("no {name} in the facts"))
    };
    let mut findings = Vec::new();
    let inf = Inf::parse(&read("netfront.inf"), &mut findings);
    let install = inf.section("Netfront_Install.NT").unwrap();
    for (key, name) in [
        ("*MediaType", "NdisMedium802_3"),
        ("*PhysicalMediaType", "NdisPhysicalMedium802_3"),
    ] {
        let wanted = number(name);
        assert_eq!(install.entry(key).unwrap().value(0), wanted.trim(), "{key}");
    }
}

#[test]
fn certification_has_nothing_against_the_settings() {
    let objections: Vec<String> = TABLE
        .iter()
        .chain(PLANNED)
        .flat_map(|keyword| hlk::objections(keyword))
        .collect();
    assert!(objections.is_empty(), "{objections:#?}");
}

/// The manual and the script for a real guest name the settings too.
#[test]
fn manual_and_script_name_the_settings_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manual = std::fs::read_to_string(root.join("docs/installing.md")).unwrap();
    let script = std::fs::read_to_string(root.join("tests/hlk/Test-Installation.ps1")).unwrap();
    for keyword in TABLE {
        let start = format!("| {} | `{}` | ", keyword.text, keyword.name);
        let row = manual.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("docs/installing.md: no row {start}"));
        assert!(
            script.contains(&format!("'{}'", keyword.name)),
            "{}",
            keyword.name
        );
        if let keywords::Kind::Integer(integer) = keyword.kind {
            let keywords::Integer {
                default, min, max, ..
            } = integer;
            assert!(row.contains(&format!("| {min} to {max} ")), "{row}");
            assert!(row.ends_with(&format!("| {default} |")), "{row}");
            let kind = keyword.display_parameter_type().unwrap();
            let line = format!("@('{}', {kind}, '{default}', {min}, {max})", keyword.name);
            assert!(script.contains(&line), "{line}");
        }
    }
}

/// Which of the settings certification asks of every adapter are missing: the list may only get
/// shorter, and docs/installing.md names it.
#[test]
fn what_certification_asks_for_and_is_missing_is_known() {
    let missing: Vec<&str> = hlk::BASE
        .iter()
        .copied()
        .filter(|name| keywords::find(name).is_none())
        .collect();
    assert_eq!(missing, ["*FlowControl"]);
}

mod broken {
    //! Each rule fails on a file broken for it.

    use std::collections::BTreeSet;

    use super::*;
    use inf::Rule;

    /// Replaces the first `from`; the file must have it.
    fn broken(expected: Expected<'_>, from: &str, to: &str) -> Vec<inf::Finding> {
        let text = read(&format!("{}.inf", expected.name));
        assert!(text.contains(from), "{from:?} is not in the file");
        lint(&text.replacen(from, to, 1), expected)
    }

    const CASES: &[(Rule, &str, &str)] = &[
        (Rule::Syntax, "[Version]", "[Version"),
        (Rule::Syntax, "[Version]", "x = 1\n[Version]"),
        (Rule::Syntax, "\"ethernet\"", "\"ethernet"),
        (Rule::Syntax, "\"Jumbo Packet\"", "\"Jumbo Pakét\""),
        (Rule::Version, "$Windows NT$", "$Chicago$"),
        (Rule::Version, "Class       = Net", "Class       = System"),
        (Rule::Version, "4D36E972", "4D36E97D"),
        (Rule::Version, "netfront.cat", "xenbus.cat"),
        (Rule::Version, "PnpLockdown = 1", "PnpLockdown = 0"),
        (Rule::Version, "PnpLockdown = 1\n", ""),
        (
            Rule::Version,
            "PnpLockdown = 1",
            "PnpLockdown = 1\nPnpLockdown = 1",
        ),
        (Rule::Version, "01/01/2026,0.1.0.0", "2026-01-01,0.1.0.0"),
        (Rule::Version, "01/01/2026,0.1.0.0", "02/29/2026,0.1.0.0"),
        (Rule::Version, "01/01/2026,0.1.0.0", "01/01/2026,0.1.0"),
        (
            Rule::Version,
            "01/01/2026,0.1.0.0",
            "01/01/2026,0.1.0.65536",
        ),
        (Rule::Version, "= \"xen-windows\"", "= \"Microsoft\""),
        (Rule::Version, "= \"xen-windows\"", "= \"\""),
        (Rule::Decoration, "NTamd64.10.0...17763\n", "NTamd64\n"),
        (
            Rule::Decoration,
            "NTamd64.10.0...17763\n",
            "NTamd64.10.0...14393\n",
        ),
        (
            Rule::Decoration,
            "NTamd64.10.0...17763\n",
            "NTarm64.10.0...17763\n",
        ),
        (Rule::Decoration, "Models, NTamd64.10.0...17763", "Models"),
        (
            Rule::Decoration,
            "[Models.NTamd64.10.0...17763]",
            "[Models.NTamd64]",
        ),
        (
            Rule::Models,
            "Netfront_Install, XENVIFBUS",
            "Netfront_Other, XENVIFBUS",
        ),
        (Rule::Models, r"XENVIFBUS\VIF", r"XENVIF\VEN_XS&DEV_NET"),
        (
            Rule::Models,
            ", XENVIFBUS\\VIF\n",
            ", XENVIFBUS\\VIF, XENVIFBUS\\DEVICE\n",
        ),
        (
            Rule::Models,
            ", XENVIFBUS\\VIF\n",
            ", XENVIFBUS\\VIF, XENVIFBUS\\VIF\n",
        ),
        (Rule::Strings, "%JumboPacket%", "%JumboPackets%"),
        (Rule::Strings, "[Strings]", "[Strings]\nUnused = \"x\""),
        (Rule::Strings, "[Strings]", "[Strings]\nMedia = \"x\""),
        (
            Rule::Destination,
            "DefaultDestDir = 13",
            "DefaultDestDir = 12",
        ),
        (
            Rule::Destination,
            "DefaultDestDir = 13",
            "Netfront_Files = 13",
        ),
        (
            Rule::Files,
            "[Netfront_Files]\nnetfront.sys",
            "[Netfront_Files]\nother.sys",
        ),
        (Rule::Files, "netfront.sys = 1", "netfront.sys = 2"),
        (
            Rule::Files,
            "CopyFiles           = Netfront_Files",
            "CopyFiles = Files",
        ),
        (
            Rule::Forbidden,
            "[Strings]",
            "[Netfront_Install.NT.CoInstallers]\n[Strings]",
        ),
        (
            Rule::Forbidden,
            "Characteristics     =",
            "DelReg = X\nCharacteristics =",
        ),
        (
            Rule::Forbidden,
            "[Netfront_Adapter]",
            "[Netfront_Adapter]\nHKR, RunOnce, x, 0, \"rundll32 y\"",
        ),
        (Rule::Registry, "HKR, Ndi, Service", "HKLM, Ndi, Service"),
        (
            Rule::Registry,
            "HKR, Ndi, Service, 0",
            "HKR, Ndi, Service, 5",
        ),
        (
            Rule::Registry,
            "TypesSupported, 0x00010001, 7",
            "TypesSupported, 0x00010001, x",
        ),
        (
            Rule::Registry,
            "TypesSupported, 0x00010001, 7",
            "TypesSupported, dword, 7",
        ),
        (
            Rule::Registry,
            "HKR, Ndi, Service, 0, \"netfront_rs\"",
            "HKR, Ndi",
        ),
        (
            Rule::Registry,
            "Netfront_Adapter, Netfront",
            "Netfront_None, Netfront_Adapter, Netfront",
        ),
        (
            Rule::Service,
            "netfront_rs, 0x00000002",
            "xennet, 0x00000002",
        ),
        (
            Rule::Service,
            "netfront_rs, 0x00000002",
            "netfront_rs, 0x00000000",
        ),
        (Rule::Service, "StartType      = 3", "StartType      = 0"),
        (Rule::Service, "ServiceType    = 1", "ServiceType    = 2"),
        (Rule::Service, "ErrorControl   = 1\n", ""),
        (Rule::Service, r"%13%\netfront.sys", r"%12%\netfront.sys"),
        (Rule::Service, r"%13%\netfront.sys", r"%13%\other.sys"),
        (
            Rule::Service,
            "Netfront_Service, Netfront_EventLog",
            "Service, Netfront_EventLog",
        ),
        (Rule::Service, "AddService", "AddServices"),
        (Rule::NetTypes, "*IfType             = 6", "*IfType = 71"),
        (Rule::NetTypes, "*MediaType          = 0\n", ""),
        (
            Rule::NetTypes,
            "*PhysicalMediaType  = 14",
            "*PhysicalMediaType = 0",
        ),
        (Rule::NetTypes, "= 0x84", "= 0x85"),
        (Rule::NetTypes, "= 0x84", "= 0x4"),
        (Rule::NetTypes, "BusType             = 15\n", ""),
        (
            Rule::NetBindings,
            "Service, 0, \"netfront_rs\"",
            "Service, 0, \"netfront\"",
        ),
        (Rule::NetBindings, "\"ndis5\"", "\"ndis6\""),
        (Rule::NetBindings, "\"ethernet\"", "\"token ring\""),
        (Rule::Settings, "Max, 0, \"9014\"", "Max, 0, \"9000\""),
        (Rule::Settings, "Type, 0, \"long\"", "Type, 0, \"int\""),
        (Rule::Settings, "\"Jumbo Packet\"", "\"Jumbo Frame\""),
        (
            Rule::Settings,
            "HKR, Ndi\\params\\*ReceiveBuffers, Step, 0, \"1\"\n",
            "",
        ),
        (
            Rule::Settings,
            "[Strings]",
            "[Netfront_Settings]\nHKR, Ndi\\params\\*FlowControl, Default, 0, \"1\"\n[Strings]",
        ),
        (
            Rule::Settings,
            "*RSS\\enum, 1, 0, %On%",
            "*RSS\\enum, 2, 0, %On%",
        ),
        (
            Rule::Settings,
            "[Strings]",
            "[Netfront_Settings]\nHKR, Ndi\\params\\*JumboPacket, Base, 0, \"10\"\n[Strings]",
        ),
        (Rule::Reachable, "[Strings]", "[Orphan]\nx = 1\n[Strings]"),
        (
            Rule::Reachable,
            "Netfront_Adapter, Netfront_Settings",
            "Netfront_Adapter",
        ),
    ];

    #[test]
    fn every_broken_file_is_refused_by_its_rule() {
        for (rule, from, to) in CASES {
            let findings = broken(NETFRONT, from, to);
            assert!(
                findings.iter().any(|finding| finding.rule == *rule),
                "{from:?} -> {to:?}: {rule:?} has not seen it: {findings:#?}"
            );
        }
    }

    #[test]
    fn every_rule_has_a_broken_file() {
        let tried: BTreeSet<Rule> = CASES.iter().map(|(rule, _, _)| *rule).collect();
        assert_eq!(tried, Rule::ALL.into_iter().collect());
    }

    #[test]
    fn files_that_the_package_lacks_are_named() {
        let package = ["netfront.inf".to_owned(), "netfront.cat".to_owned()];
        let expected = Expected {
            package: Some(&package),
            ..NETFRONT
        };
        let findings = lint(&read("netfront.inf"), expected);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].text, "netfront.sys is not in the package");
    }

    #[test]
    fn certification_objects_to_wrong_settings() {
        use keywords::{Keyword, Kind, table::JUMBO_PACKET, table::RSS};
        let Kind::Integer(good) = JUMBO_PACKET.kind else {
            panic!("a number")
        };
        let with = |change: fn(&mut keywords::Integer)| {
            let mut integer = good;
            change(&mut integer);
            Keyword {
                kind: Kind::Integer(integer),
                ..JUMBO_PACKET
            }
        };
        for wrong in [
            with(|i| i.max = 9000),
            with(|i| i.min = 1515),
            with(|i| i.step = 2),
            with(|i| i.default = 9014),
            with(|i| i.integer_type = keywords::IntegerType::Int),
            Keyword {
                kind: RSS.kind,
                ..JUMBO_PACKET
            },
            Keyword {
                name: "*RSSProfile",
                ..RSS
            },
        ] {
            assert!(!hlk::objections(&wrong).is_empty(), "{wrong:?}");
        }
    }
}
