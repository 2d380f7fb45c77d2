//! One line to a hit or to none: what each line of a log costs before anything else happens.

#![allow(clippy::unwrap_used, reason = "a benchmark: a panic is the report")]

use std::sync::Arc;

use knock_formats::{Extractor, FieldName, FormatSpec, Formats, LogFormat};

const KNOCK: &[u8] = b"Nov 21 03:22:42 vm kernel: portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 SRC=203.0.113.7 DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP SPT=40946 DPT=102 WINDOW=64240 RES=0x00 SYN URGP=0 ";
const NOISE: &[u8] = b"Nov 21 03:22:43 vm sshd[2154]: Failed password for invalid user admin from 198.51.100.23 port 51234 ssh2: RSA SHA256:0Zr3Qd2l9m1xKq8J5vB7nT4cWfYgHsUeRaPoIiLkMjN, authentication refused";
const OTHER: &[u8] = b"Nov 21 03:22:43 vm kernel: usb 1-1: New USB device found, idVendor=1d6b, idProduct=0002, bcdDevice= 6.18";

fn main() {
    divan::main();
}

/// The shipped format. Read from its file by hand: a benchmark needs no YAML.
fn iptables() -> LogFormat {
    let text = include_str!("../../../logformats/iptables.yaml");
    let file: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let expressions = file["expressions"].as_mapping().unwrap().iter().map(|(name, text)| {
        let field = FieldName::parse(name.as_str().unwrap()).unwrap();
        (field, text.as_str().unwrap().to_owned())
    });
    compile(expressions.collect())
}

/// What users copied from the original's manual.
fn legacy() -> LogFormat {
    let expressions = [
        (FieldName::Required, "portknock"),
        (FieldName::Interface, "IN=(\\S+)"),
        (FieldName::Protocol, "PROTO=([A-Z]+)"),
        (FieldName::IpServer, "DST=([0-9.]+)"),
        (FieldName::IpClient, "SRC=([0-9.]+)"),
        (FieldName::Port, "DPT=([0-9]+)"),
    ];
    compile(expressions.map(|(field, text)| (field, text.to_owned())).into())
}

/// An expression that only the regex engine can run.
fn engine() -> LogFormat {
    let expressions = [
        (FieldName::Required, "portknock"),
        (FieldName::IpClient, "SRC=([0-9.]+) .* PROTO="),
        (FieldName::Port, "\\bDPT=([0-9]{1,5})\\b"),
    ];
    compile(expressions.map(|(field, text)| (field, text.to_owned())).into())
}

fn compile(expressions: Vec<(FieldName, String)>) -> LogFormat {
    let spec = FormatSpec { name: "bench".to_owned(), expressions, ..FormatSpec::default() };
    LogFormat::compile(&spec).unwrap()
}

fn line(bencher: divan::Bencher<'_, '_>, format: &LogFormat, line: &[u8]) {
    bencher
        .counter(divan::counter::ItemsCount::new(1_usize))
        .bench_local(|| format.hit(divan::black_box(line)));
}

#[divan::bench]
fn iptables_knock(bencher: divan::Bencher<'_, '_>) {
    line(bencher, &iptables(), KNOCK);
}

#[divan::bench]
fn iptables_noise(bencher: divan::Bencher<'_, '_>) {
    line(bencher, &iptables(), NOISE);
}

#[divan::bench]
fn iptables_other_kernel_line(bencher: divan::Bencher<'_, '_>) {
    line(bencher, &iptables(), OTHER);
}

#[divan::bench]
fn legacy_knock(bencher: divan::Bencher<'_, '_>) {
    line(bencher, &legacy(), KNOCK);
}

#[divan::bench]
fn legacy_noise(bencher: divan::Bencher<'_, '_>) {
    line(bencher, &legacy(), NOISE);
}

#[divan::bench]
fn engine_knock(bencher: divan::Bencher<'_, '_>) {
    line(bencher, &engine(), KNOCK);
}

/// A log as it comes: one line in a hundred is a knock's.
#[divan::bench]
fn iptables_block_of_1000_lines(bencher: divan::Bencher<'_, '_>) {
    let mut block = Vec::new();
    for line in 0..1000 {
        block.extend_from_slice(if line % 100 == 0 { KNOCK } else { NOISE });
        block.push(b'\n');
    }
    let mut extractor = Extractor::new(Arc::new(Formats::new(vec![iptables()])));
    bencher.counter(divan::counter::ItemsCount::new(1000_usize)).bench_local(|| {
        let mut hits = 0;
        extractor.block(divan::black_box(&block), &mut |_, _| hits += 1);
        hits
    });
}
