//! What plugins must not get at, since it is run as native code or protects something: the code cache and its key, compiled
//! plugins, and directories for reading only.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::code::entries;
use crate::{Outcome, Place, finished, guests};

fn good_and_evil() -> Place {
    let place = Place::with("good.wat", guests::says_only("good"));
    place.write("evil.wat", guests::says_only("evil"));
    place
}

/// The entry that a run of this plugin adds to the cache.
fn entry_of(place: &Place, plugin: &str) -> PathBuf {
    let before = entries(place);
    assert_eq!(place.run(&format!("run {plugin}")).status, Some(0));
    entries(place).into_iter().find(|entry| !before.contains(entry)).expect("the run added an entry")
}

#[track_caller]
fn assert_runs_with_a_warning(outcome: &Outcome, stdout: &str, warning: &str) {
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), stdout), "{outcome:?}");
    assert!(outcome.stderr.contains(warning), "{outcome:?}");
}

#[track_caller]
fn assert_refused(outcome: &Outcome, message: &str) {
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
    assert!(outcome.stderr.contains(message) && outcome.stderr.contains("\n  help: "), "{message}: {outcome:?}");
}

fn age(path: &Path) {
    let file = File::options().write(true).open(path).expect("a file of our own");
    file.set_modified(SystemTime::now() - Duration::from_secs(3 * 60 * 60)).expect("a file of our own");
}

/// The names, ages and contents of what is in a directory.
fn listing(dir: &Path) -> Vec<(PathBuf, i64, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries
        .map(|path| {
            let changed = fs::metadata(&path).expect("a file of our own").mtime();
            let content = fs::read(&path).expect("a file of our own");
            (path, changed, content)
        })
        .collect();
    files.sort();
    files
}

/// Runs a script of a shell in the place, in which `$AIOHOST` is the program, with mounts that go with it. Nothing where that is
/// not to be had.
fn with_mounts(place: &Place, script: &str) -> Option<Outcome> {
    let may_mount = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        println!("skipped: only a superuser with unshare(1) may make mounts of its own");
        return None;
    }
    let program = place.command("");
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-ec", script]).current_dir(place.path("")).env("AIOHOST", program.get_program());
    shell.env("OWN", place.own(""));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Some(finished(&mut shell))
}

#[test]
fn a_directory_of_somebody_elses_is_no_cache() {
    let place = Place::with("guest.wat", guests::hello());
    let hash = "0123456789abcdef".repeat(4);
    for (number, name) in ["thesis.tex", "state.db", &format!("{hash}.cwasm"), &format!("{hash}.1.tmp")].iter().enumerate() {
        let code = place.own(&format!("{number}/code"));
        fs::create_dir_all(&code).expect("a directory of our own");
        fs::write(code.join(name), "precious").expect("a file of our own");
        fs::write(code.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# by cargo\n")
            .expect("a file of our own");
        age(&code.join(name));
        let before = listing(&code);
        for _ in 0..2 {
            let outcome = finished(place.command("run guest.wat").env("AIOHOST_CACHE", place.own(&number.to_string())));
            assert_runs_with_a_warning(&outcome, "hello\n", "the code cache is not used");
            assert!(outcome.stderr.contains("it is not empty and has no CACHEDIR.TAG of aiohost's"), "{outcome:?}");
        }
        assert_eq!(listing(&code), before);
    }
}

#[test]
fn files_of_others_in_the_cache_stay() {
    let place = good_and_evil();
    place.run("run good.wat").assert_output(0, "good\n");
    let tag = fs::read_to_string(place.own("cache/code/CACHEDIR.TAG")).expect("the cache is marked");
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n") && tag.contains("aiohost"), "{tag}");
    let foreign = ["thesis.tex", "mine.cwasm", "notes.1.tmp"].map(|name| place.own(&format!("cache/code/{name}")));
    for path in &foreign {
        fs::write(path, "precious").expect("a file of our own");
        age(path);
    }
    place.run("run evil.wat").assert_output(0, "evil\n");
    assert_eq!(entries(&place).len(), 3, "two of ours and mine.cwasm");
    for path in &foreign {
        assert_eq!(fs::read_to_string(path).expect("it stays"), "precious");
    }
}

#[test]
fn an_entry_that_a_guest_put_in_the_place_of_another_is_not_run() {
    let place = good_and_evil();
    let (good, evil) = (entry_of(&place, "good.wat"), entry_of(&place, "evil.wat"));
    let name = |path: &Path| path.file_name().and_then(OsStr::to_str).expect("a name of digits").to_owned();
    place.write("mover.wat", guests::renames(&name(&evil), &name(&good)));
    // A run that knows nothing of this cache.
    let line = format!("run mover.wat --no-cache --dir {}::/c", place.own("cache/code").display());
    let mut elsewhere = place.command(&line);
    elsewhere.env("AIOHOST_CACHE", place.own("other")).env("AIOHOST_STATE", place.own("other"));
    finished(&mut elsewhere).assert_output(0, "");
    assert!(!evil.exists());
    assert_runs_with_a_warning(&place.run("run good.wat"), "good\n", "its seal is not of this user's aiohost");
    place.run("run good.wat").assert_output(0, "good\n");
}

#[test]
fn an_entry_that_was_sealed_elsewhere_is_not_run() {
    let place = good_and_evil();
    let good = entry_of(&place, "good.wat");
    // As `compile` makes it, with a checksum that anyone can make.
    place.run("compile evil.wat").assert_output(0, "");
    fs::copy(place.path("evil.cwasm"), &good).expect("an entry of our own");
    assert_runs_with_a_warning(&place.run("run good.wat"), "good\n", "its seal is not of this user's aiohost");
    // As anyone could seal it for this entry, without a key.
    let mut forged = fs::read(place.path("evil.cwasm")).expect("it was made");
    forged.truncate(forged.len() - blake3::OUT_LEN);
    let stem = good.file_stem().and_then(OsStr::to_str).expect("a name of digits");
    let entry_name = blake3::Hash::from_hex(stem).expect("a hash");
    let seal = blake3::Hasher::new().update(entry_name.as_bytes()).update(&forged).finalize();
    forged.extend_from_slice(seal.as_bytes());
    fs::write(&good, forged).expect("an entry of our own");
    assert_runs_with_a_warning(&place.run("run good.wat"), "good\n", "its seal is not of this user's aiohost");
    // By an aiohost with another key, under a name that it has for the plugin, and under ours.
    let other = Place::with("good.wat", guests::says_only("good"));
    let theirs = entry_of(&other, "good.wat");
    assert_ne!(theirs.file_name(), good.file_name());
    fs::copy(&theirs, &good).expect("an entry of our own");
    assert_runs_with_a_warning(&place.run("run good.wat"), "good\n", "its seal is not of this user's aiohost");
}

#[test]
fn what_is_no_file_of_ours_is_not_read() {
    let place = good_and_evil();
    let good = entry_of(&place, "good.wat");
    let (aside, fifo) = (place.own("aside"), place.own("fifo"));
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    let take_away = || fs::rename(&good, &aside).expect("an entry of our own");
    let replace: [(&dyn Fn(), &str); 7] = [
        (&|| take_away(), ""),
        (&|| mknodat(CWD, &good, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO"), "it is no regular file"),
        (&|| symlink(&aside, &good).expect("a link"), "it is a symbolic link"),
        (&|| symlink(&fifo, &good).expect("a link"), "it is a symbolic link"),
        (&|| File::create(&good).and_then(|file| file.set_len(6 << 30)).expect("a sparse file"), "larger than any"),
        (&|| fs::hard_link(&aside, &good).expect("a second name"), "a hard link"),
        (&|| fs::write(&good, "").expect("a new file"), "it is damaged"),
    ];
    for (replace, warning) in replace {
        if !warning.is_empty() {
            fs::remove_file(&good).expect("an entry of our own");
        }
        replace();
        assert_runs_with_a_warning(&place.run("run good.wat"), "good\n", warning);
        place.run("run good.wat").assert_output(0, "good\n");
        assert!(fs::symlink_metadata(&good).expect("a new entry").is_file());
    }
    assert!(aside.exists() && fifo.exists());
}

#[test]
fn a_file_that_was_left_half_written_stops_nobody() {
    let place = good_and_evil();
    let good = entry_of(&place, "good.wat");
    fs::remove_file(&good).expect("an entry of our own");
    let script = r#"
        printf half > "$1.$$.tmp"
        printf half > "$1.1.tmp"; touch -d '2 hours ago' "$1.1.tmp"
        exec "$2" run good.wat"#;
    let program = place.command("");
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(good.with_extension("")).arg(program.get_program()).current_dir(place.path(""));
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    finished(&mut shell).assert_output(0, "good\n");
    assert!(good.exists());
    let left = fs::read_dir(place.own("cache/code")).expect("a cache").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = left.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".tmp")).collect();
    // The old one is gone, and whoever has the other may be at work.
    assert!(left.len() == 1 && !left[0].ends_with(".1.tmp"), "{left:?}");
}

#[test]
fn a_cache_on_which_nothing_may_be_run_is_used_all_the_same() {
    let place = Place::with("guest.wat", guests::hello());
    let script = r#"
        mkdir "$OWN/cache"; mount -t tmpfs -o noexec none "$OWN/cache"
        for round in 1 2; do "$AIOHOST" run guest.wat; done
        ls "$OWN/cache/code" | grep -c cwasm"#;
    let Some(outcome) = with_mounts(&place, script) else { return };
    outcome.assert_output(0, "hello\nhello\n1\n");
}

#[test]
fn many_that_start_at_a_time_share_a_new_cache() {
    let place = Place::with("guest.wat", guests::hello());
    let start = || place.command("run guest.wat").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let started: Vec<_> = (0..6).map(|_| start()).collect();
    for child in started {
        Outcome::from(child.wait_with_output().expect("it ends")).assert_output(0, "hello\n");
    }
    assert_eq!(entries(&place).len(), 1);
}

#[test]
fn a_link_in_the_place_of_the_cache_is_not_followed() {
    let place = Place::with("guest.wat", guests::hello());
    for (name, target) in [("to-nothing", "nothing"), ("to-a-directory", "empty")] {
        fs::create_dir_all(place.own("empty")).expect("a directory of our own");
        fs::create_dir_all(place.own(name)).expect("a directory of our own");
        symlink(place.own(target), place.own(name).join("code")).expect("a new link");
        let outcome = finished(place.command("run guest.wat").env("AIOHOST_CACHE", place.own(name)));
        assert_runs_with_a_warning(&outcome, "hello\n", "the code cache is not used");
    }
    assert!(!place.own("nothing").exists());
    assert_eq!(fs::read_dir(place.own("empty")).expect("a directory").count(), 0);
}

#[test]
fn a_key_that_is_not_the_users_alone_is_not_used() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    let key = place.own("state/cache.key");
    assert_eq!(fs::metadata(&key).expect("it was made").permissions().mode() & 0o777, 0o600);
    let warned = || assert_runs_with_a_warning(&place.run("run guest.wat"), "hello\n", "the code cache is not used");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a file of our own");
    warned();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a file of our own");
    fs::rename(&key, place.own("real.key")).expect("a file of our own");
    symlink(place.own("real.key"), &key).expect("a new link");
    warned();
    fs::remove_file(&key).expect("a link of our own");
    fs::write(&key, "short").expect("a new file");
    warned();
    // Another key: what was there is as good as nothing.
    fs::remove_file(&key).expect("a file of our own");
    place.run("run guest.wat").assert_output(0, "hello\n");
    assert_eq!(entries(&place).len(), 2);
    // And no place for one.
    let mut nowhere = place.command("run guest.wat");
    nowhere.env("AIOHOST_STATE", "").env("HOME", "");
    assert_runs_with_a_warning(&finished(&mut nowhere), "hello\n", "there is no place for its key");
}

#[test]
fn a_grant_that_reaches_the_cache_is_refused() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    fs::create_dir(place.own("cache/code/inside")).expect("a directory of our own");
    symlink(place.own("cache"), place.path("link")).expect("a new link");
    for dir in [place.own("cache"), place.own("cache/code"), place.own("cache/code/inside"), place.path("link")] {
        let grant = format!("{}::/d", dir.display());
        assert_refused(&place.run(&format!("run guest.wat --dir {grant}")), "it reaches the code cache");
        assert_refused(&place.run(&format!("run guest.wat --no-cache --dir {grant}")), "it reaches the code cache");
        place.run(&format!("run guest.wat --ro-dir {grant}")).assert_output(0, "hello\n");
    }
    let outcome = place.run(&format!("run guest.wat --dir {}::/d", place.own("").display()));
    assert_refused(&outcome, "insist with --allow cache-grant");
    assert!(outcome.stderr.contains(&place.own("cache/code").display().to_string()), "{outcome:?}");
    // What is beside it is nobody's business.
    fs::create_dir(place.own("cache/data")).expect("a directory of our own");
    place.run(&format!("run guest.wat --dir {}::/d", place.own("cache/data").display())).assert_output(0, "hello\n");
}

#[test]
fn a_grant_that_reaches_a_cache_of_other_runs_is_refused() {
    let place = Place::with("guest.wat", guests::hello());
    let home = place.own("home");
    let with = |line: &str| {
        let mut command = place.command(line);
        command.env_remove("AIOHOST_CACHE").env_remove("AIOHOST_STATE");
        command
    };
    finished(&mut with("run guest.wat")).assert_output(0, "hello\n");
    assert!(home.join(".cache/aiohost/code/CACHEDIR.TAG").exists() && home.join(".local/state/aiohost/cache.key").exists());
    for (dir, reached) in [("", "the code cache"), (".cache", "the code cache"), (".local", "the key of the code cache")] {
        let grant = format!("{}::/d", home.join(dir).display());
        // Whether the run has the cache, has another, or has none.
        assert_refused(&finished(&mut with(&format!("run guest.wat --dir {grant}"))), reached);
        assert_refused(&finished(&mut with(&format!("run guest.wat --no-cache --dir {grant}"))), reached);
        assert_refused(&place.run(&format!("run guest.wat --dir {grant}")), reached);
    }
    fs::create_dir(home.join("music")).expect("a directory of our own");
    place.run(&format!("run guest.wat --dir {}::/d", home.join("music").display())).assert_output(0, "hello\n");
}

#[test]
fn a_grant_that_reaches_the_key_is_refused_for_reading_too() {
    let place = Place::with("guest.wat", guests::hello());
    let line = |option: &str, dir: &str| format!("run guest.wat {option} {}::/d", place.own(dir).display());
    // Before it is there, too: whoever makes it has it.
    fs::create_dir(place.own("state")).expect("a directory of our own");
    assert_refused(&place.run(&line("--dir", "state")), "it reaches the key of the code cache");
    assert_refused(&place.run(&line("--no-cache --dir", "state")), "it reaches the key of the code cache");
    assert_refused(&place.run(&line("--ro-dir", "state")), "it reaches the key of the code cache");
    place.run("run guest.wat").assert_output(0, "hello\n");
    for dir in ["state", ""] {
        assert_refused(&place.run(&line("--ro-dir", dir)), "it reaches the key of the code cache");
        assert_refused(&place.run(&line("--no-cache --ro-dir", dir)), "it reaches the key of the code cache");
    }
}

#[test]
fn whoever_decides_where_the_key_is_found_reaches_it() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    // `links/state` leads to the key, and could lead to another one.
    fs::create_dir(place.own("links")).expect("a directory of our own");
    symlink(place.own("state"), place.own("links/state")).expect("a new link");
    let mut command = place.command(&format!("run guest.wat --dir {}::/d", place.own("links").display()));
    command.env("AIOHOST_STATE", place.own("links/state/../state"));
    assert_refused(&finished(&mut command), "it reaches the key of the code cache");
}

#[test]
fn mounts_do_not_hide_the_cache() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    for dir in ["bound", "above/deep", "key"] {
        fs::create_dir_all(place.path(dir)).expect("a directory of our own");
    }
    fs::write(place.path("key/file"), "").expect("a file of our own");
    let scripts = [
        (r#"mount --bind "$OWN/cache" bound; exec "$AIOHOST" run guest.wat --no-cache --dir bound"#, "the code cache"),
        // Through a mount below the grant, of a directory inside of the cache, and of the key alone.
        (r#"mount --bind "$OWN/cache/code" above/deep; exec "$AIOHOST" run guest.wat --dir above"#, "the code cache"),
        (r#"mount --bind "$OWN/state/cache.key" key/file; exec "$AIOHOST" run guest.wat --ro-dir key"#, "the key"),
        // The cache is a mount of what is granted.
        (
            r#"mkdir above/real; cp -a "$OWN/cache/." above/real; mount --bind above/real "$OWN/cache"
            exec "$AIOHOST" run guest.wat --dir above"#,
            "the code cache",
        ),
    ];
    for (script, reached) in scripts {
        let Some(outcome) = with_mounts(&place, script) else { return };
        assert_refused(&outcome, reached);
    }
    with_mounts(&place, r#"mount -t tmpfs none bound; exec "$AIOHOST" run guest.wat --dir bound"#)
        .expect("the others worked")
        .assert_output(0, "hello\n");
}

/// Mounts an overlay `$MERGED` over the directory `$LOWER`, with its changes in `$UPPER`.
const OVERLAY: &str = r#"
overlay() { mkdir -p "$2" "$2.work" "$3"; mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$2.work" "$3"; }
"#;

/// What a script does that may mount overlays; nothing if nobody may.
fn with_overlays(place: &Place, script: &str) -> Option<Outcome> {
    let can = with_mounts(place, &format!("{OVERLAY} mkdir -p lower; overlay lower upper merged"))?;
    if can.status != Some(0) {
        println!("skipped: there are no overlays here: {}", can.stderr);
        return None;
    }
    with_mounts(place, &format!("{OVERLAY} {script}"))
}

#[test]
fn overlays_do_not_hide_the_cache_and_its_key() {
    let place = Place::with("guest.wat", guests::hello());
    place.run("run guest.wat").assert_output(0, "hello\n");
    place.make_dir("empty");
    let scripts = [
        // The cache is where the changes of what is granted go, or below what is granted.
        (r#"overlay "$PWD/empty" "$OWN/cache" "$PWD/m1"; exec "$AIOHOST" run guest.wat --no-cache --dir m1"#, "the code cache"),
        (r#"overlay "$OWN/state" "$PWD/up2" "$PWD/m2"; exec "$AIOHOST" run guest.wat --ro-dir m2"#, "the key"),
        // By an overlay that lies over an overlay, named by a link.
        (
            r#"overlay "$OWN/state" "$PWD/up3" "$PWD/m3"; ln -s m3 link; overlay "$PWD/link" "$PWD/up4" "$PWD/m4"
            exec "$AIOHOST" run guest.wat --ro-dir m4"#,
            "the key",
        ),
        // The cache is on an overlay, whose changes are within the grant.
        (
            r#"mkdir above; overlay "$OWN/cache" "$PWD/above/up5" "$OWN/cache"
            exec "$AIOHOST" run guest.wat --dir above"#,
            "the code cache",
        ),
    ];
    for (script, reached) in scripts {
        let Some(outcome) = with_overlays(&place, script) else { return };
        assert_refused(&outcome, reached);
    }
    with_overlays(&place, r#"overlay "$PWD/empty" "$PWD/up6" "$PWD/m6"; exec "$AIOHOST" run guest.wat --dir m6"#)
        .expect("the others worked")
        .assert_output(0, "hello\n");
}

#[test]
fn no_two_grants_have_one_name_however_it_is_written() {
    let place = Place::with("guest.wat", guests::hello());
    place.make_dir("a");
    place.make_dir("b");
    let spellings = ["/x", "x", "/x/", "//x", "/./x", "./x", "x/.", ".//x//"];
    for (one, two) in spellings.iter().flat_map(|one| spellings.map(|two| (*one, two))) {
        for (first, second) in [("--ro-dir", "--dir"), ("--dir", "--dir")] {
            let outcome = place.run(&format!("run guest.wat {first} a::{one} {second} b::{two}"));
            assert_refused(&outcome, "error: two directories are granted as `");
        }
    }
    assert_refused(&place.run("run guest.wat --dir a::/ --dir b::."), "error: two directories are granted as `.`");
    assert_refused(&place.run("run guest.wat --dir a --dir b::/a/"), "error: two directories are granted as `/a`");
    place.run("run guest.wat --dir a::/x --dir b::/x/y").assert_output(0, "hello\n");
    place.run("run guest.wat --dir a::/x --dir b::/").assert_output(0, "hello\n");
}

#[test]
fn a_name_that_reaches_nothing_is_refused() {
    let place = Place::with("guest.wat", guests::hello());
    for name in ["/x/../x", "..", "/..", "a/.."] {
        assert_refused(&place.run(&format!("run guest.wat --dir .::{name}")), "`..` is in it");
    }
}

#[test]
fn a_directory_outside_has_its_last_name() {
    let place = Place::new();
    for dir in ["data", "work", "first"] {
        place.make_dir(dir);
    }
    place.write("second.wat", guests::makes_directory(1));
    place.write("names.wat", guests::names_preopen(1));
    let run = |line: &str| finished(place.command(line).current_dir(place.path("work")));
    run("run ../second.wat --dir ../first --dir ../data").assert_output(0, "");
    assert!(place.path("data/new").exists() && !place.path("first/new").exists());
    for (host, name) in [("../data", "data"), ("../work/..", "?"), ("..::/up", "/up"), (".", "."), ("./", ".")] {
        let outcome = run(&format!("run ../names.wat --dir ../first --dir {host}"));
        let expected =
            if name == "?" { place.path("").file_name().expect("a name").to_string_lossy().into_owned() } else { name.into() };
        outcome.assert_output(0, &expected);
    }
    let absolute = place.path("work/../data");
    run(&format!("run ../names.wat --dir ../first --dir {}", absolute.display())).assert_output(0, "/data");
}

#[test]
fn a_directory_for_reading_only_is_not_one_that_may_be_written_elsewhere() {
    let place = Place::with("guest.wat", guests::hello());
    for dir in ["rw/ro/deep", "ro", "apart"] {
        fs::create_dir_all(place.path(dir)).expect("a directory of our own");
    }
    symlink("rw/ro", place.path("link")).expect("a new link");
    symlink("../apart", place.path("rw/out")).expect("a new link");
    for (writable, readable) in [
        ("rw", "rw/ro"),
        ("rw", "rw"),
        ("rw", "link"),
        ("rw", "link/deep"),
        ("rw/ro", "link"),
        ("link", "rw/ro/deep"),
        ("rw", "apart/../rw/ro"),
    ] {
        for line in [
            format!("run guest.wat --dir {writable}::/w --ro-dir {readable}::/r"),
            format!("run guest.wat --ro-dir {readable}::/r --dir {writable}::/w"),
        ] {
            assert_refused(&place.run(&line), "for reading only");
        }
    }
    // The other way round, beside each other, and by a link that no path of a guest may follow.
    for (writable, readable) in [("rw/ro", "rw"), ("link/deep", "rw"), ("rw", "ro"), ("rw", "apart")] {
        place.run(&format!("run guest.wat --dir {writable}::/w --ro-dir {readable}::/r")).assert_output(0, "hello\n");
    }
    place.run("run guest.wat --ro-dir rw::/a --ro-dir rw/ro::/b").assert_output(0, "hello\n");
}

#[test]
fn mounts_do_not_hide_that_a_directory_may_be_written() {
    let place = Place::with("guest.wat", guests::hello());
    for dir in ["rw/sub", "other/mnt", "bound"] {
        fs::create_dir_all(place.path(dir)).expect("a directory of our own");
    }
    let run = r#"exec "$AIOHOST" run guest.wat"#;
    let refused = [
        format!("mount --bind rw bound; {run} --dir rw::/w --ro-dir bound::/r"),
        format!("mount --bind rw/sub bound; {run} --ro-dir bound::/r --dir rw::/w"),
        format!("mount --bind rw bound; {run} --dir bound::/w --ro-dir rw/sub::/r"),
        // What is mounted below the writable one is within its reach.
        format!("mount --bind rw other/mnt; {run} --dir other::/w --ro-dir rw/sub::/r"),
        format!("mount -t tmpfs none rw/sub; mkdir rw/sub/deep; {run} --dir rw::/w --ro-dir rw/sub/deep::/r"),
        format!("mount -t tmpfs none rw/sub; mount --bind rw/sub bound; {run} --dir rw::/w --ro-dir bound::/r"),
    ];
    for script in &refused {
        let Some(outcome) = with_mounts(&place, script) else { return };
        assert_refused(&outcome, "for reading only");
    }
    let fine = [
        format!("mount --bind rw bound; {run} --ro-dir bound::/r --dir rw/sub::/w"),
        format!("mount --bind rw other/mnt; {run} --ro-dir other::/r --dir rw::/w"),
        format!("mount -t tmpfs none bound; {run} --dir rw::/w --ro-dir bound::/r"),
    ];
    for script in &fine {
        with_mounts(&place, script).expect("the others worked").assert_output(0, "hello\n");
    }
    let overlays = [
        format!(r#"overlay "$PWD/rw" "$PWD/up1" "$PWD/m1"; {run} --dir rw::/w --ro-dir m1::/r"#),
        format!(r#"overlay "$PWD/bound" "$PWD/rw" "$PWD/m2"; {run} --ro-dir rw/sub::/r --dir m2::/w"#),
    ];
    for script in &overlays {
        let Some(outcome) = with_overlays(&place, script) else { return };
        assert_refused(&outcome, "for reading only");
    }
}

#[test]
fn without_procfs_directories_are_granted_and_held_against_each_other_all_the_same() {
    let place = Place::with("maker.wat", guests::makes_directory(0));
    for dir in ["rw/ro/deep", "apart"] {
        fs::create_dir_all(place.path(dir)).expect("a directory of our own");
    }
    place.run("compile maker.wat -o rw/maker.cwasm").assert_output(0, "");
    let run = |line: &str| {
        with_mounts(&place, &format!(r#"mount -t tmpfs none /proc; export AIOHOST_LOG=error; exec "$AIOHOST" run {line}"#))
    };
    let Some(outcome) = run("maker.wat --dir rw --ro-dir apart") else { return };
    outcome.assert_output(0, "");
    assert!(place.path("rw/new").is_dir());
    // From the cache, too.
    fs::remove_dir(place.path("rw/new")).expect("a directory of our own");
    run("maker.wat --dir rw --ro-dir apart").expect("it worked before").assert_output(0, "");
    for (line, message) in [
        ("maker.wat --dir rw --ro-dir rw/ro/deep", "for reading only"),
        ("maker.wat --ro-dir rw/ro --dir rw", "for reading only"),
        ("rw/maker.cwasm --dir rw", "is compiled code that a plugin may write"),
        (r#"maker.wat --dir "$OWN"/cache"#, "it reaches the code cache"),
    ] {
        assert_refused(&run(line).expect("it worked before"), message);
    }
}

#[test]
fn compiled_code_that_a_guest_may_write_is_not_run() {
    let place = Place::with("hello.wat", guests::hello());
    for dir in ["work/deep", "safe", "links"] {
        fs::create_dir_all(place.path(dir)).expect("a directory of our own");
    }
    for output in ["work/p.cwasm", "work/deep/p.cwasm", "safe/p.cwasm"] {
        place.run(&format!("compile hello.wat -o {output}")).assert_output(0, "");
    }
    symlink("../work/p.cwasm", place.path("safe/link.cwasm")).expect("a new link");
    symlink("../safe/p.cwasm", place.path("links/file.cwasm")).expect("a new link");
    symlink("../safe", place.path("links/dir")).expect("a new link");
    let refusal = "is compiled code that a plugin may write, and is not run\n";
    for plugin in ["work/p.cwasm", "work/deep/p.cwasm", "safe/link.cwasm", "safe/../work/p.cwasm"] {
        assert_refused(&place.run(&format!("run {plugin} --dir work")), refusal);
        assert_refused(&place.run(&format!("run {plugin} --ro-dir safe --dir work::/w")), refusal);
        place.run(&format!("run {plugin} --ro-dir work")).assert_output(0, "hello\n");
        place.run(&format!("run {plugin}")).assert_output(0, "hello\n");
    }
    // The guest could make the link lead to code of its own.
    for plugin in ["links/file.cwasm", "links/dir/p.cwasm"] {
        assert_refused(&place.run(&format!("run {plugin} --dir links")), refusal);
    }
    place.run("run safe/p.cwasm --dir work").assert_output(0, "hello\n");
    let in_work = |line: &str| finished(place.command(line).current_dir(place.path("work")));
    in_work("run ../safe/p.cwasm --dir .").assert_output(0, "hello\n");
    for line in ["run p.cwasm --dir .", "run ../work/p.cwasm --dir .", "run ../safe/link.cwasm --dir ."] {
        assert_refused(&in_work(line), refusal);
    }
    let in_deep = finished(place.command("run ../../safe/p.cwasm --dir ..").current_dir(place.path("work/deep")));
    assert_refused(&in_deep, refusal);
    let outcome = place.run("run work/p.cwasm --dir work");
    assert!(outcome.stderr.contains("it is within reach of work, which is granted for writing"), "{outcome:?}");
}

#[test]
fn compiled_code_with_a_second_name_is_not_run_beside_a_grant_for_writing() {
    let place = Place::with("hello.wat", guests::hello());
    place.make_dir("work");
    place.make_dir("safe");
    place.run("compile hello.wat -o safe/p.cwasm").assert_output(0, "");
    fs::hard_link(place.path("safe/p.cwasm"), place.path("work/other")).expect("a second name");
    assert_refused(&place.run("run safe/p.cwasm --dir work"), "a hard link");
    place.run("run safe/p.cwasm --ro-dir work").assert_output(0, "hello\n");
    fs::remove_file(place.path("work/other")).expect("a file of our own");
    place.run("run safe/p.cwasm --dir work").assert_output(0, "hello\n");
}

#[test]
fn mounts_do_not_hide_that_compiled_code_may_be_written() {
    let place = Place::with("hello.wat", guests::hello());
    place.make_dir("work");
    place.make_dir("bound");
    place.write("file.cwasm", "");
    place.run("compile hello.wat -o work/p.cwasm").assert_output(0, "");
    let scripts = [
        r#"mount --bind work bound; exec "$AIOHOST" run bound/p.cwasm --dir work"#,
        r#"mount --bind work bound; exec "$AIOHOST" run work/p.cwasm --dir bound"#,
        r#"mount --bind work/p.cwasm file.cwasm; exec "$AIOHOST" run file.cwasm --dir work"#,
    ];
    for script in scripts {
        let Some(outcome) = with_mounts(&place, script) else { return };
        assert_refused(&outcome, "is compiled code that a plugin may write");
    }
    let overlays = [
        r#"overlay "$PWD/bound" "$PWD/work" "$PWD/m1"; exec "$AIOHOST" run work/p.cwasm --dir m1"#,
        r#"overlay "$PWD/bound" "$PWD/work" "$PWD/m2"; exec "$AIOHOST" run m2/p.cwasm --dir work"#,
        // One that has a second name may have it anywhere on its file system, and so below the overlay.
        r#"ln work/p.cwasm two.cwasm; overlay "$PWD/bound" "$PWD/up3" "$PWD/m3"; exec "$AIOHOST" run two.cwasm --dir m3"#,
    ];
    for script in overlays {
        let Some(outcome) = with_overlays(&place, script) else { return };
        assert_refused(&outcome, "is compiled code that a plugin may write");
    }
}
