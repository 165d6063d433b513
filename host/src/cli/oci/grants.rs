//! Which mounts of a container its plugin is granted, and how.

use aiohost::Rights;

use super::super::grants::Grant;
use super::super::remedy::failure;
use super::annotations::Annotations;
use super::bundle::{Kind, Mount, is_within};

/// What is never granted, with everything below: what the kernel shows, and secrets that engines put into every container.
const NEVER: [&str; 5] = ["/proc", "/sys", "/dev", "/run/secrets", "/var/run/secrets"];

/// What engines mount by themselves, for programs of another kind.
const OF_ENGINES: [&str; 7] =
    ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/run", "/run/lock", "/run/.containerenv"];

/// The directories that a plugin gets, the one where it works first. `own` are the places in the container of what runs the
/// plugin, and `plugin` is the plugin's own.
pub(super) fn grants(
    mounts: &[Mount],
    cwd: &str,
    plugin: &str,
    own: &[String],
    annotations: &Annotations,
) -> anyhow::Result<Vec<Grant>> {
    let mut grants: Vec<Grant> = Vec::new();
    for mount in mounts.iter().filter(|mount| is_meant_for_programs(mount) && mount.destination != plugin) {
        check(mount, own)?;
        let rights = if mount.is_read_only || annotations.read_only { Rights::Read } else { Rights::ReadWrite };
        // What is mounted later hides what was there.
        grants.retain(|grant| grant.guest != mount.destination);
        grants.push(Grant { host: mount.destination.clone().into(), guest: mount.destination.clone(), rights });
    }
    if let Some(dirs) = &annotations.dirs {
        grants = chosen(&grants, dirs)?;
    }
    let mut grants = outermost(&grants);
    if let Some(place) = grants.iter().position(|grant| grant.guest == cwd) {
        let first = grants.remove(place);
        grants.insert(0, first);
    } else if let Some(outer) = grants.iter().find(|grant| is_within(cwd, &grant.guest)) {
        let help = format!("make {0} the working directory, or mount what is to be {cwd} by itself", outer.guest);
        return Err(failure(format!("the working directory {cwd} lies within the mount {}", outer.guest), help));
    }
    Ok(grants)
}

fn is_meant_for_programs(mount: &Mount) -> bool {
    let destination = mount.destination.as_str();
    let is_of_the_engine = match mount.kind {
        Kind::Other => true,
        Kind::Tmpfs => is_within(destination, "/run"),
        // A directory at /run is somebody's who wants it there.
        Kind::Bind => OF_ENGINES.contains(&destination) && destination != "/run",
    };
    !is_of_the_engine && NEVER.iter().all(|never| !is_within(destination, never))
}

/// Refuses what cannot be granted.
fn check(mount: &Mount, own: &[String]) -> anyhow::Result<()> {
    let at = &mount.destination;
    // Whoever may write there could put native code into the way of what runs the plugin.
    if own.iter().any(|own| is_within(at, own) || is_within(own, at)) {
        let what = format!("nothing can be mounted at {at} in a container of a plugin");
        return Err(failure(what, "mount it at another place, as /data"));
    }
    if at.contains("::") {
        return Err(failure(format!("the name of the mount {at} has `::` in it"), "mount it at another place, as /data"));
    }
    // What is not there the runtime tells.
    if mount.kind == Kind::Bind && mount.source.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        let what = format!("{at} is a single file, and a plugin is granted directories");
        return Err(failure(what, "mount the directory that it lies in, or a directory with this file alone"));
    }
    Ok(())
}

/// Those that an annotation names, in its order.
fn chosen(grants: &[Grant], dirs: &[String]) -> anyhow::Result<Vec<Grant>> {
    let find = |dir: &String| {
        let found = grants.iter().find(|grant| grant.guest == *dir).cloned();
        found.ok_or_else(|| {
            let names: Vec<&str> = grants.iter().map(|grant| grant.guest.as_str()).collect();
            let help = if names.is_empty() { "nothing is".to_owned() } else { format!("there are {}", names.join(", ")) };
            failure(format!("the annotation dev.aiohost.dirs names {dir}, which is not mounted"), help)
        })
    };
    dirs.iter().map(find).collect()
}

/// Leaves out what is reached through another one with the same right, or a higher one: the kernel keeps a mount for reading only as
/// it is.
fn outermost(grants: &[Grant]) -> Vec<Grant> {
    let is_reached = |grant: &&Grant| {
        grants.iter().any(|outer| {
            let is_below = outer.guest != grant.guest && is_within(&grant.guest, &outer.guest);
            is_below && (outer.rights == Rights::ReadWrite || grant.rights == Rights::Read)
        })
    };
    grants.iter().filter(|grant| !is_reached(grant)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: Kind, destination: &str, is_read_only: bool) -> Mount {
        Mount { destination: destination.to_owned(), source: "/".into(), kind, is_read_only }
    }

    fn names(mounts: &[Mount], cwd: &str, annotations: &Annotations) -> Result<String, String> {
        let own = ["/.aiohost", "/lib64", "/etc/ld.so.preload"].map(str::to_owned);
        let grants = grants(mounts, cwd, "/p.wasm", &own, annotations).map_err(|error| error.to_string())?;
        let name = |grant: &Grant| format!("{}{}", grant.guest, if grant.rights == Rights::Read { ":ro" } else { "" });
        Ok(grants.iter().map(name).collect::<Vec<_>>().join(" "))
    }

    fn with_dirs(dirs: &[&str]) -> Annotations {
        Annotations { dirs: Some(dirs.iter().map(|dir| (*dir).to_owned()).collect()), ..Annotations::default() }
    }

    /// What an engine mounts in every container, and what somebody wants.
    fn usual() -> Vec<Mount> {
        let mut mounts: Vec<Mount> = ["/proc", "/dev/mqueue", "/sys"].map(|at| mount(Kind::Other, at, false)).into();
        mounts.extend(["/dev", "/dev/shm", "/run", "/run/lock"].map(|at| mount(Kind::Tmpfs, at, false)));
        mounts.extend(
            ["/etc/hosts", "/etc/resolv.conf", "/run/secrets/x", "/var/run/secrets/kubernetes.io/serviceaccount"]
                .map(|at| mount(Kind::Bind, at, false)),
        );
        mounts.extend([
            mount(Kind::Bind, "/songs", true),
            mount(Kind::Bind, "/data", false),
            mount(Kind::Tmpfs, "/tmp", false),
        ]);
        mounts
    }

    #[test]
    fn what_engines_mount_is_not_granted() {
        assert_eq!(names(&usual(), "/", &Annotations::default()), Ok("/songs:ro /data /tmp".to_owned()));
        assert_eq!(names(&[mount(Kind::Bind, "/run", false)], "/", &Annotations::default()), Ok("/run".to_owned()));
    }

    #[test]
    fn the_working_directory_comes_first() {
        assert_eq!(names(&usual(), "/data", &Annotations::default()), Ok("/data /songs:ro /tmp".to_owned()));
        assert_eq!(names(&usual(), "/app", &Annotations::default()), Ok("/songs:ro /data /tmp".to_owned()));
        let error = names(&usual(), "/data/sub", &Annotations::default()).expect_err("a part of a mount");
        assert!(error.contains("/data/sub lies within the mount /data"), "{error}");
    }

    #[test]
    fn annotations_choose_among_the_mounts() {
        assert_eq!(names(&usual(), "/", &with_dirs(&["/tmp", "/songs"])), Ok("/tmp /songs:ro".to_owned()));
        assert_eq!(names(&usual(), "/", &with_dirs(&[])), Ok(String::new()));
        for not_mounted in ["/proc", "/", "/etc", "/run/secrets/x", "/dat", "/data/..", "/.aiohost"] {
            let error = names(&usual(), "/", &with_dirs(&[not_mounted])).expect_err(not_mounted);
            assert!(error.contains("which is not mounted"), "{error}");
        }
        let annotations = Annotations { read_only: true, ..Annotations::default() };
        assert_eq!(names(&usual(), "/", &annotations), Ok("/songs:ro /data:ro /tmp:ro".to_owned()));
    }

    #[test]
    fn a_mount_within_another_is_reached_through_that() {
        let pair = |outer, inner| [mount(Kind::Bind, "/a", outer), mount(Kind::Bind, "/a/b", inner)];
        let of = |mounts: &[Mount]| names(mounts, "/", &Annotations::default()).expect("grants");
        assert_eq!(of(&pair(false, false)), "/a");
        assert_eq!(of(&pair(false, true)), "/a");
        assert_eq!(of(&pair(true, true)), "/a:ro");
        assert_eq!(of(&pair(true, false)), "/a:ro /a/b");
        assert_eq!(of(&[mount(Kind::Bind, "/a", true), mount(Kind::Bind, "/a", false)]), "/a");
        assert_eq!(of(&[mount(Kind::Bind, "/a", true), mount(Kind::Bind, "/ab", true)]), "/a:ro /ab:ro");
    }

    #[test]
    fn nothing_comes_into_the_way_of_what_runs_the_plugin() {
        for at in ["/", "/.aiohost", "/.aiohost/x", "/lib64", "/lib64/x", "/etc"] {
            let error = names(&[mount(Kind::Bind, at, true)], "/", &Annotations::default()).expect_err(at);
            assert!(error.contains(&format!("nothing can be mounted at {at}")), "{error}");
        }
        assert_eq!(names(&[mount(Kind::Bind, "/etc/app", true)], "/", &Annotations::default()), Ok("/etc/app:ro".to_owned()));
    }

    #[test]
    fn a_single_file_is_refused_unless_it_is_the_plugin() {
        let file = |at: &str| Mount { source: std::env::current_exe().expect("a file"), ..mount(Kind::Bind, at, true) };
        let error = names(&[file("/data/one")], "/", &Annotations::default()).expect_err("a file");
        assert!(error.contains("/data/one is a single file"), "{error}");
        assert_eq!(names(&[file("/p.wasm"), file("/etc/hosts")], "/", &Annotations::default()), Ok(String::new()));
        assert!(names(&[mount(Kind::Bind, "/a::b", true)], "/", &Annotations::default()).is_err());
    }
}
