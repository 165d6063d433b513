//! The WIT package as registries have it: it can be built and read back, published and fetched, and each item says since which
//! version there is one.
//!
//! What is done by `wkg` is counted as ignored where that cannot be had, and the reason is printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use wit_component::DecodedWasm;
use wit_parser::{PackageId, Resolve, Stability, TypeOwner, WorldItem};

use toolchains::{said, toolchain};

#[path = "support/program.rs"]
mod program;
#[path = "support/toolchains.rs"]
#[allow(dead_code, reason = "this suite builds no guests")]
mod toolchains;

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

/// What `wkg` is told: packages of aiohost's are in a registry that is a directory.
struct Registry {
    place: TempDir,
    wkg: PathBuf,
}

impl Registry {
    /// A registry with nothing in it.
    fn new() -> Result<Self, Failed> {
        let (place, wkg) = (tempfile::tempdir()?, wkg()?);
        let root = place.path().join("registry");
        fs::create_dir(&root)?;
        let config = format!(
            "[namespace_registries]\naiohost = \"registry.test\"\n\n[registry.\"registry.test\"]\ndefault = \"local\"\n\n\
             [registry.\"registry.test\".local]\nroot = {root:?}\n"
        );
        fs::write(place.path().join("config.toml"), config)?;
        Ok(Self { place, wkg })
    }

    /// Runs `wkg` in a directory. It leaves a lock file there.
    fn run(&self, arguments: &[&str], directory: &Path) -> Result<(), Failed> {
        let mut wkg = Command::new(&self.wkg);
        wkg.args(arguments).current_dir(directory);
        wkg.arg("--config").arg(self.place.path().join("config.toml")).arg("--cache").arg(self.place.path().join("cache"));
        said(&mut wkg)?;
        Ok(())
    }

    /// Builds the package of this repository.
    fn build(&self) -> Result<PathBuf, Failed> {
        let sources = self.place.path().join("sources");
        fs::create_dir_all(sources.join("wit"))?;
        fs::copy(wit().join("../wkg.toml"), sources.join("wkg.toml"))?;
        for entry in fs::read_dir(wit())? {
            let entry = entry?;
            fs::copy(entry.path(), sources.join("wit").join(entry.file_name()))?;
        }
        self.run(&["build", "--wit-dir", "wit", "--output", "aio.wasm"], &sources)?;
        Ok(sources.join("aio.wasm"))
    }
}

/// A test, which may fail in other ways than by a panic.
type Test = fn() -> Result<(), Failed>;

fn wkg() -> Result<PathBuf, String> {
    toolchain("wkg.sh", &[])
}

fn wkg_builds_the_package() -> Result<(), Failed> {
    let built = fs::read(Registry::new()?.build()?)?;
    let DecodedWasm::WitPackage(back, id) = wit_component::decode(&built)? else { return Err("no package".into()) };
    let (resolve, package) = source();
    assert_eq!(items(&back, id), items(&resolve, package));
    Ok(())
}

fn a_project_fetches_the_package_from_a_registry() -> Result<(), Failed> {
    let registry = Registry::new()?;
    let built = registry.build()?;
    registry.run(&["publish", "aio.wasm"], built.parent().ok_or("it has a folder")?)?;
    assert!(registry.place.path().join(format!("registry/aiohost/aio/{SINCE}.wasm")).is_file());

    let place = registry.place.path();
    said(Command::new(program::aiohost()).args(["new", "zig", "plugin"]).current_dir(place))?;
    let project = place.join("plugin");
    fs::remove_dir_all(project.join("wit/deps"))?;
    assert!(Resolve::default().push_dir(project.join("wit")).is_err(), "it needs the package");
    registry.run(&["fetch"], &project)?;

    let mut fetched = Resolve::default();
    fetched.push_dir(project.join("wit"))?;
    let name = format!("aiohost:aio@{SINCE}");
    let id = fetched.packages.iter().find(|(_, package)| package.name.to_string() == name).map(|(id, _)| id);
    let (resolve, package) = source();
    assert_eq!(items(&fetched, id.ok_or("it was fetched")?), items(&resolve, package));
    Ok(())
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("each_item_says_since_when_it_is_there", || {
            each_item_says_since_when_it_is_there();
            Ok(())
        }),
        Trial::test("the_package_can_be_built_and_read_back", || {
            the_package_can_be_built_and_read_back();
            Ok(())
        }),
    ];
    // Nothing has to be installed for a list of the tests, nor for those that are filtered out.
    let by_wkg: [(&str, Test); 2] = [
        ("wkg_builds_the_package", wkg_builds_the_package),
        ("a_project_fetches_the_package_from_a_registry", a_project_fetches_the_package_from_a_registry),
    ];
    let is_wanted = |name: &str| !arguments.list && arguments.filter.as_deref().is_none_or(|filter| name.contains(filter));
    let missing = if by_wkg.iter().any(|(name, _)| is_wanted(name)) { wkg().err() } else { None };
    if let Some(reason) = &missing {
        eprintln!("wkg is skipped: {reason}");
    }
    trials.extend(by_wkg.map(|(name, test)| Trial::test(name, test).with_ignored_flag(missing.is_some())));
    libtest_mimic::run(&arguments, trials).exit();
}
