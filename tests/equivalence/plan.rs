//! Random plans: requests that are in flight together, and whose results are nevertheless known.
//!
//! A plan works in several directories, its worlds. No path, link or handle leads from one to another, so what is in flight in
//! two of them does not meet; within one there is either a single step that changes something, or several that only look.

use std::fmt;

/// Directories that a plan works in.
pub(crate) const WORLDS: usize = 8;

/// Few, so that steps meet what others have made.
const NAMES: [&str; 4] = ["a", "b", "c", "é"];

/// Files, and directories, that each world may have open.
const HANDLES: u64 = 2;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *self.choose(from)
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).expect("an index fits")]
    }
}

/// How the steps of a round belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Group,
    /// A group that is canceled once all of it is submitted.
    Cancel,
}

/// A step: a line of the plan.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) world: usize,
    manner: String,
    /// The request and its arguments.
    pub(crate) request: String,
}

impl Step {
    /// Whether it may be answered as canceled, or as late.
    pub(crate) fn may_be_stopped(&self, kind: Kind) -> bool {
        kind == Kind::Cancel || matches!(self.manner.as_str(), "cancel" | "deadline")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.manner, self.request)
    }
}

/// Steps that are in flight together.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) kind: Kind,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Plain => "plain",
            Kind::Group => "group",
            Kind::Cancel => "cancel",
        };
        writeln!(formatter, "round {kind}")?;
        self.steps.iter().try_for_each(|step| writeln!(formatter, "{step}"))
    }
}

/// A plan of so many steps, or a few more.
pub(crate) fn plan(seed: u64, steps: usize) -> Vec<Round> {
    let mut random = Random(seed);
    let mut worlds: Vec<World> = (0..WORLDS).map(|number| World { number, known: Vec::new(), open: Vec::new() }).collect();
    let mut rounds = Vec::new();
    let mut count = 0;
    while count < steps {
        let kind = random.pick(&[Kind::Plain, Kind::Plain, Kind::Plain, Kind::Plain, Kind::Group, Kind::Group, Kind::Cancel]);
        let steps: Vec<Step> = worlds.iter_mut().flat_map(|world| world.steps(&mut random, kind)).collect();
        count += steps.len();
        rounds.push(Round { kind, steps });
    }
    rounds
}

/// What may happen in a directory, with a guess at what is in it: steps that only fail show little.
struct World {
    number: usize,
    /// Paths where there should be something, and whether that is a file, a directory or a symbolic link: `f`, `d` or `l`.
    known: Vec<(String, char)>,
    /// Files that should be open.
    open: Vec<String>,
}

/// Requests that can be taken back: they change something by name, all or nothing.
const CHANGES: &[&str] = &[
    "mkdir",
    "mkdir",
    "mkdir",
    "mkdir",
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "rename",
    "exchange",
    "no-replace",
    "move",
    "link",
    "link",
    "symlink",
    "symlink",
    "chmod",
    "utime",
    "truncate",
    "store",
    "copy",
    "copy",
    "copy-tree",
];

/// Requests that change something and have to be seen through.
const OTHER_CHANGES: &[&str] = &[
    "open",
    "open",
    "open",
    "open",
    "open",
    "open-dir",
    "rmtree",
    "close",
    "read",
    "write",
    "write",
    "write",
    "write",
    "seek",
    "seek",
    "ftruncate",
    "fchmod",
    "futime",
    "allocate",
    "allocate",
    "sendfile",
    "sendfile",
    "fdatasync",
];

/// Requests that only look.
const LOOKS: &[&str] = &[
    "stat",
    "stat",
    "lstat",
    "lstat",
    "readlink",
    "realpath",
    "readdir",
    "scandir",
    "readdirx",
    "walk",
    "load",
    "load",
    "slurp",
    "same",
    "state",
    "read-at",
    "read-at",
    "fstat",
    "extents",
    "advise",
    "readahead",
];

impl World {
    fn steps(&mut self, random: &mut Random, kind: Kind) -> Vec<Step> {
        match random.below(20) {
            0..3 => Vec::new(),
            3..8 => (0..=random.below(3)).map(|_| self.step(random, LOOKS, true)).collect(),
            8..14 if kind != Kind::Cancel => vec![self.step(random, OTHER_CHANGES, false)],
            _ => vec![self.step(random, CHANGES, true)],
        }
    }

    fn step(&mut self, random: &mut Random, from: &[&'static str], stoppable: bool) -> Step {
        let name = random.pick(from);
        let request = if CHANGES.contains(&name) { self.change(random, name) } else { self.other(random, name) };
        let manner = match random.below(100) {
            0..7 if stoppable => "cancel".to_owned(),
            7..10 if stoppable => "deadline".to_owned(),
            10..40 => (random.below(11).cast_signed() - 5).to_string(),
            _ => "-".to_owned(),
        };
        Step { world: self.number, manner, request }
    }

    fn change(&mut self, random: &mut Random, name: &str) -> String {
        match name {
            "mkdir" => format!("mkdir {} {:o}", self.fresh(random, 'd'), random.pick(&[0o755, 0o777, 0o700])),
            "symlink" => {
                let (at, target) = (self.fresh(random, 'l'), self.target(random));
                format!("symlink {at} {target}")
            }
            "chmod" => format!("chmod {} {:o}", self.old(random, "fdl"), random.pick(&[0o755, 0o777, 0o700, 0o711])),
            "utime" => format!("utime {} {} {}", self.old(random, "fdl"), time(random), time(random)),
            "truncate" => format!("truncate {} {}", self.old(random, "fl"), size(random)),
            // It waits for the device, twice.
            "store" if random.percent(50) => format!("stat {}", self.old(random, "fdl")),
            "store" => format!("store {} {} {} 644", self.fresh(random, 'f'), size(random), random.below(256)),
            "rmdir" => self.removal(random, "rmdir", "d"),
            "unlink" => self.removal(random, "unlink", "fl"),
            // It has two places.
            _ => self.two_places(random, name),
        }
    }

    fn removal(&mut self, random: &mut Random, name: &str, kinds: &str) -> String {
        let path = self.old(random, kinds);
        self.forget(&path);
        format!("{name} {path}")
    }

    fn two_places(&mut self, random: &mut Random, name: &str) -> String {
        let kinds = match name {
            "copy-tree" => "d",
            "link" | "copy" => "fl",
            _ => "fdl",
        };
        let from = self.old(random, kinds);
        let known = self.known.iter().find(|(path, _)| *path == from);
        let kind = known.map_or('f', |(_, kind)| *kind);
        if name == "exchange" && random.percent(70) {
            return format!("exchange {from} {}", self.old(random, "fdl"));
        }
        if matches!(name, "rename" | "no-replace" | "move") {
            self.forget(&from);
        }
        format!("{name} {from} {}", self.fresh(random, kind))
    }

    fn other(&mut self, random: &mut Random, name: &str) -> String {
        let dir = format!("w{}d{}", self.number, random.below(HANDLES));
        match name {
            "open" => {
                let file = format!("w{}f{}", self.number, random.below(HANDLES));
                let flags = open_flags(random);
                let path = if flags.contains("create") { self.fresh(random, 'f') } else { self.old(random, "fl") };
                if !self.open.contains(&file) {
                    self.open.push(file.clone());
                }
                format!("open {file} {path} {flags}")
            }
            "close" => {
                let file = self.file(random);
                self.open.retain(|open| *open != file);
                format!("close {file}")
            }
            "open-dir" if self.has_dirs() => format!("open-dir {dir} {}", self.old(random, "dl")),
            "open-dir" | "rmtree" if random.percent(50) => self.removal(random, "rmtree", "dl"),
            "open-dir" | "rmtree" => format!("rmtree {}", self.old(random, "f")),
            "walk" => format!("walk {} {}", self.old_or_all(random), random.below(4)),
            "slurp" => {
                let (offset, length) = (random.below(600).cast_signed() - 300, optional(random, 400));
                format!("slurp {} {offset} {length}", self.old(random, "fl"))
            }
            "same" => format!("same {} {}", self.old(random, "fdl"), self.old(random, "fdl")),
            "state" => format!("state w{}", self.number),
            "readdir" | "scandir" | "readdirx" => format!("{name} {}", self.old_or_all(random)),
            "stat" | "lstat" => {
                let slash = if random.percent(5) { "/" } else { "" };
                format!("{name} {}{slash}", self.old(random, "fdl"))
            }
            "readlink" => format!("readlink {}", self.old(random, "l")),
            "realpath" => format!("realpath {}", self.old(random, "fdl")),
            "load" => format!("load {}", self.old(random, "fl")),
            _ => self.on_file(random, name),
        }
    }

    fn on_file(&mut self, random: &mut Random, name: &str) -> String {
        let file = self.file(random);
        match name {
            "read" => format!("read {file} - {}", size(random)),
            "read-at" => format!("read {file} {} {}", offset(random), size(random)),
            "write" => {
                let at = if random.percent(50) { "-".to_owned() } else { offset(random).to_string() };
                format!("write {file} {at} {} {}", size(random), random.below(256))
            }
            "seek" => {
                let from = random.pick(&["start", "current", "end"]);
                format!("seek {file} {from} {}", random.below(900).cast_signed() - 300)
            }
            "ftruncate" => format!("ftruncate {file} {}", size(random)),
            "fchmod" => format!("fchmod {file} {:o}", random.pick(&[0o644, 0o600, 0o755])),
            "futime" => format!("futime {file} {} {}", time(random), time(random)),
            "allocate" => {
                let flags = random.pick(&[
                    "none",
                    "keep-size",
                    "keep-size,punch-hole",
                    "zero-range",
                    "zero-range,keep-size",
                    "collapse-range",
                    "insert-range",
                    "punch-hole",
                ]);
                let blocks = flags.ends_with("t-range") || flags.ends_with("e-range") || random.percent(30);
                let unit = if blocks && random.percent(90) { 4096 } else { 1 };
                format!("allocate {file} {flags} {} {}", random.below(9) * unit, random.below(9) * unit)
            }
            "sendfile" => {
                let at = optional(random, 70_000);
                format!("sendfile {file} {at} {} {} {}", self.file(random), offset(random), size(random))
            }
            "advise" | "readahead" => format!("{name} {file} {} {}", offset(random), size(random)),
            // `close`, `fstat`, `extents` and `fdatasync` have nothing to say.
            _ => format!("{name} {file}"),
        }
    }

    /// In these worlds directories are opened. In the others, symbolic links lead upwards: above an open directory they would
    /// lead out of it.
    fn has_dirs(&self) -> bool {
        self.number % 2 == 1
    }

    /// A file that should be open.
    fn file(&self, random: &mut Random) -> String {
        match self.open.as_slice() {
            [] => format!("w{}f{}", self.number, random.below(HANDLES)),
            open => random.choose(open).clone(),
        }
    }

    /// A path where there should be something of these kinds.
    fn old(&self, random: &mut Random, kinds: &str) -> String {
        if self.has_dirs() && random.percent(10) {
            return format!("@w{}d{} {}", self.number, random.below(HANDLES), names(random, 2));
        }
        let known: Vec<&String> = self.known.iter().filter(|(_, kind)| kinds.contains(*kind)).map(|(path, _)| path).collect();
        if known.is_empty() || random.percent(8) {
            return format!("w{}/top/{}", self.number, names(random, 3));
        }
        (*random.choose(&known)).clone()
    }

    fn old_or_all(&self, random: &mut Random) -> String {
        if random.percent(20) { format!("w{}/top", self.number) } else { self.old(random, "dl") }
    }

    /// A path where there may come to be something of this kind.
    fn fresh(&mut self, random: &mut Random, kind: char) -> String {
        if random.percent(12) {
            return self.old(random, "fdl");
        }
        let mut dirs = vec![format!("w{}/top", self.number)];
        dirs.extend(
            self.known
                .iter()
                .filter(|(path, kind)| *kind == 'd' && path.matches('/').count() < 6)
                .map(|(path, _)| path.clone()),
        );
        let path = format!("{}/{}", random.choose(&dirs), random.pick(&NAMES));
        if !self.known.iter().any(|(known, _)| *known == path) {
            self.known.push((path.clone(), kind));
        }
        path
    }

    /// There should be nothing here any more.
    fn forget(&mut self, path: &str) {
        self.known.retain(|(known, _)| known.strip_prefix(path).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/')));
    }

    /// What a symbolic link leads to. It never leads out of the world, wherever the link is moved: links are below `top` only.
    /// But a file may come to be beside that, where a link upwards is opened with `create`.
    fn target(&self, random: &mut Random) -> String {
        match random.below(4) {
            0 if !self.has_dirs() => format!("../{}", names(random, 1)),
            1 => format!("./{}", names(random, 2)),
            2 if random.percent(20) => ".".to_owned(),
            _ => names(random, 1),
        }
    }
}

/// A path of one name to `most`.
fn names(random: &mut Random, most: u64) -> String {
    (0..=random.below(most)).map(|_| random.pick(&NAMES)).collect::<Vec<_>>().join("/")
}

/// Mostly few bytes; at times more than is done without a worker.
fn size(random: &mut Random) -> u64 {
    match random.below(40) {
        0 => 300_000,
        1..5 => 4096 * random.below(20),
        5..9 => random.below(70_000),
        _ => random.below(300),
    }
}

fn offset(random: &mut Random) -> u64 {
    if random.percent(5) { 1_000_000 } else { size(random) }
}

fn optional(random: &mut Random, bound: u64) -> String {
    if random.percent(40) { "-".to_owned() } else { random.below(bound).to_string() }
}

fn time(random: &mut Random) -> &'static str {
    random.pick(&["-", "now", "0", "1", "-5", "1000000000"])
}

/// Flags, and the mode of a new file.
fn open_flags(random: &mut Random) -> String {
    let flags = random.pick(&[
        "read",
        "write",
        "read,write",
        "append",
        "read,append",
        "write,create",
        "read,write,create",
        "read,write,create",
        "read,write,create",
        "read,append,create",
        "write,create,truncate",
        "read,write,create,exclusive",
        "write,truncate",
        "read,no-follow",
        "read,write,create,no-follow",
        "write,create,exclusive,truncate",
        "read,create",
        "append,truncate",
    ]);
    format!("{flags} {:o}", random.pick(&[0o666, 0o600, 0o777]))
}
