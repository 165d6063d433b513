//! From a container whose process is a plugin to one whose process is this program, which runs it.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use aiohost::Rights;
use anyhow::Context as _;
use serde_json::{Value, json};

use super::super::grants::Grant;
use super::super::remedy::failure;
use super::annotations::Annotations;
use super::bundle::{Bundle, in_one_form};
use super::parts::{FOLDER, PROGRAM, Parts};
use super::settings::{Native, Settings};
use super::{code, grants, limits, plugin_file};

/// The root of the container, in the bundle. What the image holds is not in it.
const ROOT: &str = "aiohost-root";

/// What the name of a plugin's code ends with.
const CODE: &str = ".cwasm";

/// Bytes that the name of a file has at most, on Linux.
const NAME_MAX: usize = 255;

/// Annotations by which Kubernetes' engines tell the container that only holds the namespaces of a pod.
const SANDBOXES: [&str; 2] = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];

/// Prepares a bundle: if its process is a plugin, it is changed.
pub(super) fn prepare(mut bundle: Bundle, settings: &Settings) -> anyhow::Result<()> {
    let annotations = Annotations::of(&bundle.config)?;
    let process = &bundle.config["process"];
    let arguments: Vec<String> = strings(&process["args"]);
    let cwd = in_one_form("/", process["cwd"].as_str().unwrap_or_default());
    let is_plugin = |word: &&String| is_plugin(word, &annotations) && !is_sandbox(&bundle.config);
    let Some(word) = arguments.first().filter(is_plugin) else {
        return check_native(&bundle.config, &arguments, settings);
    };
    if word.ends_with(".cwasm") {
        let help = "put the .wasm into the image that it was made from: it is compiled once for each machine";
        return Err(failure(format!("{word} is compiled code, which no container may bring along"), help));
    }
    let path = in_one_form(&cwd, word);
    let parts = Parts::of_this_program()?;
    let mounts = bundle.mounts();
    let grants = grants::grants(&mounts, &cwd, &path, &parts.reserved, &annotations)?;
    let folder = code::folder(settings)?;
    mounts.iter().try_for_each(|mount| code::check_mount(mount, &folder))?;
    let mut options = limits::options(&bundle.config, &annotations, settings)?;
    options.extend(allowed(&annotations, settings)?);
    if annotations.stats {
        options.push("--stats".to_owned());
    }
    let plugin = plugin_file::read(&bundle, &path)?;
    let code = code::compiled(&plugin, &path, &folder, settings)?;
    let root = root(&bundle)?;
    let environment = strings(&process["env"]);
    let run = Run { root, code, parts, options, grants, environment, arguments };
    run.enter(&mut bundle.config);
    bundle.write()
}

fn is_plugin(word: &str, annotations: &Annotations) -> bool {
    annotations.plugin.unwrap_or_else(|| word.ends_with(".wasm") || word.ends_with(".cwasm"))
}

/// Whether it only holds the namespaces of a pod, whose annotations it has, too.
fn is_sandbox(config: &Value) -> bool {
    SANDBOXES.iter().any(|name| config["annotations"][*name] == "sandbox")
}

/// Whether a container without a plugin may be made.
fn check_native(config: &Value, arguments: &[String], settings: &Settings) -> anyhow::Result<()> {
    match settings.native {
        Native::Run => Ok(()),
        Native::Sandboxes if is_sandbox(config) => Ok(()),
        Native::Sandboxes | Native::Refuse => {
            let what = match arguments.first() {
                Some(word) => format!("{word} is no plugin, and nothing else is run here"),
                None => "the container has no process, and nothing but plugins is run here".to_owned(),
            };
            Err(failure(what, "the first word of a container's command is a .wasm; `native` in /etc/aiohost/oci.json decides"))
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the annotations ask for and the settings have.
fn allowed(annotations: &Annotations, settings: &Settings) -> anyhow::Result<Vec<String>> {
    let allow = |what: &String| {
        if settings.allow.contains(what) {
            return Ok(format!("--allow={what}"));
        }
        let help = format!("`allow` in /etc/aiohost/oci.json lists what may be asked for: [{what:?}]");
        Err(failure(format!("the annotation dev.aiohost.allow asks for {what}, which is not allowed here"), help))
    };
    annotations.allow.iter().map(allow).collect()
}

/// An empty directory to be the root of the container: nothing of the image can come into the way of what runs the plugin.
fn root(bundle: &Bundle) -> anyhow::Result<PathBuf> {
    let root = bundle.dir.join(ROOT);
    DirBuilder::new().recursive(true).mode(0o755).create(&root).context("cannot make a root for the container")?;
    // The runtime makes the places of mounts in it, as whoever is root there.
    let owner = |mappings: &str| owner(&bundle.config["linux"][mappings]);
    let owners = (owner("uidMappings"), owner("gidMappings"));
    if owners != (None, None) {
        chown(&root, owners.0, owners.1).context("cannot give the root of the container to its root user")?;
    }
    Ok(root)
}

/// Whom root in a user namespace is outside of it.
fn owner(mappings: &Value) -> Option<u32> {
    let root = mappings.as_array()?.iter().find(|mapping| mapping["containerID"] == 0)?;
    root["hostID"].as_u64().and_then(|id| u32::try_from(id).ok())
}

/// What the process of the container is to be.
struct Run {
    root: PathBuf,
    code: PathBuf,
    parts: Parts,
    options: Vec<String>,
    grants: Vec<Grant>,
    environment: Vec<String>,
    arguments: Vec<String>,
}

impl Run {
    /// Enters it. What is not named here stays as it is.
    fn enter(self, config: &mut Value) {
        let code = self.place_of_code();
        config["root"] = json!({ "path": self.root, "readonly": true });
        let process = &mut config["process"];
        process["args"] = json!(self.command(&code));
        // Variables of the container are the plugin's. To this program they could mean something: where its libraries are, say.
        process["env"] = json!(self.parts.environment);
        process["cwd"] = json!("/");
        let files = self.parts.files.iter().map(|(file, place)| (file.as_path(), place.as_str()));
        let files = files.chain([(self.code.as_path(), code.as_str())]);
        let mounts: Vec<Value> = files.map(|(file, place)| mount(file, place)).collect();
        // Behind those of the container, so that they cannot be hidden.
        match &mut config["mounts"] {
            Value::Array(known) => known.extend(mounts),
            none => *none = Value::Array(mounts),
        }
    }

    /// Messages call the plugin by the name of this file, so far as a name can be as long.
    fn place_of_code(&self) -> String {
        let name = self.arguments.first().and_then(|word| Path::new(word).file_stem()).unwrap_or_default().to_string_lossy();
        let name = &name[..name.floor_char_boundary(NAME_MAX - CODE.len())];
        format!("{FOLDER}/{name}{CODE}")
    }

    /// Each option is one word with its value, and behind `--` everything is the plugin's.
    fn command(&self, code: &str) -> Vec<String> {
        let mut words = vec![PROGRAM.to_owned(), "run".to_owned(), "--no-cache".to_owned()];
        words.extend(self.options.iter().cloned());
        for grant in &self.grants {
            let option = if grant.rights == Rights::Read { "ro-dir" } else { "dir" };
            words.push(format!("--{option}={}::{}", grant.host.display(), grant.guest));
        }
        // Without a value it would be inherited, and without a name it is none.
        let is_variable = |text: &&String| text.find('=').is_some_and(|at| at > 0);
        words.extend(self.environment.iter().filter(is_variable).map(|variable| format!("--env={variable}")));
        let (name, arguments) = self.arguments.split_first().map_or(("", [].as_slice()), |(name, rest)| (name, rest));
        words.extend([format!("--argv0={name}"), "--".to_owned(), code.to_owned()]);
        words.extend(arguments.iter().cloned());
        words
    }
}

fn mount(source: &Path, destination: &str) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind", "ro", "nosuid", "nodev"] })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(arguments: &[&str]) -> Run {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let grant = |name: &str, rights| Grant { host: name.into(), guest: name.to_owned(), rights };
        Run {
            root: "/b/aiohost-root".into(),
            code: "/var/cache/x.cwasm".into(),
            parts: Parts { files: vec![("/bin/aiohost".into(), PROGRAM.to_owned())], ..Parts::default() },
            options: words(&["--max-memory=5"]),
            grants: vec![grant("/data", Rights::ReadWrite), grant("/songs", Rights::Read)],
            environment: words(&["A=b=c", "PATH=/bin", "LD_PRELOAD=/evil.so", "AIOHOST_LOG=trace", "NONE", "=x", "E="]),
            arguments: words(arguments),
        }
    }

    #[test]
    fn the_process_becomes_this_program() {
        let mut config = json!({
            "ociVersion": "1.0.2", "hostname": "h", "root": { "path": "rootfs" },
            "process": { "args": ["/app/my.wasm"], "env": ["A=b"], "cwd": "/data", "user": { "uid": 7, "gid": 8 },
                "capabilities": { "bounding": [] }, "rlimits": [] },
            "mounts": [{ "destination": "/data", "type": "bind", "source": "/d" }],
            "linux": { "resources": { "memory": { "limit": 5 } } }, "hooks": { "poststop": [] }
        });
        let before = config.clone();
        run(&["/app/my.wasm", "--dir=/", "-x", "--", "a"]).enter(&mut config);
        let words = [
            "/.aiohost/aiohost",
            "run",
            "--no-cache",
            "--max-memory=5",
            "--dir=/data::/data",
            "--ro-dir=/songs::/songs",
            "--env=A=b=c",
            "--env=PATH=/bin",
            "--env=LD_PRELOAD=/evil.so",
            "--env=AIOHOST_LOG=trace",
            "--env=E=",
            "--argv0=/app/my.wasm",
            "--",
            "/.aiohost/my.cwasm",
            "--dir=/",
            "-x",
            "--",
            "a",
        ];
        assert_eq!(config["process"]["args"], json!(words));
        assert_eq!((&config["process"]["env"], &config["process"]["cwd"]), (&json!([]), &json!("/")));
        assert_eq!(config["root"], json!({ "path": "/b/aiohost-root", "readonly": true }));
        for same in ["hostname", "linux", "hooks", "ociVersion"] {
            assert_eq!(config[same], before[same], "{same}");
        }
        for same in ["user", "capabilities", "rlimits"] {
            assert_eq!(config["process"][same], before["process"][same], "{same}");
        }
        let mounts = config["mounts"].as_array().expect("mounts");
        assert_eq!(mounts[0], before["mounts"][0]);
        let places: Vec<&Value> = mounts[1..].iter().map(|mount| &mount["destination"]).collect();
        assert_eq!(places, ["/.aiohost/aiohost", "/.aiohost/my.cwasm"]);
        assert!(
            mounts[1..].iter().all(|mount| mount["options"].as_array().is_some_and(|options| options.contains(&json!("ro"))))
        );
    }

    #[test]
    fn a_name_as_long_as_can_be_was_made_longer() {
        for (name, place) in [("n".repeat(250) + ".wasm", "n".repeat(249)), ("é".repeat(127), "é".repeat(124))] {
            assert_eq!(run(&[&name]).place_of_code(), format!("{FOLDER}/{place}.cwasm"));
        }
    }

    /// The words of the plugin, as clap finds them in the command of the container.
    fn taken(run: &Run) -> crate::cli::run_options::Options {
        let words = run.command("/.aiohost/my.cwasm").into_iter().map(Into::into);
        match crate::cli::parse(words).map(|cli| cli.command) {
            Ok(crate::cli::Command::Run(options)) => *options,
            _ => panic!("it is no command line of `run`"),
        }
    }

    #[test]
    fn no_argument_and_no_variable_of_an_image_is_an_option() {
        let evil = ["x.wasm", "--dir=/", "--dir", "/", "--allow=procfs", "--", "--ro-dir=/etc", "-Sinherit-env", "--no-cache"];
        let options = taken(&run(&evil));
        assert_eq!(options.arguments, evil[1..]);
        assert_eq!(options.grants.0.len(), 2);
        assert!(options.allow.is_empty());
        assert_eq!(options.plugin, Path::new("/.aiohost/my.cwasm"));
        let names: Vec<&str> = options.environment.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "PATH", "LD_PRELOAD", "AIOHOST_LOG", "E"]);
        for first in ["--dir=/.wasm", "-.wasm", "--", "a b.wasm"] {
            let options = taken(&run(&[first]));
            assert_eq!((options.argv0.as_deref(), options.grants.0.len()), (Some(first), 2));
        }
    }

    fn bundle(config: Value) -> (tempfile::TempDir, Bundle) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("config.json"), config.to_string()).expect("a file");
        let bundle = Bundle::open(dir.path()).expect("a bundle");
        (dir, bundle)
    }

    #[test]
    fn other_containers_stay_as_they_are() {
        for config in [
            json!({ "process": { "args": ["/bin/sh", "x.wasm"], "cwd": "/" } }),
            json!({ "process": { "args": [] } }),
            json!({}),
            json!({ "process": { "args": ["/x.wasm"] }, "annotations": { "dev.aiohost.plugin": "false" } }),
            json!({ "process": { "args": ["/pause"] }, "annotations": { "dev.aiohost.plugin": "true", SANDBOXES[1]: "sandbox" } }),
        ] {
            let (dir, bundle) = bundle(config.clone());
            prepare(bundle, &Settings::default()).expect("nothing is done");
            assert_eq!(Bundle::open(dir.path()).expect("a bundle").config, config);
        }
    }

    #[test]
    fn other_containers_are_refused_where_the_settings_say_so() {
        let config = |kind: &str| json!({ "process": { "args": ["/pause"] }, "annotations": { SANDBOXES[0]: kind } });
        let refused = |kind: &str, native| {
            let settings = Settings { native, ..Settings::default() };
            prepare(bundle(config(kind)).1, &settings).is_err()
        };
        assert!(!refused("container", Native::Run));
        assert!(refused("container", Native::Sandboxes) && !refused("sandbox", Native::Sandboxes));
        assert!(refused("container", Native::Refuse) && refused("sandbox", Native::Refuse));
    }

    #[test]
    fn compiled_code_of_an_image_is_refused() {
        for config in [
            json!({ "process": { "args": ["/x.cwasm"] } }),
            json!({ "process": { "args": ["/x.cwasm"] }, "annotations": { "dev.aiohost.plugin": "true" } }),
        ] {
            let error = prepare(bundle(config).1, &Settings::default()).expect_err("it is native code");
            assert!(error.to_string().contains("which no container may bring along"), "{error}");
        }
    }

    #[test]
    fn what_is_asked_for_must_be_allowed() {
        let asks = Annotations { allow: vec!["procfs".to_owned()], ..Annotations::default() };
        assert!(allowed(&asks, &Settings::default()).is_err());
        let settings = Settings { allow: vec!["procfs".to_owned()], ..Settings::default() };
        assert_eq!(allowed(&asks, &settings).expect("it is allowed"), ["--allow=procfs"]);
    }

    #[test]
    fn root_of_a_user_namespace_owns_the_root() {
        let mappings =
            json!([{ "containerID": 1, "hostID": 5, "size": 1 }, { "containerID": 0, "hostID": 100_000, "size": 1 }]);
        assert_eq!(owner(&mappings), Some(100_000));
        assert_eq!(owner(&Value::Null), None);
    }
}
