//! The WIT package as registries have it: it can be built and read back, and each item says since which version there is one.

use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::DecodedWasm;
use wit_parser::{PackageId, Resolve, Stability, TypeOwner, WorldItem};

/// The version of the package in which everything came that is there.
const SINCE: &str = "0.1.0";

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

fn source() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).expect("the WIT package is valid");
    (resolve, package)
}

/// The names of all that is in a package, and since when it is there.
fn items(resolve: &Resolve, package: PackageId) -> Vec<(String, Stability)> {
    let package = &resolve.packages[package];
    let mut items = Vec::new();
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        items.push((name.clone(), interface.stability.clone()));
        for (of, id) in &interface.types {
            items.push((format!("{name}.{of}"), resolve.types[*id].stability.clone()));
        }
        items.extend(interface.functions.iter().map(|(of, function)| (format!("{name}.{of}"), function.stability.clone())));
    }
    for (name, id) in &package.worlds {
        let world = &resolve.worlds[*id];
        items.push((format!("world {name}"), world.stability.clone()));
        for (key, item) in &world.imports {
            let stability = match item {
                WorldItem::Interface { stability, .. } => stability.clone(),
                WorldItem::Function(function) => function.stability.clone(),
                WorldItem::Type { id, .. } => resolve.types[*id].stability.clone(),
            };
            items.push((format!("world {name}: {}", resolve.name_world_key(key)), stability));
        }
    }
    items.sort_by(|one, other| one.0.cmp(&other.0));
    items
}

#[test]
fn each_item_says_since_when_it_is_there() {
    let (resolve, package) = source();
    let items = items(&resolve, package);
    assert!(items.len() > 200, "only {} items were found", items.len());
    let says = |stability: &Stability| match stability {
        Stability::Stable { since, .. } => since.to_string() == SINCE,
        _ => false,
    };
    let silent: Vec<&str> = items.iter().filter(|(_, stability)| !says(stability)).map(|(name, _)| name.as_str()).collect();
    assert!(silent.is_empty(), "without `@since(version = {SINCE})`: {silent:?}");
}

#[test]
fn the_package_can_be_built_and_read_back() {
    let (resolve, package) = source();
    let binary = wit_component::encode(&resolve, package).expect("it can be built");
    let decoded = wit_component::decode(&binary).expect("it can be read back");
    let DecodedWasm::WitPackage(back, id) = decoded else { panic!("a component in place of a package") };
    assert_eq!(back.packages[id].name.to_string(), format!("aiohost:aio@{SINCE}"));
    assert_eq!(items(&back, id), items(&resolve, package));
    // What a name stands for is the same, too: a list of words would be equal for other types.
    let functions = |resolve: &Resolve, package: PackageId| -> Vec<usize> {
        let interfaces = resolve.packages[package].interfaces.values();
        interfaces.flat_map(|id| resolve.interfaces[*id].functions.values().map(|function| function.params.len())).collect()
    };
    assert_eq!(functions(&back, id), functions(&resolve, package));
    let used = |resolve: &Resolve| resolve.types.iter().filter(|(_, ty)| !matches!(ty.owner, TypeOwner::None)).count();
    assert_eq!(used(&back), used(&resolve));
}

#[test]
fn wkg_builds_the_package() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("aio.wasm");
    let mut wkg = Command::new("wkg");
    wkg.args(["wit", "build", "--wit-dir", "wit", "--output"]).arg(&file).current_dir(wit().join(".."));
    let output = match wkg.output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: wkg cannot be started: {error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = std::fs::read(file).expect("it was written");
    assert!(matches!(wit_component::decode(&built), Ok(DecodedWasm::WitPackage(..))));
}
