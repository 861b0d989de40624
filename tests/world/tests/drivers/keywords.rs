//! The settings of `netfront.sys`: which it reads, and what becomes of values it cannot use.

use std::collections::BTreeSet;

use harness::Value;
use keywords::{Kind, TABLE};
use netback_model::Preset;
use world::{Nobody, World};

/// A world with one interface, booted and connected, without keywords.
fn booted(seed: u64) -> World {
    let mut world = World::builder().cpus(1).seed(seed).build();
    world.add_vif(World::vif_config(Preset::Linux, 0), Nobody::default());
    world.boot();
    world.wait_connected(0);
    world
}

/// Restarts the adapter with these keywords and no others; what it says about them.
fn restart(world: &mut World, keywords: &[(&str, Value)]) -> Vec<String> {
    let device = world.interfaces()[0];
    world.disable_interface(device);
    for keyword in TABLE {
        let value = keywords.iter().find(|(name, _)| *name == keyword.name);
        let value = value.map(|(_, value)| value.clone());
        world.harness().set_default_keyword(keyword.name, value);
    }
    let before = world.harness().log().len();
    world.enable_interface(device);
    world.wait_connected(0);
    lines(world, before)
}

/// Lines of the log about keywords, without the first `skip` of all lines.
fn lines(world: &World, skip: usize) -> Vec<String> {
    let log = world.harness().log();
    let about = |text: &String| text.contains("netfront::keywords: ");
    log.into_iter()
        .skip(skip)
        .map(|line| line.text)
        .filter(about)
        .collect()
}

fn end(mut world: World) {
    world.tear_down();
    world.assert_nothing_left();
}

#[test]
fn the_driver_reads_the_keywords_of_the_table_and_no_others() {
    let world = booted(200);
    let reads = world.protocol(world.interfaces()[0]).keyword_reads();
    let read: BTreeSet<&str> = reads.iter().map(|read| read.keyword.as_str()).collect();
    let table: BTreeSet<&str> = TABLE.iter().map(|keyword| keyword.name).collect();
    assert_eq!(read, table);
    end(world);
}

#[test]
fn missing_values_are_their_defaults_in_one_line() {
    let world = booted(201);
    let expected = TABLE.iter().filter(|keyword| !keyword.optional).count();
    let lines = lines(&world, 0);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let start = format!("netfront::keywords: {expected} keywords are not set");
    assert!(lines[0].starts_with(&start), "{lines:?}");
    end(world);
}

/// Values of every registry type, and of the right type without sense.
fn unusable() -> Vec<(&'static str, Value)> {
    let data = |kind, data: &[u8]| Value {
        kind,
        data: data.to_vec(),
    };
    vec![
        ("REG_NONE", data(0, &[])),
        ("REG_EXPAND_SZ", data(2, Value::text("1").data.as_slice())),
        ("REG_BINARY", data(3, &[1, 0, 0, 0])),
        ("empty REG_BINARY", data(3, &[])),
        ("REG_DWORD of two bytes", data(4, &[1, 0])),
        ("REG_DWORD_BIG_ENDIAN", data(5, &[0, 0, 0, 1])),
        ("REG_LINK", data(6, &[1, 0])),
        ("REG_MULTI_SZ", data(7, &[b'1', 0, 0, 0, 0, 0])),
        ("REG_QWORD", data(11, &[1, 0, 0, 0, 0, 0, 0, 0])),
        ("unknown type", data(0xFFFF_FFFF, &[1])),
        ("huge REG_DWORD", Value::dword(u32::MAX)),
        ("words", Value::text("1 or so")),
        ("negative", Value::text("-1")),
        ("hexadecimal", Value::text("0x1")),
        ("65,536 times 0 and 1", Value::text("4294967297")),
        ("long", Value::text(&"9".repeat(4000))),
        ("lone surrogate", data(1, &[0, 0xD8, 0, 0])),
        ("half a unit at the end", data(1, b"x\0y\0z")),
    ]
}

#[test]
fn unusable_values_are_their_defaults_with_one_line_each() {
    let mut world = booted(210);
    let without = world.protocol(world.interfaces()[0]).attributes();
    for (what, value) in unusable() {
        let all: Vec<(&str, Value)> = TABLE
            .iter()
            .map(|keyword| (keyword.name, value.clone()))
            .collect();
        let lines = restart(&mut world, &all);
        for keyword in TABLE {
            let start = format!("netfront::keywords: {} is ", keyword.name);
            let count = lines.iter().filter(|line| line.starts_with(&start)).count();
            assert_eq!(count, 1, "{what}: {}: {lines:#?}", keyword.name);
        }
        assert_eq!(lines.len(), TABLE.len(), "{what}: {lines:#?}");
        let with = world.protocol(world.interfaces()[0]).attributes();
        assert_eq!(with.general, without.general, "{what}");
        assert_eq!(with.offload, without.offload, "{what}");
    }
    end(world);
}

#[test]
fn values_just_outside_the_range_are_the_default_with_one_line() {
    let mut world = booted(240);
    let without = world.protocol(world.interfaces()[0]).attributes();
    for keyword in TABLE {
        let outside = match keyword.kind {
            Kind::Integer(integer) => vec![integer.min.checked_sub(1), integer.max.checked_add(1)],
            Kind::Enumeration(enumeration) => {
                let taken = |value| enumeration.choices.iter().any(|c| c.value == value);
                vec![(0..=u32::MAX).find(|value| !taken(*value))]
            }
            Kind::Edit(_) => continue,
        };
        for value in outside.into_iter().flatten() {
            let lines = restart(
                &mut world,
                &[(keyword.name, Value::text(&value.to_string()))],
            );
            let start = format!("netfront::keywords: {} is ", keyword.name);
            assert!(lines[0].starts_with(&start), "{value}: {lines:#?}");
            assert_eq!(lines.len(), 2, "{value}: {lines:#?}");
            let with = world.protocol(world.interfaces()[0]).attributes();
            assert_eq!(with.general, without.general, "{} {value}", keyword.name);
            assert_eq!(with.offload, without.offload, "{} {value}", keyword.name);
        }
    }
    end(world);
}

/// What the administrator writes may be in the registry as a number too.
#[test]
fn numbers_are_read_from_dwords_and_from_text_alike() {
    let mut world = booted(260);
    for value in [
        Value::dword(9014),
        Value::text("9014"),
        Value::text("0009014"),
    ] {
        let lines = restart(
            &mut world,
            &[("*JumboPacket", value), ("*RSS", Value::dword(0))],
        );
        let missing = TABLE.iter().filter(|keyword| !keyword.optional).count() - 2;
        let line =
            format!("netfront::keywords: {missing} keywords are not set: their defaults apply");
        assert_eq!(lines, [line]);
    }
    end(world);
}
