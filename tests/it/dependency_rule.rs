//! apps -> adapters -> domain -> kernel, and no technology in a domain.

use amrutam_tests::support::environment;
use serde_json::Value;
use std::{collections::BTreeSet, process::Command};

/// A domain imports another only for its events and ids. None does yet.
const DOMAIN_PAIRS: &[(&str, &str)] = &[];
/// No domain crate names these among its dependencies.
const TECHNOLOGIES: &[&str] = &[
    "actix-web",
    "actix-rt",
    "axum",
    "bb8",
    "bb8-redis",
    "config",
    "deadpool",
    "diesel",
    "diesel-async",
    "hyper",
    "lapin",
    "lettre",
    "openssl",
    "redis",
    "reqwest",
    "rslock",
    "rustls",
    "sqlx",
    "tokio-postgres",
    "tokio-rustls",
    "tracing-subscriber",
    "utoipa",
];
const TOKIO_FEATURES: &[&str] = &["full", "fs", "net", "process"];
/// What the whole build must not contain: C libraries that a machine may lack.
const BANNED: &[&str] = &["aws-lc-sys", "aws-lc-rs", "pq-sys"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Kernel,
    Domain,
    /// Settings, telemetry, trust, crash points: used by adapters and apps.
    Shared,
    Adapter,
    App,
    Tests,
}

struct Crate {
    name: String,
    layer: Layer,
    /// Name and kind (`normal` or `dev`) of each of ours that it imports.
    ours: Vec<(String, String)>,
    others: Vec<(String, String, BTreeSet<String>)>,
}

/// Of our own packages only: the whole graph needs those of other platforms, which no build here downloads.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--no-deps"])
        .current_dir(&environment().root);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn layer_of(root: &str, manifest: &str) -> Layer {
    let path = manifest.strip_prefix(root).unwrap().trim_start_matches('/');
    let mut parts = path.split('/');
    match (parts.next().unwrap(), parts.next().unwrap(), parts.next()) {
        ("crates", "domain", Some("kernel")) => Layer::Kernel,
        ("crates", "domain", _) => Layer::Domain,
        ("crates", "adapters", _) => Layer::Adapter,
        ("crates", "crash" | "settings" | "telemetry" | "tls", _) => Layer::Shared,
        ("apps", ..) => Layer::App,
        ("tests", ..) => Layer::Tests,
        _ => panic!("{path}: in no layer that docs/architecture.md knows"),
    }
}

fn workspace() -> Vec<Crate> {
    let metadata = metadata();
    let root = metadata["workspace_root"].as_str().unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    packages
        .iter()
        .map(|package| {
            let mut found = Crate {
                name: package["name"].as_str().unwrap().to_owned(),
                layer: layer_of(root, package["manifest_path"].as_str().unwrap()),
                ours: vec![],
                others: vec![],
            };
            for dependency in package["dependencies"].as_array().unwrap() {
                let name = dependency["name"].as_str().unwrap();
                let kind = dependency["kind"].as_str().unwrap_or("normal").to_owned();
                if names.contains(name) {
                    found.ours.push((name.to_owned(), kind));
                } else {
                    let features =
                        dependency["features"].as_array().unwrap().iter().map(|f| f.as_str().unwrap().to_owned());
                    found.others.push((name.to_owned(), kind, features.collect()));
                }
            }
            found
        })
        .collect()
}

/// The arrows there may be. Tests and examples of a crate may also use the memory adapter, which is there for them, and
/// other domains, whose people they play.
fn may_import(from: &Crate, to: &Crate, kind: &str) -> bool {
    if kind == "dev" && (to.name == "amrutam-memory" || matches!(to.layer, Layer::Kernel | Layer::Domain)) {
        return true;
    }
    match (from.layer, to.layer) {
        (Layer::Kernel, _) | (_, Layer::App) => from.layer == Layer::Tests,
        (Layer::Domain, Layer::Domain) => DOMAIN_PAIRS.contains(&(&*from.name, &*to.name)),
        (Layer::Domain, to) => to == Layer::Kernel,
        (Layer::Shared, to) => matches!(to, Layer::Kernel | Layer::Shared),
        (Layer::Adapter, to) => matches!(to, Layer::Kernel | Layer::Domain | Layer::Shared),
        (Layer::App | Layer::Tests, to) => to != Layer::Tests,
    }
}

#[test]
fn every_arrow_points_inwards() {
    let crates = workspace();
    let mut wrong = Vec::new();
    for from in &crates {
        for (name, kind) in &from.ours {
            let to = crates.iter().find(|candidate| candidate.name == *name).unwrap();
            if !may_import(from, to, kind) {
                wrong.push(format!(
                    "{} ({:?}) must not import {} ({:?}, {kind})",
                    from.name, from.layer, to.name, to.layer
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(crates.iter().filter(|one| one.layer == Layer::Domain).count() >= 3, "the workspace was not read");
}

#[test]
fn no_domain_knows_a_technology() {
    let mut wrong = Vec::new();
    for domain in workspace().iter().filter(|one| matches!(one.layer, Layer::Kernel | Layer::Domain)) {
        for (name, kind, features) in domain.others.iter().filter(|(_, kind, _)| kind == "normal") {
            if TECHNOLOGIES.contains(&&**name) {
                wrong.push(format!("{} imports {name} ({kind})", domain.name));
            }
            for feature in features.iter().filter(|feature| name == "tokio" && TOKIO_FEATURES.contains(&&***feature)) {
                wrong.push(format!("{} uses tokio's {feature}", domain.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_build_needs_no_foreign_c_library_and_has_one_redis() {
    let lock = std::fs::read_to_string(environment().root.join("Cargo.lock")).unwrap();
    let times = |name: &str| lock.matches(&format!("\nname = \"{name}\"\n")).count();
    for name in BANNED {
        assert_eq!(times(name), 0, "{name} is in the build");
    }
    assert_eq!(times("redis"), 1, "the pool and the lock use one redis");
    assert_eq!(times("amrutam-tests"), 1, "the lock file was not read");
}
